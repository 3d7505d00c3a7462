// checkpoint.cc: plyfs checkpoint create, delete and list.
#include <time.h>

#include <cstdio>

#include "fs/control/json_codec.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/open_target.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

// RFC 3339 in UTC.
std::string TimeText(int64_t ns) {
  const auto seconds = static_cast<time_t>(ns / kNsPerSecond);
  tm parts{};
  char text[64];
  if (::gmtime_r(&seconds, &parts) == nullptr || std::strftime(text, sizeof text, "%FT%TZ", &parts) == 0) return "?";
  return text;
}

int Finish(const absl::Status& status) {
  if (status.ok()) return kToolOk;
  PrintError(status);
  return kToolFailed;
}

}  // namespace

int RunCheckpointCreate(const CheckpointOptions& options) {
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return Finish(target.status());
  const Progress progress("creating the checkpoint", NamesLookedAt(**target));
  return Finish((*target)->CreateCheckpoint(options.name));
}

int RunCheckpointDelete(const CheckpointOptions& options) {
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return Finish(target.status());
  const Progress progress("deleting the checkpoint");
  return Finish((*target)->DeleteCheckpoint(options.name));
}

int RunCheckpointList(const CheckpointOptions& options) {
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return Finish(target.status());
  const absl::StatusOr<std::vector<Checkpoint>> checkpoints = (*target)->Checkpoints();
  if (!checkpoints.ok()) return Finish(checkpoints.status());
  for (const Checkpoint& checkpoint : *checkpoints) {
    PrintLine(options.json ? ToJson(checkpoint)
                           : TimeText(checkpoint.created_ns) + " " + std::to_string(checkpoint.sequence) + " " +
                                 QuoteName(checkpoint.name));
  }
  FlushOutput();
  return kToolOk;
}

}  // namespace plyfs
