// target.cc: see target.h.
#include "fs/control/target.h"

namespace plyfs {

absl::StatusOr<std::vector<Change>> Target::Changes(const std::string& since_checkpoint) {
  std::vector<Change> changes;
  absl::Status status = ForEachChange(since_checkpoint, [&](const Change& change) {
    changes.push_back(change);
    return true;
  });
  if (!status.ok()) return status;
  return changes;
}

}  // namespace plyfs
