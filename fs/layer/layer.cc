// layer.cc: see layer.h.
#include "fs/layer/layer.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <memory>

#include "fs/layer/whiteout.h"

namespace plyfs {
namespace {

constexpr unsigned kStatMask = STATX_BASIC_STATS | STATX_BTIME;
constexpr size_t kListBuffer = size_t{32} * 1024;

// getdents64(2) has no declaration of its record in libc.
struct LinuxDirent {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

bool IsDotOrDotDot(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// O_NOATIME needs ownership or CAP_FOWNER; without them the access time is not ours to save.
int OpenKeepingAtime(const ObjectRef& object, int flags) {
  const bool is_descriptor = object.name[0] == '\0';
  const ProcPath descriptor(ObjectRef{.dir = object.dir});
  const auto open_with = [&](int all_flags) {
    return is_descriptor ? ::open(descriptor.c_str(), all_flags)
                         : ::openat(object.dir, object.name, all_flags | O_NOFOLLOW);
  };
  const int fd = open_with(flags | O_NOATIME | O_CLOEXEC);
  if (fd >= 0 || errno != EPERM) return fd;
  return open_with(flags | O_CLOEXEC);
}

Result<UniqueFd> OpenBeneath(int dir, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  // EAGAIN: a rename elsewhere raced with the kernel's walk.
  do {
    fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
  } while (fd < 0 && errno == EAGAIN);
  if (fd < 0) return Errno::Last();
  return UniqueFd(static_cast<int>(fd));
}

}  // namespace

Result<struct statx> StatObject(const ObjectRef& object) {
  struct statx stat;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
  if (::statx(object.dir, object.name, flags, kStatMask, &stat) != 0) return Errno::Last();
  return stat;
}

DiskInode DiskInodeOf(const struct statx& stat) {
  return {.device = makedev(stat.stx_dev_major, stat.stx_dev_minor), .inode = stat.stx_ino};
}

dev_t DeviceNumberOf(const struct statx& stat) { return makedev(stat.stx_rdev_major, stat.stx_rdev_minor); }

Result<UniqueFd> OpenDirectory(const ObjectRef& object) {
  int fd = OpenKeepingAtime(object, O_RDONLY | O_DIRECTORY);
  if (fd < 0 && errno == EACCES) fd = ::openat(object.dir, object.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Errno::Last();
  return UniqueFd(fd);
}

Result<UniqueFd> OpenDirectoryBeneath(int dir, const std::string& path) {
  Result<UniqueFd> fd = OpenBeneath(dir, path, O_RDONLY | O_DIRECTORY);
  if (fd.error() == EACCES) return OpenBeneath(dir, path, O_PATH | O_DIRECTORY);
  return fd;
}

Result<UniqueFd> OpenRegularBeneath(int dir, const std::string& path) {
  return OpenBeneath(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

Result<UniqueFd> OpenRegular(const ObjectRef& object, int flags) {
  // O_NONBLOCK: should the name be a fifo all the same, we must not wait for its other end.
  const int fd = OpenKeepingAtime(object, flags | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return Errno::Last();
  return UniqueFd(fd);
}

Result<UniqueFd> OpenPath(const ObjectRef& object) {
  const int fd = ::openat(object.dir, object.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Errno::Last();
  return UniqueFd(fd);
}

Result<std::string> ReadLinkObject(const ObjectRef& object) {
  char target[PATH_MAX];
  const ssize_t length = ::readlinkat(object.dir, object.name, target, sizeof target);
  if (length < 0) return Errno::Last();
  return std::string(target, length);
}

Errno ListDirectory(int dir, const std::function<Errno(const RawDirEntry&)>& visit) {
  // A descriptor of our own: the offset of `dir` is shared with other threads.
  ASSIGN_OR_RETURN(const UniqueFd list, OpenDirectory({.dir = dir, .name = "."}));
  const auto buffer = std::make_unique_for_overwrite<char[]>(kListBuffer);
  for (;;) {
    const long got = ::syscall(SYS_getdents64, list.get(), buffer.get(), kListBuffer);
    if (got < 0) return Errno::Last();
    if (got == 0) return kOk;
    for (long at = 0; at < got;) {
      const auto* record = reinterpret_cast<const LinuxDirent*>(buffer.get() + at);
      at += record->length;
      if (IsDotOrDotDot(record->name)) continue;
      RETURN_IF_ERROR(visit({.name = record->name, .inode = record->inode, .type = record->type}));
    }
  }
}

Result<LayerEntry> Layer::Lookup(int dir, const DirMarks& marks, Name name) const {
  const ObjectRef object{.dir = dir, .name = name.c_str()};
  LayerEntry entry;
  Result<struct statx> stat = StatObject(object);
  if (!stat.ok()) {
    if (MeansAbsent(stat.error())) return entry;
    return stat.error();
  }
  entry.stat = *stat;
  entry.kind = LayerEntry::kPresent;
  if (IsWhiteoutDevice(entry.stat)) {
    entry.kind = LayerEntry::kWhiteout;
  } else if (S_ISREG(entry.stat.stx_mode) && entry.stat.stx_size == 0) {
    ASSIGN_OR_RETURN(const bool is_mark, IsWhMark(object, entry.stat));
    if (is_mark) {
      entry.kind = LayerEntry::kAbsent;
    } else if (marks.xattr_whiteouts && ReadMark(object, kWhiteoutMark).ok()) {
      entry.kind = LayerEntry::kWhiteout;
    } else if (marks.holds_devices && ReadMark(object, kDeviceMark).ok()) {
      entry.stat.stx_mode = S_IFCHR | (entry.stat.stx_mode & 07777);
    }
  }
  return entry;
}

Result<bool> Layer::IsWhMark(const ObjectRef& object, const struct statx& stat) const {
  if (!HasWhPrefix(object.name) || !S_ISREG(stat.stx_mode) || stat.stx_size != 0) return false;
  const Result<std::string> literal = ReadMark(object, kLiteralMark);
  if (literal.ok()) return false;
  if (literal.error() == ENODATA) return true;
  return literal.error();
}

Result<bool> Layer::HasWhFile(int dir, Name name) const {
  if (!CanHaveWhFile(name.view())) return false;
  const std::string wh_name = WhNameOf(name.view());
  const ObjectRef object{.dir = dir, .name = wh_name.c_str()};
  const Result<struct statx> stat = StatObject(object);
  if (!stat.ok()) {
    if (MeansAbsent(stat.error())) return false;
    return stat.error();
  }
  return IsWhMark(object, *stat);
}

Result<bool> Layer::HasWhOpaque(int dir) const { return HasWhFile(dir, Name::Trusted(".wh..opq")); }

}  // namespace plyfs
