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
  const Progress progress("opening the union");
  if (!options.mountpoint.empty()) {
    return OpenMounted(options.mountpoint, "; for an upper directory that is not mounted give --upper, --work and --lower");
  }
  return OpenUnmounted({.lowers = options.lowers, .upper = options.upper, .work = options.work});
}

std::function<ProgressState()> NamesLookedAt(Target& target) {
  if (!Progress::IsWanted()) return nullptr;
  const std::optional<uint64_t> before = target.ExaminedNames();
  return [&target, before]() -> ProgressState {
    const std::optional<uint64_t> now = before ? target.ExaminedNames() : std::nullopt;
    if (!now) return {};
    return {.counted = std::to_string(*now - *before) + " names looked at"};
  };
}

}  // namespace plyfs
