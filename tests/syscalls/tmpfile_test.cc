// tmpfile_test.cc: O_TMPFILE, and giving an unnamed file its name.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

using TmpfileTest = SyscallTest;

int GiveName(int fd, const std::string& path) {
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  return ErrnoOf(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW));
}

TEST_P(TmpfileTest, HasNoNameAndIsWritable) {
  for (const char* parent : {"lowdir", "updir", "merged", "opaque"}) {
    const std::vector<std::string> before = ListDir(P(parent));
    OpenFile file(P(parent), O_TMPFILE | O_RDWR, 0640);
    EXPECT_EQ(0u, Fstat(file.fd()).st_nlink);
    EXPECT_EQ(static_cast<mode_t>(S_IFREG | 0640), Fstat(file.fd()).st_mode);
    EXPECT_EQ(4, write(file.fd(), "data", 4));
    EXPECT_EQ("data", file.Content());
    EXPECT_EQ(before, ListDir(P(parent)));
  }
}

TEST_P(TmpfileTest, GetsANameByLinkat) {
  ino_t ino = 0;
  {
    OpenFile file(P("lowdir"), O_TMPFILE | O_RDWR, 0640);
    EXPECT_EQ(4, write(file.fd(), "data", 4));
    ino = Fstat(file.fd()).st_ino;
    ASSERT_EQ(0, GiveName(file.fd(), P("lowdir/sub/named")));
    EXPECT_EQ(1u, Fstat(file.fd()).st_nlink);
    EXPECT_EQ(EEXIST, GiveName(file.fd(), P("lowfile")));
  }
  EXPECT_EQ(ino, Lstat(P("lowdir/sub/named")).st_ino);
  EXPECT_EQ("data", ReadFile(P("lowdir/sub/named")));
  Remount();
  EXPECT_EQ("data", ReadFile(P("lowdir/sub/named")));
  EXPECT_EQ(ino, Lstat(P("lowdir/sub/named")).st_ino);
}

TEST_P(TmpfileTest, NameMayReplaceAWhiteout) {
  OpenFile file(Root(), O_TMPFILE | O_RDWR, 0600);
  EXPECT_EQ(0, GiveName(file.fd(), P("gone")));
  file.Close();
  Remount();
  EXPECT_EQ("", ReadFile(P("gone")));
}

TEST_P(TmpfileTest, ExclusiveCannotBeNamed) {
  OpenFile file(P("lowdir"), O_TMPFILE | O_RDWR | O_EXCL, 0600);
  EXPECT_EQ(ENOENT, GiveName(file.fd(), P("named")));
}

TEST_P(TmpfileTest, NeedsAWritableDirectory) {
  EXPECT_EQ(-1, open(P("lowfile").c_str(), O_TMPFILE | O_RDWR, 0600));
  EXPECT_EQ(ENOTDIR, errno);
  EXPECT_EQ(-1, open(P("lowdir").c_str(), O_TMPFILE | O_RDONLY, 0600));
  EXPECT_EQ(EINVAL, errno);
  const std::string foreign = P("lowdir"), own = P("alice/dir");
  auto create = [](const std::string& dir) {
    return ErrnoOf(open(dir.c_str(), O_TMPFILE | O_RDWR, 0600));
  };
  EXPECT_EQ(EACCES, RunAs({.uid = kAlice, .gid = kAlice}, [&] { return create(foreign); }));
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] { return create(own); }));
}

TEST_P(TmpfileTest, OwnerAndUmaskAreTheCreators) {
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kStaff}, [&] {
              umask(027);
              const int fd = open(P("alice/dir").c_str(), O_TMPFILE | O_RDWR, 0666);
              if (fd < 0) return errno;
              const std::string self = "/proc/self/fd/" + std::to_string(fd);
              return ErrnoOf(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, P("alice/dir/named").c_str(),
                                    AT_SYMLINK_FOLLOW));
            }));
  const struct stat st = Lstat(P("alice/dir/named"));
  EXPECT_EQ(kAlice, st.st_uid);
  EXPECT_EQ(kStaff, st.st_gid);
  EXPECT_EQ(0640u, st.st_mode & 07777);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, TmpfileTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
