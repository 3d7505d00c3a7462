// kernel_mount.cc: see kernel_mount.h.
#include "fs/mount/kernel_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fs/base/log.h"
#include "fs/mount/fusermount.h"

namespace plyfs {
namespace {

constexpr long kSelinuxMagic = 0xf97cff8c;

// The device's sentence first, then what people do about it.
std::string DeviceError(int error) {
  std::string message = std::string("cannot open /dev/fuse: ") + std::strerror(error);
  if (error == ENOENT || error == ENODEV || error == ENXIO)
    return message + " (is the kernel module fuse loaded?)";
  if (error == EACCES || error == EPERM)
    return message + " (the user needs read and write permission)";
  return message;
}

bool SelinuxEnabled() {
  struct statfs stat;
  return ::statfs("/sys/fs/selinux", &stat) == 0 && static_cast<long>(stat.f_type) == kSelinuxMagic;
}

// The mountpoint as an absolute path without symlinks, which stays right when the server changes
// its directory.
bool ResolveMountpoint(const std::string& given, std::string* resolved, MountError* error) {
  char path[PATH_MAX];
  struct stat stat;
  if (::realpath(given.c_str(), path) == nullptr || ::stat(path, &stat) < 0) {
    error->message = "mountpoint " + given + ": " + std::strerror(errno);
    if (errno == ENOTCONN)
      error->message += " (a FUSE mount without a server is there; unmount it first)";
    return false;
  }
  if (!S_ISDIR(stat.st_mode)) {
    error->message = "mountpoint " + given + ": " + std::strerror(ENOTDIR);
    return false;
  }
  *resolved = path;
  return true;
}

// The text for mount(2). An SELinux label is the last, because it may contain commas.
std::string KernelData(const KernelMountOptions& options, int device) {
  std::string data = "fd=" + std::to_string(device) +
                     ",rootmode=40000,user_id=" + std::to_string(::geteuid()) +
                     ",group_id=" + std::to_string(::getegid()) + ",default_permissions";
  if (options.allow_other) data += ",allow_other";
  if (options.context.empty()) return data;
  if (SelinuxEnabled()) return data + ",context=\"" + options.context + "\"";
  // Without SELinux the kernel refuses the word, and callers send it anyway.
  LogDebug("context=%s ignored: SELinux is not enabled", options.context.c_str());
  return data;
}

// The text for fusermount3, which knows fewer words: it always sets nosuid and nodev and refuses
// nodiratime and context.
std::string FusermountText(const KernelMountOptions& options) {
  std::string text = "fsname=plyfs,subtype=plyfs,default_permissions";
  text += (options.flags & MS_RDONLY) ? ",ro" : ",rw";
  if (options.flags & MS_NOEXEC) text += ",noexec";
  if (options.flags & MS_NOATIME) text += ",noatime";
  if (options.allow_other) text += ",allow_other";
  if (!options.context.empty()) LogDebug("context ignored: fusermount3 does not pass it on");
  return text;
}

// Number of the mount that `path` leads into, or 0. Asks the filesystem itself nothing.
uint64_t MountIdAt(const std::string& path) {
  struct statx stat = {};
  const int flags = AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC;
  if (::statx(AT_FDCWD, path.c_str(), flags, STATX_MNT_ID, &stat) < 0) return 0;
  return (stat.stx_mask & STATX_MNT_ID) ? stat.stx_mnt_id : 0;
}

// Makes the kernel write back what it holds of the filesystem at `path`.
void WriteBack(const std::string& path) {
  const UniqueFd root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid() || ::syncfs(root.get()) < 0) {
    LogWarning("writing %s back before the unmount: %s", path.c_str(), std::strerror(errno));
  }
}

// The number in `/dev/fd/N`, or -1 for any other mountpoint.
int FdInMountpoint(const std::string& mountpoint) {
  int fd = -1;
  int length = 0;
  const int fields = std::sscanf(mountpoint.c_str(), "/dev/fd/%d%n", &fd, &length);
  return fields == 1 && static_cast<size_t>(length) == mountpoint.size() ? fd : -1;
}

}  // namespace

KernelMount::KernelMount(std::string mountpoint, UniqueFd device, Mounter mounter)
    : mountpoint_(std::move(mountpoint)),
      mounter_(mounter),
      mount_id_(MountIdAt(mountpoint_)),
      device_(std::move(device)) {}

std::unique_ptr<KernelMount> KernelMount::Create(const KernelMountOptions& options,
                                                 MountError* error) {
  if (const int given = FdInMountpoint(options.mountpoint); given >= 0) {
    // A number of our own: a daemon closes those that it has inherited.
    UniqueFd device(::fcntl(given, F_DUPFD_CLOEXEC, 0));
    if (device.valid()) {
      return std::unique_ptr<KernelMount>(new KernelMount("", std::move(device), Mounter::kCaller));
    }
    error->message = "mountpoint " + options.mountpoint + ": " + std::strerror(errno);
    return nullptr;
  }
  std::string mountpoint;
  if (!ResolveMountpoint(options.mountpoint, &mountpoint, error)) return nullptr;
  UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  int failure = device.valid() ? 0 : errno;
  std::string why = device.valid() ? "" : DeviceError(failure);
  if (device.valid()) {
    const std::string data = KernelData(options, device.get());
    if (::mount("plyfs", mountpoint.c_str(), "fuse.plyfs", options.flags, data.c_str()) == 0) {
      return std::unique_ptr<KernelMount>(
          new KernelMount(mountpoint, std::move(device), Mounter::kSelf));
    }
    failure = errno;
    why = std::strerror(failure);
  }
  // Root may lack the capability as well: in a container, or in a user namespace that does not own
  // this mount namespace.
  if (::geteuid() != 0 || failure == EPERM) {
    device = FusermountMount(mountpoint, FusermountText(options), &why);
    if (device.valid()) {
      return std::unique_ptr<KernelMount>(
          new KernelMount(mountpoint, std::move(device), Mounter::kFusermount));
    }
  }
  error->message = "cannot mount on " + mountpoint + ": " + why;
  return nullptr;
}

KernelMount::~KernelMount() {
  if (InPlace() && !Detach()) LogError("cannot unmount %s", mountpoint_.c_str());
}

bool KernelMount::InPlace() const {
  return mounter_ != Mounter::kCaller && MountIdAt(mountpoint_) == mount_id_;
}

bool KernelMount::Detach() const {
  if (mounter_ == Mounter::kFusermount) return FusermountUnmount(mountpoint_);
  return ::umount2(mountpoint_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0;
}

void KernelMount::Unmount() {
  if (!InPlace()) return;
  WriteBack(mountpoint_);
  if (!Detach()) LogWarning("cannot unmount %s", mountpoint_.c_str());
}

}  // namespace plyfs
