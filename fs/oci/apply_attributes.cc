// apply_attributes.cc: see apply_attributes.h.
#include "fs/oci/apply_attributes.h"

#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <limits>

#include "fs/layer/acl.h"

namespace plyfs {
namespace {

// linux/limits.h and xattr(7).
constexpr size_t kXattrNameMax = 255;
constexpr size_t kXattrValueMax = 65536;
constexpr size_t kXattrListMax = 65536;

// May not, or its user namespace has no such id, or the filesystem has no such thing.
bool MeansNotAllowed(Errno error) {
  return error == EPERM || error == EACCES || error == EINVAL || error == EOPNOTSUPP;
}

timespec AtimeOf(const TarEntry& entry) { return entry.atime.value_or(entry.mtime); }

bool Holds(const std::vector<TarXattr>& xattrs, std::string_view name) {
  return std::any_of(xattrs.begin(), xattrs.end(), [&](const TarXattr& xattr) { return xattr.first == name; });
}

}  // namespace

std::string ApplyAttributes::Translate(const TarEntry& entry, std::vector<TarXattr>* stored) const {
  stored->clear();
  size_t list_bytes = 0;
  for (const auto& [shown, value] : entry.xattrs) {
    const std::optional<std::string> name = EscapeXattrName(shown);
    if (!name) return "attribute '" + Printable(shown) + "' is private to container storage";
    if (name->empty() || name->size() > kXattrNameMax) return "attribute '" + Printable(shown) + "' has too long a name";
    if (value.size() > kXattrValueMax) return "attribute '" + Printable(shown) + "' is over 64 KiB";
    list_bytes += name->size() + 1;
    if (list_bytes > kXattrListMax) return "too many attributes";
    stored->emplace_back(*name, value);
  }
  return "";
}

Errno ApplyAttributes::Set(const ObjectRef& at, const TarEntry& entry, const std::vector<TarXattr>& stored,
                           bool acl_inherited) {
  if (acl_inherited) RemoveXattr(at, kAclAccess).Ignore("a symlink has none");
  // Owner, then mode, then attributes: chown(2) clears setuid bits and file capabilities.
  ASSIGN_OR_RETURN(const mode_t mode, SetOwner(at, entry));
  if (!S_ISLNK(entry.mode)) RETURN_IF_ERROR(target_.layer().SetMode(at, mode));
  RETURN_IF_ERROR(SetXattrs(at, stored));
  return target_.layer().SetTimes(at, {AtimeOf(entry), entry.mtime});
}

// The mode to set: without setuid and setgid for an object that is now the caller's.
Result<mode_t> ApplyAttributes::SetOwner(const ObjectRef& at, const TarEntry& entry) {
  const Errno error = target_.layer().SetOwner(at, entry.uid, entry.gid);
  if (error.ok()) return entry.mode & 07777;
  if (!MeansNotAllowed(error)) return error;
  // What is the caller's already needs no right.
  const Result<struct statx> stat = StatObject(at);
  if (stat.ok() && stat->stx_uid == entry.uid && stat->stx_gid == entry.gid) return entry.mode & 07777;
  Warn("owner", "owners cannot be set (" + std::string(std::strerror(error.value())) +
                    "): all or some entries belong to you, without setuid and setgid bits");
  return entry.mode & 01777;
}

Errno ApplyAttributes::SetXattrs(const ObjectRef& at, const std::vector<TarXattr>& stored) {
  for (const auto& [name, value] : stored) {
    const Errno error = SetXattr(at, name.c_str(), value, 0);
    if (error.ok()) continue;
    if (!MeansNotAllowed(error)) return error;
    const std::string space = name.substr(0, name.find('.'));
    Warn(space.c_str(), "some attributes '" + Printable(space) + ".*' cannot be set here and are left out, first " +
                            Printable(name) + ": " + std::strerror(error.value()));
  }
  return kOk;
}

Errno ApplyAttributes::RemoveOtherXattrs(const ObjectRef& at, const std::vector<TarXattr>& stored) {
  ASSIGN_OR_RETURN(const std::string names, ListXattr(at));
  return ForEachXattrName(names, [&](const char* name) -> Errno {
    // A label is the host's policy, not the layer's.
    if (IsPrivateXattr(name) || std::strcmp(name, "security.selinux") == 0 || Holds(stored, name)) return kOk;
    const Errno error = RemoveXattr(at, name);
    return error == ENODATA || MeansNotAllowed(error) ? kOk : error;
  });
}

Errno ApplyAttributes::SetDirectory(const ObjectRef& at, const std::string& path, const TarEntry& entry,
                                    const std::vector<TarXattr>& stored) {
  Deferred deferred{.path = path, .atime = AtimeOf(entry), .mtime = entry.mtime};
  ASSIGN_OR_RETURN(deferred.mode, SetOwner(at, entry));
  RETURN_IF_ERROR(target_.layer().SetMode(at, deferred.mode | 0700));
  RETURN_IF_ERROR(RemoveOtherXattrs(at, stored));
  std::vector<TarXattr> now = stored;
  // It would be inherited by all that is still to come.
  std::erase_if(now, [&](TarXattr& xattr) {
    if (xattr.first != kAclDefault) return false;
    deferred.default_acl = std::move(xattr.second);
    return true;
  });
  RETURN_IF_ERROR(SetXattrs(at, now));
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(at));
  deferred.inode = DiskInodeOf(stat);
  deferred_.push_back(std::move(deferred));
  return kOk;
}

Errno ApplyAttributes::FinishDirectories() {
  // Stable: of two entries with one name the last one counts. Children first: their parents may become unreachable.
  std::stable_sort(deferred_.begin(), deferred_.end(),
                   [](const Deferred& a, const Deferred& b) { return a.path > b.path; });
  for (size_t i = 0; i < deferred_.size(); ++i) {
    if (i + 1 < deferred_.size() && deferred_[i + 1].path == deferred_[i].path) continue;
    const Errno error = Finish(deferred_[i]);
    // A later entry has put something else there.
    if (!error.ok() && !MeansAbsent(error) && !(error == ELOOP)) return error;
  }
  return kOk;
}

Errno ApplyAttributes::Finish(const Deferred& directory) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectoryBeneath(target_.root(), directory.path.empty() ? "." : directory.path));
  const ObjectRef at{.dir = fd.get()};
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(at));
  if (!(DiskInodeOf(stat) == directory.inode)) return kOk;
  RETURN_IF_ERROR(target_.layer().SetMode(at, directory.mode));
  if (!directory.default_acl.empty()) RETURN_IF_ERROR(SetXattrs(at, {{kAclDefault, directory.default_acl}}));
  return target_.layer().SetTimes(at, {directory.atime, directory.mtime});
}

void ApplyAttributes::Warn(const char* kind, const std::string& text) {
  if (warned_.insert(kind).second && warning_) warning_(text);
}

}  // namespace plyfs
