// watch.cc: plyfs watch.
#include "fs/control/json_codec.h"
#include "fs/control/target.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"

namespace plyfs {
namespace {

std::string LineOf(const ChangeEvent& event) {
  std::string line = std::to_string(event.sequence) + " " + EventName(event.kind);
  if (event.kind == ChangeEvent::Kind::kLost) return line;
  if (event.kind == ChangeEvent::Kind::kRename) {
    return line + " " + QuoteName(event.from, Spaces::kQuoted) + " -> " + QuoteName(event.path, Spaces::kQuoted);
  }
  return line + " " + QuoteName(event.path);
}

void Print(const ChangeEvent& event, bool json) {
  PrintLine(json ? ToJson(event) : LineOf(event));
  FlushOutput();
  if (event.kind == ChangeEvent::Kind::kLost) {
    PrintError("events before " + std::to_string(event.sequence) +
               " have been dropped already; `plyfs changes` lists what has changed");
  }
}

}  // namespace

int RunWatch(const WatchOptions& options) {
  const absl::StatusOr<std::unique_ptr<LiveTarget>> target = OpenMounted(options.mountpoint);
  if (!target.ok()) return PrintError(target.status()), kToolFailed;
  const auto on_start = [&](uint64_t sequence) {
    if (!options.json) PrintNote("watching from event " + std::to_string(sequence));
  };
  const absl::Status status = (*target)->Watch(options.since, on_start, [&](const ChangeEvent& event) {
    Print(event, options.json);
    return true;
  });
  if (!status.ok()) return PrintError(status), kToolFailed;
  PrintNote("the union was unmounted");
  return kToolOk;
}

}  // namespace plyfs
