// changes.cc: plyfs changes.
#include "fs/control/json_codec.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/open_target.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

// The mountpoint itself is always the parent of a change: docker diff does not list it for that.
bool IsListed(const Change& change) { return !(change.implied && change.path == "/"); }

}  // namespace

int RunChanges(const ChangesOptions& options) {
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return PrintError(target.status()), kToolFailed;
  auto progress = std::make_unique<Progress>("listing the changes", NamesLookedAt(**target));
  std::string line;
  const absl::Status status = (*target)->ForEachChange(options.since, [&](const Change& change) {
    // On a terminal the list itself shows that it goes on.
    progress.reset();
    line.clear();
    if (options.json) {
      AppendJson(change, &line);
    } else if (IsListed(change)) {
      line += static_cast<char>(change.kind);
      line += ' ';
      AppendQuoted(change.path, &line);
    } else {
      return true;
    }
    PrintLine(line);
    return true;
  });
  progress.reset();
  FlushOutput();
  if (!status.ok()) return PrintError(status), kToolFailed;
  return kToolOk;
}

}  // namespace plyfs
