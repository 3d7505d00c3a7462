// union_under_test.cc: layers written to disk and mounted, for any target.

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include <system_error>

#include "tests/harness/tree_snapshot.h"
#include "tests/model/sequence.h"

namespace plyfs::model {

using test::Target;

std::string DefaultExtra(Target target) {
  // Without index, kernel overlayfs breaks hard links at copy-up.
  return target == Target::kKernelOverlay ? "index=on,xino=on,redirect_dir=off,metacopy=off" : "";
}

ModelOptions ModelOptionsFor(const RunOptions& options) {
  ModelOptions model;
  model.umask = options.umask;
  model.is_union = options.target != Target::kExt4;
  model.fuse_client =
      options.target == Target::kPlyfs || options.target == Target::kFuseOverlayfs;
  model.directory_rename_exdev =
      model.is_union && options.extra.find("redirect_dir=on") == std::string::npos;
  model.kernel_overlay = options.target == Target::kKernelOverlay;
  return model;
}

CheckOptions CheckOptionsFor(const RunOptions& options) {
  CheckOptions check;
  // Kernel overlayfs lists the upper's own number of what it did not copy up itself, and of a link
  // to a lower file in a directory whose listing it has cached.
  check.remembers = options.remembers;
  check.listed_numbers = options.target != Target::kKernelOverlay;
  return check;
}

UnionUnderTest::UnionUnderTest(const LayerStackSpec& layers, const InodePtr& shown,
                               const RunOptions& options) {
  rootless_ = options.rootless;
  mount_options_.target = options.target;
  mount_options_.extra = options.extra;
  if (options.wh_whiteouts) {
    mount_options_.environment.push_back("FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT=1");
  }
  mount_options_.upper = dir_.MakeDir("upper");
  mount_options_.work = dir_.MakeDir("work");
  mount_options_.mountpoint = dir_.MakeDir("mnt");
  if (options.target == Target::kExt4) {
    WriteTree(shown, mount_options_.upper);
  } else {
    WriteLayer(layers.front(), mount_options_.upper);
    for (size_t i = 1; i < layers.size(); ++i) {
      const std::string lower = dir_.MakeDir("lower" + std::to_string(i));
      if (options.lowers_on_tmpfs && i % 2 == 1) MountTmpfs(lower);
      WriteLayer(layers[i], lower);
      mount_options_.lowers.push_back(lower);
    }
  }
  mount_ = std::make_unique<test::UnionMount>(mount_options_);
}

UnionUnderTest::~UnionUnderTest() {
  mount_.reset();
  for (const std::string& lower : tmpfs_) umount2(lower.c_str(), MNT_DETACH);
}

void UnionUnderTest::MountTmpfs(const std::string& lower) {
  if (mount("tmpfs", lower.c_str(), "tmpfs", 0, "mode=755") != 0) {
    throw std::system_error(errno, std::generic_category(), "tmpfs on " + lower);
  }
  tmpfs_.push_back(lower);
}

void UnionUnderTest::Evict(bool whole_machine) const {
  if (whole_machine) {
    const int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "2", 1) != 1) printf("drop_caches cannot be written: not evicted\n");
    if (fd >= 0) close(fd);
  } else if (mount_options_.target != Target::kExt4) {
    // The kernel shrinks the superblock's dentries at every remount.
    if (mount("none", path().c_str(), nullptr, MS_REMOUNT, nullptr) != 0) {
      ADD_FAILURE() << "remount of " << path() << " failed";
    }
  }
}

std::string UnionUnderTest::LowersSnapshot() const {
  std::string all;
  for (const std::string& lower : mount_options_.lowers) {
    all += test::SnapshotOf(lower, {.inode_numbers = true, .directory_nlink = true});
  }
  return all;
}

std::unique_ptr<test::UnionMount> UnionUnderTest::MountWithKernel() const {
  test::UnionOptions options = mount_options_;
  options.target = Target::kKernelOverlay;
  options.work = dir_.MakeDir("kernel-work");
  options.extra = rootless_ ? "userxattr" : "index=off,redirect_dir=follow,metacopy=off";
  return std::make_unique<test::UnionMount>(options);
}

}  // namespace plyfs::model
