// open_target.cc: see open_target.h.
#include "tools/commands/open_target.h"

namespace plyfs {

std::string TargetOptions::Check() const {
  const bool layers = !upper.empty() || !work.empty() || !lowers.empty();
  if (mountpoint.empty() && !layers) return "a mountpoint is missing, or --upper, --work and --lower of one that is not mounted";
  if (!mountpoint.empty() && layers) return "a mountpoint and --upper, --work or --lower exclude each other";
  if (!layers) return "";
  for (const auto& [missing, option] : {std::pair(upper.empty(), "--upper"), std::pair(work.empty(), "--work"),
                                        std::pair(lowers.empty(), "--lower")}) {
    if (missing) return std::string(option) + " is missing; an upper that is not mounted needs --upper, --work and --lower";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Target>> OpenTarget(const TargetOptions& options) {
  if (!options.mountpoint.empty()) return OpenMounted(options.mountpoint);
  return OpenUnmounted({.lowers = options.lowers, .upper = options.upper, .work = options.work});
}

}  // namespace plyfs
