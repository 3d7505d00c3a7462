// changes.cc: plyfs changes.
#include "fs/control/json_codec.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/open_target.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

absl::StatusOr<std::vector<Change>> List(const ChangesOptions& options) {
  const absl::StatusOr<std::unique_ptr<Target>> target = OpenTarget(options.target);
  if (!target.ok()) return target.status();
  const Progress progress("listing the changes", NamesLookedAt(**target));
  return (*target)->Changes(options.since);
}

// The mountpoint itself is always the parent of a change: docker diff does not list it for that.
bool IsListed(const Change& change) { return !(change.implied && change.path == "/"); }

}  // namespace

int RunChanges(const ChangesOptions& options) {
  const absl::StatusOr<std::vector<Change>> changes = List(options);
  if (!changes.ok()) return PrintError(changes.status()), kToolFailed;
  std::string line;
  for (const Change& change : *changes) {
    if (options.json) {
      PrintLine(ToJson(change));
    } else if (IsListed(change)) {
      line = {static_cast<char>(change.kind), ' '};
      PrintLine(line += QuoteName(change.path));
    }
  }
  FlushOutput();
  return kToolOk;
}

}  // namespace plyfs
