// unlink_test.cc: unlink and rmdir of every kind of object, and making the name again.
// Not here: files that are still open (open_unlinked_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct RemoveCase {
  const char* name;
  int unlink_error;  // EISDIR for directories
  int rmdir_error;
};

const RemoveCase kRemoveCases[] = {
    {"lowfile", 0, ENOTDIR},
    {"deepfile", 0, ENOTDIR},
    {"upfile", 0, ENOTDIR},
    {"covered", 0, ENOTDIR},
    {"both", 0, ENOTDIR},
    {"merged/low", 0, ENOTDIR},
    {"merged/both", 0, ENOTDIR},
    {"merged/up", 0, ENOTDIR},
    {"merged/gone", ENOENT, ENOENT},
    {"opaque/shown", 0, ENOTDIR},
    {"opaque/hidden", ENOENT, ENOENT},
    {"gone", ENOENT, ENOENT},
    {"gonedir", ENOENT, ENOENT},
    {"dirfile", 0, ENOTDIR},
    {"lowlink", 0, ENOTDIR},
    {"lowdirlink", 0, ENOTDIR},
    {"dangling", 0, ENOTDIR},
    {"loop1", 0, ENOTDIR},
    {"uplink", 0, ENOTDIR},
    {"lowfifo", 0, ENOTDIR},
    {"upfifo", 0, ENOTDIR},
    {"lowsock", 0, ENOTDIR},
    {"lowchr", 0, ENOTDIR},
    {"lowblk", 0, ENOTDIR},
    {"upchr", 0, ENOTDIR},
    {"lowhard1", 0, ENOTDIR},
    {"uphard1", 0, ENOTDIR},
    {"lowdir", EISDIR, ENOTEMPTY},
    {"lowdir/sub", EISDIR, ENOTEMPTY},
    {"merged", EISDIR, ENOTEMPTY},
    {"merged/sub", EISDIR, ENOTEMPTY},
    {"opaque", EISDIR, ENOTEMPTY},
    {"updir", EISDIR, ENOTEMPTY},
    {"filedir", EISDIR, ENOTEMPTY},
    {"lowempty", EISDIR, 0},
    {"upempty", EISDIR, 0},
    {"mergedempty", EISDIR, 0},
};

class RemoveTest : public RowTest<RemoveCase> {
 protected:
  void ExpectGone() {
    const std::string path = P(row().name), parent = path.substr(0, path.rfind('/'));
    const std::string base = path.substr(path.rfind('/') + 1);
    EXPECT_EQ(ENOENT, LstatErrno(path));
    const std::vector<std::string> names = ListDir(parent);
    EXPECT_EQ(names.end(), std::find(names.begin(), names.end(), base));
  }
};

TEST_P(RemoveTest, UnlinkRemovesNonDirectories) {
  EXPECT_EQ(row().unlink_error, ErrnoOf(unlink(P(row().name).c_str())));
  if (row().unlink_error == EISDIR) {
    EXPECT_TRUE(Exists(P(row().name)));
    return;
  }
  ExpectGone();
  EXPECT_EQ(ENOENT, ErrnoOf(unlink(P(row().name).c_str())));
  Remount();
  ExpectGone();
}

TEST_P(RemoveTest, RmdirRemovesEmptyDirectories) {
  EXPECT_EQ(row().rmdir_error, ErrnoOf(rmdir(P(row().name).c_str())));
  if (row().rmdir_error != 0 && row().rmdir_error != ENOENT) {
    EXPECT_TRUE(Exists(P(row().name)));
    return;
  }
  ExpectGone();
  Remount();
  ExpectGone();
}

TEST_P(RemoveTest, DirectoryMadeInItsPlaceIsEmpty) {
  const std::string path = P(row().name);
  if (row().unlink_error == EISDIR) {
    ASSERT_EQ(0, RunProgram({"rm", "-r", path}).exit_code);
  }
  if (row().unlink_error == 0) {
    ASSERT_EQ(0, unlink(path.c_str()));
  }
  ASSERT_EQ(0, mkdir(path.c_str(), 0700));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(path));
  for (const char* child : {"a", "b", "sub", "x", "low", "mid", "hidden"})
    EXPECT_EQ(ENOENT, LstatErrno(path + "/" + child)) << child;
  Remount();
  EXPECT_EQ(std::vector<std::string>{}, ListDir(path));
  EXPECT_EQ(0700u, Lstat(path).st_mode & 07777);
  WriteFile(path + "/a", "new\n");
  EXPECT_EQ(std::vector<std::string>{"a"}, ListDir(path));
  EXPECT_EQ("new\n", ReadFile(path + "/a"));
}

TEST_P(RemoveTest, FileMadeInItsPlaceIsNew) {
  const std::string path = P(row().name);
  if (row().unlink_error == EISDIR) {
    ASSERT_EQ(0, RunProgram({"rm", "-r", path}).exit_code);
  }
  if (row().unlink_error == 0) {
    ASSERT_EQ(0, unlink(path.c_str()));
  }
  WriteFile(path, "new\n", 0604);
  Remount();
  EXPECT_EQ("new\n", ReadFile(path));
  EXPECT_EQ(0604u, Lstat(path).st_mode & 07777);
  EXPECT_EQ(std::vector<std::string>{}, ListXattrs(path));
  ASSERT_EQ(0, unlink(path.c_str()));
  Remount();
  ExpectGone();
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, RemoveTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(kRemoveCases)),
                         NameRow());

using UnlinkDetails = SyscallTest;

TEST_P(UnlinkDetails, WholeTreesCanBeRemovedAndStayGone) {
  for (const char* name : {"lowdir", "merged", "opaque", "updir", "filedir"}) {
    ASSERT_EQ(0, RunProgram({"rm", "-rf", P(name)}).exit_code);
    EXPECT_EQ(ENOENT, LstatErrno(P(name)));
  }
  Remount();
  for (const char* name : {"lowdir", "merged", "opaque", "updir", "filedir"})
    EXPECT_EQ(ENOENT, LstatErrno(P(name))) << name;
}

TEST_P(UnlinkDetails, EverythingInTheRootCanBeRemoved) {
  for (const std::string& name : ListDir(Root()))
    ASSERT_EQ(0, RunProgram({"rm", "-rf", P(name)}).exit_code);
  EXPECT_EQ(std::vector<std::string>{}, ListDir(Root()));
  Remount();
  EXPECT_EQ(std::vector<std::string>{}, ListDir(Root()));
}

TEST_P(UnlinkDetails, DirectoryWithOnlyWhiteoutsIsRemovedWithThem) {
  ASSERT_EQ(0, unlink(P("lowdir/a").c_str()));
  ASSERT_EQ(0, unlink(P("lowdir/b").c_str()));
  EXPECT_EQ(ENOTEMPTY, ErrnoOf(rmdir(P("lowdir").c_str())));
  ASSERT_EQ(0, unlink(P("lowdir/sub/c").c_str()));
  ASSERT_EQ(0, rmdir(P("lowdir/sub").c_str()));
  ASSERT_EQ(0, rmdir(P("lowdir").c_str()));
  Remount();
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir")));
}

TEST_P(UnlinkDetails, NestedRemovedAndRemadeDirectoryShowsNoLowerEntry) {
  // fuse-overlayfs showed them again.
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("lowdir")}).exit_code);
  ASSERT_EQ(0, mkdir(P("lowdir").c_str(), 0755));
  ASSERT_EQ(0, mkdir(P("lowdir/sub").c_str(), 0755));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("lowdir/sub")));
  Remount();
  EXPECT_EQ(std::vector<std::string>{"sub"}, ListDir(P("lowdir")));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("lowdir/sub")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/sub/c")));
}

TEST_P(UnlinkDetails, DotsAndSlashes) {
  EXPECT_EQ(EINVAL, ErrnoOf(rmdir(P("lowempty/.").c_str())));
  EXPECT_EQ(ENOTEMPTY, ErrnoOf(rmdir(P("lowempty/..").c_str())));
  EXPECT_EQ(ENOTDIR, ErrnoOf(unlink(P("lowfile/").c_str())));
  EXPECT_EQ(0, ErrnoOf(rmdir(P("lowempty/").c_str())));
  EXPECT_EQ(ENOTDIR, ErrnoOf(rmdir(P("lowdirlink/").c_str())));
}

TEST_P(UnlinkDetails, MountpointItselfIsBusy) {
  if (is_union()) {
    EXPECT_EQ(EBUSY, ErrnoOf(rmdir(Root().c_str())));
  }
}

TEST_P(UnlinkDetails, WorkingDirectoryCanBeRemoved) {
  const std::string root = Root();
  const bool no_links = Expected(kLinksOfRemovedDirectory) == 0;
  EXPECT_EQ(0, RunInChild([&] {
              if (chdir((root + "/lowempty").c_str()) != 0) return errno;
              if (rmdir((root + "/lowempty").c_str()) != 0) return errno;
              if (ErrnoOf(open("new", O_CREAT | O_RDWR, 0600)) != ENOENT) return 200;
              if (ErrnoOf(mkdir("new", 0700)) != ENOENT) return 201;
              struct stat st;
              if (stat(".", &st) != 0) return errno;
              return (st.st_nlink == 0) == no_links ? 0 : 202;
            }));
}

TEST_P(UnlinkDetails, RepeatedCreateAndRemoveOfOneName) {
  for (int i = 0; i < 100; ++i) {
    WriteFile(P("gone"), std::to_string(i));
    EXPECT_EQ(std::to_string(i), ReadFile(P("gone")));
    ASSERT_EQ(0, unlink(P("gone").c_str()));
    ASSERT_EQ(0, mkdir(P("gone").c_str(), 0755));
    EXPECT_EQ(std::vector<std::string>{}, ListDir(P("gone")));
    ASSERT_EQ(0, rmdir(P("gone").c_str()));
    EXPECT_EQ(ENOENT, LstatErrno(P("gone")));
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, UnlinkDetails, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
