// kernel_mount.h: puts a FUSE filesystem on a directory and takes it off again.
// Not here: what answers the kernel's requests (fs/fuse), which layers (fs/layer).
// Thread safety: Unmount may be called from any thread, once at a time; the rest belongs to one
// thread.
#pragma once

#include <memory>
#include <string>

#include "fs/base/unique_fd.h"
#include "fs/mount/mount_options.h"

namespace plyfs {

// One FUSE mount. The mount goes away with the object unless somebody else has unmounted it before.
class KernelMount {
 public:
  // Mounts. default_permissions is always asked for: fs/overlay checks no permission bits. mount(2)
  // is tried first, which works for root and inside a user namespace; where it may not be used,
  // fusermount3 mounts for us. A mountpoint `/dev/fd/N` is, as with libfuse, an opened /dev/fuse that
  // the caller has mounted and will unmount. On failure returns null and fills `error`.
  static std::unique_ptr<KernelMount> Create(const KernelMountOptions& options, MountError* error);
  ~KernelMount();
  KernelMount(const KernelMount&) = delete;
  KernelMount& operator=(const KernelMount&) = delete;

  // The connection to the kernel, for whoever will serve it.
  UniqueFd TakeDevice() { return std::move(device_); }

  // Has the kernel write back what it holds, then takes the mount out of sight, used or not; the
  // server must be running. Whoever still has files open there, or the mount in another namespace,
  // keeps the connection alive until the server ends. Touches nothing if the mount has gone before,
  // and never another mount that is in its place.
  void Unmount();

 private:
  enum class Mounter { kSelf, kFusermount, kCaller };

  KernelMount(std::string mountpoint, UniqueFd device, Mounter mounter);
  bool InPlace() const;
  bool Detach() const;

  const std::string mountpoint_;  // absolute, without symlinks; empty for kCaller
  const Mounter mounter_;
  const uint64_t mount_id_;  // of statx(2); 0 where the kernel knows none
  UniqueFd device_;
};

}  // namespace plyfs
