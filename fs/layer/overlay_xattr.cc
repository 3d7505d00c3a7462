// overlay_xattr.cc: see overlay_xattr.h.
#include "fs/layer/overlay_xattr.h"

#include <climits>

namespace plyfs {
namespace {

constexpr std::string_view kOverlayPrefixes[] = {"trusted.overlay.", "user.overlay."};
constexpr std::string_view kEscape = "overlay.";
constexpr std::string_view kFuseOverlayfsOpaque = "user.fuseoverlayfs.opaque";
// Marks of fuse-overlayfs and of container storage. Nobody may set them from inside: they would forge owners.
constexpr std::string_view kForbiddenPrefixes[] = {"user.fuseoverlayfs.", "security.fuseoverlayfs.",
                                                   "user.containers.override_"};

// The part after "trusted.overlay." or "user.overlay."; nullopt for any other name.
std::optional<size_t> OverlayPrefixLength(std::string_view name) {
  for (const std::string_view prefix : kOverlayPrefixes) {
    if (name.starts_with(prefix)) return prefix.size();
  }
  return std::nullopt;
}

bool IsForbidden(std::string_view name) {
  for (const std::string_view prefix : kForbiddenPrefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

std::string MarkName(MarkNamespace space, std::string_view mark) {
  std::string name(kOverlayPrefixes[space == MarkNamespace::kTrusted ? 0 : 1]);
  name += mark;
  return name;
}

bool IsSafeRedirect(std::string_view redirect) {
  const bool absolute = redirect.starts_with('/');
  if (absolute) redirect.remove_prefix(1);
  if (redirect.empty() || redirect.size() >= PATH_MAX) return false;
  if (!absolute && redirect.find('/') != std::string_view::npos) return false;
  if (redirect.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const size_t slash = redirect.find('/');
    const std::string_view component = redirect.substr(0, slash);
    if (component.empty() || component == "." || component == ".." || component.size() > NAME_MAX) return false;
    if (slash == std::string_view::npos) return true;
    redirect.remove_prefix(slash + 1);
  }
}

Result<DirMarks> ReadDirMarks(const ObjectRef& dir) {
  DirMarks marks;
  // One call answers for nearly every directory: it has no attributes at all.
  ASSIGN_OR_RETURN(const std::string names, ListXattr(dir));
  RETURN_IF_ERROR(ForEachXattrName(names, [&](const char* name) -> Errno {
    const std::string_view view(name);
    const std::optional<size_t> prefix = OverlayPrefixLength(view);
    const std::string_view mark = prefix ? view.substr(*prefix) : std::string_view();
    if (mark == kHoldsDevicesMark) marks.holds_devices = true;
    const bool is_opaque = mark == kOpaqueMark || view == kFuseOverlayfsOpaque;
    if (!is_opaque && mark != kRedirectMark) return kOk;
    ASSIGN_OR_RETURN(const std::string value, GetXattr(dir, name));
    if (mark == kRedirectMark) {
      if (!IsSafeRedirect(value)) return EIO;
      marks.redirect = value;
    } else if (value == "y") {
      marks.opaque = true;
    } else if (value == "x") {
      marks.xattr_whiteouts = true;
    } else if (value != "n") {
      return EIO;
    }
    return kOk;
  }));
  return marks;
}

Result<std::string> ReadMark(const ObjectRef& object, std::string_view mark) {
  for (const MarkNamespace space : {MarkNamespace::kTrusted, MarkNamespace::kUser}) {
    Result<std::string> value = GetXattr(object, MarkName(space, mark).c_str());
    if (value.ok()) return value;
    const Errno error = value.error();
    // Without privilege trusted. answers EPERM on some filesystems; it means "none" to us as it does to the kernel.
    if (!(error == ENODATA || error == EOPNOTSUPP || error == EPERM || error == EACCES)) return error;
  }
  return Errno(ENODATA);
}

std::optional<std::string> EscapeXattrName(std::string_view shown) {
  if (IsForbidden(shown)) return std::nullopt;
  std::string stored(shown);
  if (const std::optional<size_t> prefix = OverlayPrefixLength(shown)) stored.insert(*prefix, kEscape);
  return stored;
}

std::optional<std::string> UnescapeXattrName(std::string_view stored) {
  if (IsForbidden(stored)) return std::nullopt;
  std::string shown(stored);
  if (const std::optional<size_t> prefix = OverlayPrefixLength(stored)) {
    if (!stored.substr(*prefix).starts_with(kEscape)) return std::nullopt;
    shown.erase(*prefix, kEscape.size());
  }
  return shown;
}

bool IsPrivateXattr(std::string_view stored) { return !UnescapeXattrName(stored).has_value(); }

}  // namespace plyfs
