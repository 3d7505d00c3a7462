// inode_flags_test.cc: chattr flags.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

class InodeFlags : public SyscallTest {
 protected:
  // The flags that ext4 sets by itself (extents) are left out.
  static constexpr int kChangeable = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL;

  int Flags(const std::string& name) {
    OpenFile file(P(name), O_RDONLY | O_NONBLOCK);
    int flags = 0;
    EXPECT_EQ(0, ioctl(file.fd(), FS_IOC_GETFLAGS, &flags)) << name;
    return flags & kChangeable;
  }
  int Set(const std::string& name, int wanted) {
    OpenFile file(P(name), O_RDONLY | O_NONBLOCK);
    int flags = 0;
    if (ioctl(file.fd(), FS_IOC_GETFLAGS, &flags) != 0) return errno;
    flags = (flags & ~kChangeable) | wanted;
    return ErrnoOf(ioctl(file.fd(), FS_IOC_SETFLAGS, &flags));
  }
  // open(2) says so already, where the kernel knows the flags; write(2) must at the latest.
  void ExpectNoPlainWrite(const std::string& name) {
    const int fd = open(P(name).c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(Expected(kOpenOfImmutableForWrite), ErrnoOf(fd)) << name;
    if (fd < 0) return;
    EXPECT_EQ(EPERM, ErrnoOf(write(fd, "x", 1))) << name;
    close(fd);
  }
  void TearDown() override {
    for (const char* name : {"lowfile", "upfile", "lowdir", "updir"}) {
      if (Exists(P(name))) Set(name, 0);
    }
    SyscallTest::TearDown();
  }
};

TEST_P(InodeFlags, AreReadFromEveryLayer) {
  mount().Unmount();
  EXPECT_EQ(0, RunProgram({"chattr", "+d", InMiddle("lowfile")}).exit_code);
  EXPECT_EQ(0, RunProgram({"chattr", "+d", InUpper("upfile")}).exit_code);
  mount().Mount();
  EXPECT_EQ(FS_NODUMP_FL, Flags("lowfile"));
  EXPECT_EQ(FS_NODUMP_FL, Flags("upfile"));
  EXPECT_EQ(0, Flags("lowdir"));
}

TEST_P(InodeFlags, NodumpAndNoatimeAreSetByCopyUp) {
  for (const char* name : {"lowfile", "upfile", "lowdir", "updir"}) {
    ASSERT_EQ(0, Set(name, FS_NODUMP_FL | FS_NOATIME_FL)) << name;
    EXPECT_EQ(FS_NODUMP_FL | FS_NOATIME_FL, Flags(name)) << name;
  }
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
}

TEST_P(InodeFlags, ImmutableFileCannotBeChanged) {
  for (const char* name : {"lowfile", "upfile"}) {
    ASSERT_EQ(0, Set(name, FS_IMMUTABLE_FL)) << name;
    EXPECT_EQ(FS_IMMUTABLE_FL, Flags(name)) << name;
    ExpectNoPlainWrite(name);
    EXPECT_EQ(EPERM, ErrnoOf(truncate(P(name).c_str(), 0))) << name;
    EXPECT_EQ(EPERM, ErrnoOf(unlink(P(name).c_str()))) << name;
    EXPECT_EQ(EPERM, ErrnoOf(rename(P(name).c_str(), P("new").c_str()))) << name;
    EXPECT_EQ(EPERM, ErrnoOf(link(P(name).c_str(), P("new").c_str()))) << name;
    EXPECT_EQ(EPERM, ErrnoOf(chmod(P(name).c_str(), 0600))) << name;
    ASSERT_EQ(0, Set(name, 0)) << name;
    EXPECT_EQ(0, ErrnoOf(truncate(P(name).c_str(), 0))) << name;
  }
}

TEST_P(InodeFlags, AppendOnlyFileCanOnlyGrow) {
  for (const char* name : {"lowfile", "upfile"}) {
    ASSERT_EQ(0, Set(name, FS_APPEND_FL)) << name;
    ExpectNoPlainWrite(name);
    EXPECT_EQ(EPERM, ErrnoOf(truncate(P(name).c_str(), 0))) << name;
    EXPECT_EQ(EPERM, ErrnoOf(unlink(P(name).c_str()))) << name;
    AppendFile(P(name), "more\n");
    ASSERT_EQ(0, Set(name, 0)) << name;
    EXPECT_EQ(0, unlink(P(name).c_str()));
  }
}

TEST_P(InodeFlags, ProjectAttributesAreRead) {
  OpenFile file(P("lowfile"), O_RDONLY);
  fsxattr attributes = {};
  EXPECT_EQ(0, ioctl(file.fd(), FS_IOC_FSGETXATTR, &attributes));
}

TEST_P(InodeFlags, UserNeedsThePrivilege) {
  const std::string path = P("alice/file");
  EXPECT_EQ(EPERM, RunAs({.uid = kAlice, .gid = kAlice}, [&] {
              const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
              int flags = 0;
              if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return 200;
              flags |= FS_IMMUTABLE_FL;
              return ErrnoOf(ioctl(fd, FS_IOC_SETFLAGS, &flags));
            }));
}

TEST_P(InodeFlags, UnknownIoctlIsRefused) {
  OpenFile file(P("lowfile"), O_RDONLY);
  int value = 0;
  EXPECT_EQ(ENOTTY, ErrnoOf(ioctl(file.fd(), _IOR('Z', 99, int), &value)));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, InodeFlags, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
