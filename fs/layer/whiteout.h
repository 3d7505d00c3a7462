// whiteout.h: how an absent name is told on a layer: a character device 0:0 (native), an attribute (native, 6.7+), or an
// empty file ".wh.NAME" (OCI image-spec, layer.md).
// Not here: writing one (upper_layer.h).
// Thread safety: stateless.
#pragma once

#include <sys/stat.h>

#include <climits>
#include <string>
#include <string_view>

namespace plyfs {

inline constexpr std::string_view kWhPrefix = ".wh.";
inline constexpr std::string_view kWhOpaque = ".wh..wh..opq";

constexpr bool HasWhPrefix(std::string_view name) { return name.starts_with(kWhPrefix); }

inline std::string WhNameOf(std::string_view name) { return std::string(kWhPrefix) + std::string(name); }
// A longer name cannot have a whiteout file.
constexpr bool CanHaveWhFile(std::string_view name) { return name.size() + kWhPrefix.size() <= NAME_MAX; }

inline bool IsWhiteoutDevice(const struct statx& stat) {
  return S_ISCHR(stat.stx_mode) && stat.stx_rdev_major == 0 && stat.stx_rdev_minor == 0;
}

}  // namespace plyfs
