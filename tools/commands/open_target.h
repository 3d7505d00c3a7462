// open_target.h: from the command line's TARGET to a union to work on.
// Thread safety: one thread.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "fs/control/target.h"
#include "tools/commands/commands.h"

namespace plyfs {

absl::StatusOr<std::unique_ptr<Target>> OpenTarget(const TargetOptions& options);

}  // namespace plyfs
