// statfs_test.cc: what the mount says about itself.
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

using StatfsTest = SyscallTest;

TEST_P(StatfsTest, SizesAreTheUppers) {
  struct statfs here = {}, upper = {};
  ASSERT_EQ(0, statfs(Root().c_str(), &here));
  ASSERT_EQ(0, statfs(InUpper("").c_str(), &upper));
  EXPECT_EQ(upper.f_blocks * static_cast<uint64_t>(upper.f_frsize),
            here.f_blocks * static_cast<uint64_t>(here.f_frsize));
  EXPECT_EQ(upper.f_files, here.f_files);
  EXPECT_EQ(255, here.f_namelen);
  EXPECT_LE(here.f_bavail, here.f_bfree);
}

TEST_P(StatfsTest, TypeTellsTheFilesystem) {
  struct statfs here = {};
  ASSERT_EQ(0, statfs(P("lowfile").c_str(), &here));
  const long expected = GetParam() == Target::kExt4            ? EXT4_SUPER_MAGIC
                        : GetParam() == Target::kKernelOverlay ? OVERLAYFS_SUPER_MAGIC
                                                               : FUSE_SUPER_MAGIC;
  EXPECT_EQ(expected, here.f_type);
}

TEST_P(StatfsTest, DescriptorAndPathAgreeAndTheIdIsStable) {
  struct statfs by_path = {}, by_fd = {};
  OpenFile file(P("lowfile"), O_RDONLY);
  ASSERT_EQ(0, statfs(P("merged/up").c_str(), &by_path));
  ASSERT_EQ(0, fstatfs(file.fd(), &by_fd));
  EXPECT_EQ(by_path.f_blocks, by_fd.f_blocks);
  EXPECT_EQ(by_path.f_fsid.__val[0], by_fd.f_fsid.__val[0]);
}

TEST_P(StatfsTest, PathconfLimits) {
  EXPECT_EQ(255, pathconf(Root().c_str(), _PC_NAME_MAX));
  EXPECT_EQ(4096, pathconf(Root().c_str(), _PC_PATH_MAX));
}

TEST_P(StatfsTest, SyncCallsSucceed) {
  AppendFile(P("lowfile"), "x");
  for (const char* name : {"lowfile", "upfile", "lowdir", "merged", "deepfile"}) {
    OpenFile file(P(name), O_RDONLY);
    EXPECT_EQ(0, fsync(file.fd())) << name;
    EXPECT_EQ(0, fdatasync(file.fd())) << name;
    EXPECT_EQ(0, syncfs(file.fd())) << name;
  }
}

TEST_P(StatfsTest, FileHandlesAreAsListed) {
  alignas(file_handle) char storage[sizeof(file_handle) + MAX_HANDLE_SZ];
  auto* handle = reinterpret_cast<file_handle*>(storage);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  EXPECT_EQ(Expected(kFileHandles),
            ErrnoOf(name_to_handle_at(AT_FDCWD, P("lowfile").c_str(), handle, &mount_id, 0)));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, StatfsTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
