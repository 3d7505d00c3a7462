// overlay_xattr.h: the private marks of a union on its layers, and how users' own attributes are kept apart from them.
// Follows Documentation/filesystems/overlayfs.rst ("Nesting overlayfs mounts") and fuse-overlayfs 1.16.
// Not here: whiteouts that are names or devices (whiteout.h).
// Thread safety: stateless.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fs/layer/xattr.h"

namespace plyfs {

// Where our marks go: trusted. needs CAP_SYS_ADMIN in the first user namespace, user. works for everybody but only on
// regular files and directories.
enum class MarkNamespace { kTrusted, kUser };

// "trusted.overlay.<mark>" or "user.overlay.<mark>".
std::string MarkName(MarkNamespace space, std::string_view mark);

inline constexpr std::string_view kOpaqueMark = "opaque";
inline constexpr std::string_view kRedirectMark = "redirect";
inline constexpr std::string_view kMetacopyMark = "metacopy";
inline constexpr std::string_view kWhiteoutMark = "whiteout";
// Ours: st_nlink to add to the upper inode's ("U+N", as the kernel's index=on writes it).
inline constexpr std::string_view kNlinkMark = "nlink";
// Ours: a file whose name begins with ".wh." is meant literally.
inline constexpr std::string_view kLiteralMark = "plyfs.literal";
// Ours: an empty file stands for a character device 0:0 that a user made (an overlayfs stacked on us makes its whiteouts so).
// A real one would be a whiteout of our own.
inline constexpr std::string_view kDeviceMark = "plyfs.device";
// Ours: a directory may hold files with kDeviceMark; others need not be asked.
inline constexpr std::string_view kHoldsDevicesMark = "plyfs.devices";

// What a directory's marks say about the layers below it.
struct DirMarks {
  bool opaque = false;           // nothing below is shown
  bool xattr_whiteouts = false;  // opaque=x: entries may be whiteouts by attribute
  bool holds_devices = false;    // entries may be users' whiteout devices (kDeviceMark)
  std::string redirect;          // empty: none; "/a/b" from the layer's root, or one name beside
};
// EIO if a mark is corrupt (an unknown opaque value, a redirect with empty, "." or ".." components).
Result<DirMarks> ReadDirMarks(const ObjectRef& dir);

// The first of trusted.overlay.<mark>, user.overlay.<mark> that is there; ENODATA if none.
Result<std::string> ReadMark(const ObjectRef& object, std::string_view mark);

// True if a redirect is well-formed: it can lead only to a name inside of the layer.
bool IsSafeRedirect(std::string_view redirect);

// How a user's attribute name is stored; nullopt if users may not have that name at all.
std::optional<std::string> EscapeXattrName(std::string_view shown);
// How a stored name is shown; nullopt if it is private and must be hidden.
std::optional<std::string> UnescapeXattrName(std::string_view stored);
// True for a stored name that copy-up must not carry over.
bool IsPrivateXattr(std::string_view stored);

}  // namespace plyfs
