// upper_layer.cc: see upper_layer.h.
#include "fs/layer/upper_layer.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "fs/layer/whiteout.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

namespace plyfs {
namespace {

bool IsDescriptor(const ObjectRef& object) { return object.name[0] == '\0'; }

}  // namespace

Errno UpperLayer::MakeDirectory(const ObjectRef& at, mode_t mode) const {
  return Errno::Of(::mkdirat(at.dir, at.name, mode & 07777));
}

Errno UpperLayer::MakeNode(const ObjectRef& at, mode_t mode, dev_t rdev) const {
  return Errno::Of(::mknodat(at.dir, at.name, mode, rdev));
}

Errno UpperLayer::MakeSymlink(const ObjectRef& at, const std::string& target) const {
  return Errno::Of(::symlinkat(target.c_str(), at.dir, at.name));
}

Result<UniqueFd> UpperLayer::MakeFile(const ObjectRef& at, mode_t mode) const {
  const int fd = ::openat(at.dir, at.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
  if (fd < 0) return Errno::Last();
  return UniqueFd(fd);
}

Errno UpperLayer::Link(const ObjectRef& from, const ObjectRef& to) const {
  if (!IsDescriptor(from)) return Errno::Of(::linkat(from.dir, from.name, to.dir, to.name, 0));
  // AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH in the first user namespace.
  return Errno::Of(::linkat(AT_FDCWD, ProcPath(from).c_str(), to.dir, to.name, AT_SYMLINK_FOLLOW));
}

Errno UpperLayer::Rename(const ObjectRef& from, const ObjectRef& to, unsigned flags) const {
  return Errno::Of(::renameat2(from.dir, from.name, to.dir, to.name, flags));
}

Errno UpperLayer::Unlink(const ObjectRef& object) const { return Errno::Of(::unlinkat(object.dir, object.name, 0)); }

Errno UpperLayer::RemoveDirectory(const ObjectRef& object) const {
  return Errno::Of(::unlinkat(object.dir, object.name, AT_REMOVEDIR));
}

Errno UpperLayer::SetOwner(const ObjectRef& object, std::optional<uid_t> uid, std::optional<gid_t> gid) const {
  return Errno::Of(::fchownat(object.dir, object.name, uid.value_or(-1), gid.value_or(-1),
                              AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
}

Errno UpperLayer::SetMode(const ObjectRef& object, mode_t mode) const {
  if (IsDescriptor(object)) return Errno::Of(::chmod(ProcPath(object).c_str(), mode & 07777));
  if (::syscall(SYS_fchmodat2, object.dir, object.name, mode & 07777, AT_SYMLINK_NOFOLLOW) == 0) return kOk;
  if (const Errno error = Errno::Last(); !(error == ENOSYS)) return error;
  return Errno::Of(::fchmodat(object.dir, object.name, mode & 07777, AT_SYMLINK_NOFOLLOW));  // kernels before 6.6
}

Errno UpperLayer::SetTimes(const ObjectRef& object, const std::array<timespec, 2>& times) const {
  if (IsDescriptor(object)) return Errno::Of(::utimensat(AT_FDCWD, ProcPath(object).c_str(), times.data(), 0));
  return Errno::Of(::utimensat(object.dir, object.name, times.data(), AT_SYMLINK_NOFOLLOW));
}

Errno UpperLayer::SetMark(const ObjectRef& object, std::string_view mark, std::string_view value) const {
  if (!capabilities_.xattr_marks) return EOPNOTSUPP;
  return SetXattr(object, MarkName(capabilities_.mark_namespace, mark).c_str(), value, 0);
}

Errno UpperLayer::SetOpaque(int dir) const {
  if (capabilities_.xattr_marks) return SetMark({.dir = dir}, kOpaqueMark, "y");
  return MakeFile({.dir = dir, .name = kWhOpaque.data()}, 0600).error();
}

Errno UpperLayer::PlaceWhiteout(const ObjectRef& at) const {
  if (capabilities_.whiteouts == WhiteoutFormat::kDevice) {
    return Errno::Of(::mknodat(at.dir, at.name, S_IFCHR, makedev(0, 0)));
  }
  if (!CanHaveWhFile(at.name)) return ENAMETOOLONG;
  const Errno error = MakeFile({.dir = at.dir, .name = WhNameOf(at.name).c_str()}, 0600).error();
  // A name that came back keeps its old whiteout file beside it, for the layers below.
  return error == EEXIST ? kOk : error;
}

Errno UpperLayer::ReplaceByWhiteout(const ObjectRef& at, const ObjectRef& away, WorkDir& work) const {
  if (capabilities_.whiteouts == WhiteoutFormat::kWhFile) {
    RETURN_IF_ERROR(PlaceWhiteout(at));
    const Errno error = Rename(at, away, 0);
    if (!error.ok()) ClearWhFile(at).Ignore("the first error is the one to report");
    return error;
  }
  if (capabilities_.rename_whiteout) return Rename(at, away, RENAME_WHITEOUT);

  const std::string temp = work.NewTempName();
  const ObjectRef whiteout{.dir = work.tmp(), .name = temp.c_str()};
  RETURN_IF_ERROR(PlaceWhiteout(whiteout));
  absl::Cleanup discard = [&] { work.Discard(temp).Ignore("tmp/ is swept at the next mount"); };
  if (capabilities_.rename_exchange) {
    RETURN_IF_ERROR(Rename(whiteout, at, RENAME_EXCHANGE));
    std::move(discard).Cancel();
    return Rename(whiteout, away, 0);
  }
  // Not atomic for directories, and a non-directory loses its other names' link here: keep one first.
  struct statx stat;
  if (::statx(at.dir, at.name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stat) != 0) return Errno::Last();
  RETURN_IF_ERROR(S_ISDIR(stat.stx_mode) ? Rename(at, away, 0) : Link(at, away));
  std::move(discard).Cancel();
  return Rename(whiteout, at, 0);
}

Errno UpperLayer::ClearWhFile(const ObjectRef& at) const {
  if (capabilities_.whiteouts != WhiteoutFormat::kWhFile || !CanHaveWhFile(at.name)) return kOk;
  const Errno error = Unlink({.dir = at.dir, .name = WhNameOf(at.name).c_str()});
  return MeansAbsent(error) ? kOk : error;
}

}  // namespace plyfs
