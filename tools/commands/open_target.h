// open_target.h: from the command line's TARGET to a union to work on, and how far it is with that.
// Thread safety: one thread.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "fs/control/target.h"
#include "tools/commands/commands.h"
#include "tools/commands/progress.h"

namespace plyfs {

absl::StatusOr<std::unique_ptr<Target>> OpenTarget(const TargetOptions& options);

// For Progress: how many names the next list or check of `target` has looked at.
std::function<ProgressState()> NamesLookedAt(Target& target);

}  // namespace plyfs
