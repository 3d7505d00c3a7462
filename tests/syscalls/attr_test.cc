// attr_test.cc: chmod, chown and what stat shows, for every kind of object.
// Not here: setuid and capability clearing (privilege_test.cc), who may do it (permission_test.cc),
// times (times_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct ObjectRow {
  const char* name;
  TreeObject object;
};

std::vector<ObjectRow> AllObjects() {
  std::vector<ObjectRow> rows;
  for (const TreeObject& object : kTreeObjects) rows.push_back({object.path, object});
  return rows;
}

std::string ContentOf(const std::string& path, mode_t type) {
  if (type == S_IFREG) return ReadFile(path);
  if (type == S_IFLNK) return ReadLink(path);
  if (type != S_IFDIR) return "";
  std::string text;
  for (const std::string& name : ListDir(path)) text += name + " ";
  return text;
}

// Everything but what the case itself changed.
void ExpectSame(const struct stat& before, const struct stat& after) {
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(before.st_mode & S_IFMT, after.st_mode & S_IFMT);
  EXPECT_EQ(before.st_rdev, after.st_rdev);
  EXPECT_EQ(TimeOf(before.st_mtim), TimeOf(after.st_mtim));
  if (S_ISDIR(before.st_mode)) return;
  EXPECT_EQ(before.st_nlink, after.st_nlink);
  EXPECT_EQ(before.st_size, after.st_size);
}

class AttrTest : public RowTest<ObjectRow> {
 protected:
  void SetUp() override {
    RowTest<ObjectRow>::SetUp();
    path_ = P(row().object.path);
    type_ = row().object.type;
    before_ = Lstat(path_);
    content_ = ContentOf(path_, type_);
  }
  void ExpectUnchangedBut(mode_t mode, uid_t uid, gid_t gid) {
    const struct stat after = Lstat(path_);
    ExpectSame(before_, after);
    EXPECT_EQ(mode, after.st_mode & 07777);
    EXPECT_EQ(uid, after.st_uid);
    EXPECT_EQ(gid, after.st_gid);
    EXPECT_EQ(content_, ContentOf(path_, type_));
  }

  std::string path_;
  mode_t type_ = 0;
  struct stat before_ = {};
  std::string content_;
};

TEST_P(AttrTest, TypeIsRight) { EXPECT_EQ(type_, before_.st_mode & S_IFMT); }

TEST_P(AttrTest, ChmodChangesTheModeAndNothingElse) {
  if (type_ == S_IFLNK) {
    EXPECT_EQ(EOPNOTSUPP, ErrnoOf(fchmodat(AT_FDCWD, path_.c_str(), 0600, AT_SYMLINK_NOFOLLOW)));
    return;
  }
  for (const mode_t mode : {0000, 07777, 0111, 0640}) {
    ASSERT_EQ(0, chmod(path_.c_str(), mode));
    ExpectUnchangedBut(mode, 0, 0);
  }
  EXPECT_NE(OldTime(), TimeOf(Lstat(path_).st_ctim));
  Remount();
  ExpectUnchangedBut(0640, 0, 0);
}

TEST_P(AttrTest, ChownChangesTheOwnerAndNothingElse) {
  const mode_t mode = before_.st_mode & 07777;
  ASSERT_EQ(0, lchown(path_.c_str(), kAlice, static_cast<gid_t>(-1)));
  ExpectUnchangedBut(mode, kAlice, 0);
  ASSERT_EQ(0, lchown(path_.c_str(), static_cast<uid_t>(-1), kStaff));
  ExpectUnchangedBut(mode, kAlice, kStaff);
  ASSERT_EQ(0, lchown(path_.c_str(), 4294967294u, 4294967294u));
  ExpectUnchangedBut(mode, 4294967294u, 4294967294u);
  ASSERT_EQ(0, lchown(path_.c_str(), kBob, kStaff));
  Remount();
  ExpectUnchangedBut(mode, kBob, kStaff);
}

TEST_P(AttrTest, TimesChangeAndNothingElse) {
  const timespec times[2] = {{1234567890, 987654321}, {-86400, 5}};
  ASSERT_EQ(0, utimensat(AT_FDCWD, path_.c_str(), times, AT_SYMLINK_NOFOLLOW));
  Remount();
  const struct stat after = Lstat(path_);
  EXPECT_EQ("-86400.000000005", TimeOf(after.st_mtim));
  before_.st_mtim = after.st_mtim;
  ExpectUnchangedBut(before_.st_mode & 07777, 0, 0);
}

TEST_P(AttrTest, ChangingTheParentsModeLeavesTheChildAlone) {
  const std::string parent = path_.substr(0, path_.rfind('/'));
  ASSERT_EQ(0, chmod(parent.c_str(), 0701));
  ExpectUnchangedBut(before_.st_mode & 07777, 0, 0);
}

TEST_P(AttrTest, ChildsCopyUpLeavesTheParentAlone) {
  const std::string parent = path_.substr(0, path_.rfind('/'));
  const struct stat parent_before = Lstat(parent);
  ASSERT_EQ(0, lchown(path_.c_str(), kAlice, kAlice));
  const struct stat parent_after = Lstat(parent);
  ExpectSame(parent_before, parent_after);
  EXPECT_EQ(parent_before.st_mode, parent_after.st_mode);
  Remount();
  EXPECT_EQ(TimeOf(parent_before.st_mtim), TimeOf(Lstat(parent).st_mtim));
}

TEST_P(AttrTest, LowerLayersAreNotTouched) {
  if (!is_union()) return;
  const std::string middle = SnapshotOf(dir() / "middle"), bottom = SnapshotOf(dir() / "bottom");
  ASSERT_EQ(0, lchown(path_.c_str(), kAlice, kAlice));
  SetXattr(path_, "trusted.x", "y");
  if (type_ == S_IFREG) AppendFile(path_, "more");
  EXPECT_EQ(0, rename(path_.c_str(), path_.c_str()));
  if (type_ != S_IFDIR) {
    EXPECT_EQ(0, unlink(path_.c_str()));
  }
  mount().Unmount();
  EXPECT_EQ(middle, SnapshotOf(dir() / "middle"));
  EXPECT_EQ(bottom, SnapshotOf(dir() / "bottom"));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, AttrTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(AllObjects())),
                         NameRow());

using AttrDetails = SyscallTest;

TEST_P(AttrDetails, DescriptorCallsChangeWhatThePathShows) {
  for (const char* name : {"lowfile", "upfile", "lowdir", "merged"}) {
    OpenFile file(P(name), O_RDONLY);
    EXPECT_EQ(0, fchmod(file.fd(), 0751));
    EXPECT_EQ(0, fchown(file.fd(), kAlice, kStaff));
    EXPECT_EQ(0751u, Lstat(P(name)).st_mode & 07777) << name;
    EXPECT_EQ(kAlice, Lstat(P(name)).st_uid);
    EXPECT_EQ(0751u, Fstat(file.fd()).st_mode & 07777);
    EXPECT_EQ(Lstat(P(name)).st_ino, Fstat(file.fd()).st_ino);
  }
}

TEST_P(AttrDetails, ChmodFollowsSymlinks) {
  EXPECT_EQ(0, chmod(P("lowlink").c_str(), 0601));
  EXPECT_EQ(0601u, Lstat(P("lowfile")).st_mode & 07777);
  EXPECT_EQ(0777u, Lstat(P("lowlink")).st_mode & 07777);
  EXPECT_EQ(0, chown(P("lowlink").c_str(), kBob, kBob));
  EXPECT_EQ(kBob, Lstat(P("lowfile")).st_uid);
  EXPECT_EQ(0u, Lstat(P("lowlink")).st_uid);
}

TEST_P(AttrDetails, ChmodOfTheRootIsKept) {
  const ino_t ino = Lstat(Root()).st_ino;
  EXPECT_EQ(0, chmod(Root().c_str(), 01775));
  EXPECT_EQ(0, chown(Root().c_str(), kAlice, kStaff));
  Remount();
  EXPECT_EQ(01775u, Lstat(Root()).st_mode & 07777);
  EXPECT_EQ(kAlice, Lstat(Root()).st_uid);
  EXPECT_EQ(ino, Lstat(Root()).st_ino);
}

TEST_P(AttrDetails, StatxAnswersWithBasicFields) {
  struct statx stx = {};
  ASSERT_EQ(0, statx(AT_FDCWD, P("lowfile").c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx));
  EXPECT_EQ(STATX_BASIC_STATS, stx.stx_mask & STATX_BASIC_STATS);
  const struct stat st = Lstat(P("lowfile"));
  EXPECT_EQ(st.st_ino, stx.stx_ino);
  EXPECT_EQ(4u, stx.stx_size);
  EXPECT_EQ(kOldSeconds, stx.stx_mtime.tv_sec);
  EXPECT_EQ(static_cast<uint32_t>(kOldNanoseconds), stx.stx_mtime.tv_nsec);
}

TEST_P(AttrDetails, BlocksFollowTheContent) {
  WriteFile(P("big"), std::string(1 << 20, 'x'));
  sync();
  EXPECT_EQ(2048, Lstat(P("big")).st_blocks);
  EXPECT_EQ(0, truncate(P("big").c_str(), 0));
  EXPECT_EQ(0, Lstat(P("big")).st_blocks);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, AttrDetails, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
