// rename_test.cc: what a single rename keeps, changes and refuses.
// Not here: all combinations of types (rename_matrix_test.cc), redirects (dir_rename_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

class RenameTest : public SyscallTest {
 protected:
  int Rename(const std::string& from, const std::string& to, unsigned flags = 0) const {
    return ErrnoOf(renameat2(AT_FDCWD, P(from).c_str(), AT_FDCWD, P(to).c_str(), flags));
  }
};

TEST_P(RenameTest, KeepsContentAttributesAndXattrs) {
  ASSERT_EQ(0, Rename("lowfile", "updir/moved"));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowfile")));
  EXPECT_EQ("low\n", ReadFile(P("updir/moved")));
  EXPECT_EQ("blue", GetXattr(P("updir/moved"), "user.color"));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("updir/moved")).st_mtim));
  Remount();
  EXPECT_EQ(ENOENT, LstatErrno(P("lowfile")));
  EXPECT_EQ("blue", GetXattr(P("updir/moved"), "user.color"));
}

TEST_P(RenameTest, ThereAndBackAgain) {
  for (const char* name : {"lowfile", "upfile", "covered", "lowlink", "lowfifo"}) {
    const ino_t ino = Lstat(P(name)).st_ino;
    ASSERT_EQ(0, Rename(name, "lowdir/away"));
    EXPECT_EQ(ENOENT, LstatErrno(P(name)));
    ASSERT_EQ(0, Rename("lowdir/away", name));
    EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/away")));
    EXPECT_EQ(ino, Lstat(P(name)).st_ino) << name;
  }
  Remount();
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/away")));
}

TEST_P(RenameTest, ChainOverWhiteouts) {
  ASSERT_EQ(0, Rename("lowfile", "gone"));
  ASSERT_EQ(0, Rename("gone", "merged/gone"));
  ASSERT_EQ(0, Rename("merged/gone", "opaque/hidden"));
  Remount();
  EXPECT_EQ("low\n", ReadFile(P("opaque/hidden")));
  for (const char* name : {"lowfile", "gone", "merged/gone"})
    EXPECT_EQ(ENOENT, LstatErrno(P(name))) << name;
}

TEST_P(RenameTest, OntoItselfDoesNothing) {
  for (const TreeObject& object : kTreeObjects) {
    EXPECT_EQ(0, Rename(object.path, object.path)) << object.path;
    EXPECT_EQ(EEXIST, Rename(object.path, object.path, RENAME_NOREPLACE)) << object.path;
    EXPECT_TRUE(Exists(P(object.path)));
  }
}

TEST_P(RenameTest, DirectoryIntoItselfIsRefused) {
  EXPECT_EQ(EINVAL, Rename("updir", "updir/sub/x"));
  EXPECT_EQ(EINVAL, Rename("lowdir", "lowdir/x"));
  EXPECT_EQ(EINVAL, Rename("lowdir", "lowdir/sub/x"));
  EXPECT_EQ(ENOTEMPTY, Rename("updir/sub", "updir"));
  EXPECT_EQ(EINVAL, Rename("updir", "updir/sub", RENAME_EXCHANGE));
}

TEST_P(RenameTest, FlagsAreChecked) {
  EXPECT_EQ(EINVAL, Rename("upfile", "lowfile", RENAME_NOREPLACE | RENAME_EXCHANGE));
  EXPECT_EQ(EINVAL, Rename("upfile", "lowfile", RENAME_WHITEOUT | RENAME_EXCHANGE));
  EXPECT_EQ(EINVAL, Rename("upfile", "new", 1u << 20));
  ASSERT_EQ(Expected(kRenameWhiteoutFlag), Rename("upfile", "new", RENAME_WHITEOUT));
  if (Expected(kRenameWhiteoutFlag) == 0) {
    EXPECT_EQ("up\n", ReadFile(P("new")));
    EXPECT_TRUE(S_ISCHR(Lstat(P("upfile")).st_mode)) << "a device to see, for the overlayfs above";
    EXPECT_EQ(makedev(0, 0), Lstat(P("upfile")).st_rdev);
  }
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
}

TEST_P(RenameTest, WhiteoutCannotBeRenamedIn) {
  if (!is_union()) return;
  ASSERT_EQ(0, mknod((dir() / "wh").c_str(), S_IFCHR | 0600, makedev(0, 0)));
  EXPECT_EQ(EXDEV, ErrnoOf(rename((dir() / "wh").c_str(), P("wh").c_str())));
}

TEST_P(RenameTest, ExchangeSwapsBothNamesInOneStep) {
  ASSERT_EQ(0, Rename("lowfile", "upfile", RENAME_EXCHANGE));
  EXPECT_EQ("up\n", ReadFile(P("lowfile")));
  EXPECT_EQ("low\n", ReadFile(P("upfile")));
  ASSERT_EQ(0, Rename("merged/low", "lowdir/a", RENAME_EXCHANGE));
  ASSERT_EQ(0, Rename("updir", "uplink", RENAME_EXCHANGE));
  Remount();
  EXPECT_EQ("lowdir a\n", ReadFile(P("merged/low")));
  EXPECT_EQ("merged low\n", ReadFile(P("lowdir/a")));
  EXPECT_EQ("upfile", ReadLink(P("updir")));
  EXPECT_EQ((std::vector<std::string>{"a", "sub"}), ListDir(P("uplink")));
}

TEST_P(RenameTest, UpperDirectoryMovesWithItsTree) {
  const ino_t ino = Lstat(P("updir")).st_ino, child = Lstat(P("updir/sub/c")).st_ino;
  ASSERT_EQ(0, Rename("updir", "lowdir/moved"));
  EXPECT_EQ(ino, Lstat(P("lowdir/moved")).st_ino);
  EXPECT_EQ(child, Lstat(P("lowdir/moved/sub/c")).st_ino);
  EXPECT_EQ(Lstat(P("lowdir")).st_ino, Lstat(P("lowdir/moved/..")).st_ino);
  EXPECT_EQ("updir c\n", ReadFile(P("lowdir/moved/sub/c")));
  WriteFile(P("lowdir/moved/new"), "n");
  Remount();
  EXPECT_EQ((std::vector<std::string>{"a", "new", "sub"}), ListDir(P("lowdir/moved")));
  EXPECT_EQ(ENOENT, LstatErrno(P("updir")));
}

TEST_P(RenameTest, NewDirectoryOverALowerNameHidesTheLower) {
  // The new directory takes the place of a lower file or removed directory: it must be opaque.
  ASSERT_EQ(0, Rename("upempty", "gonedir"));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("gonedir")));
  ASSERT_EQ(0, Rename("updir", "lowempty"));
  Remount();
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("gonedir")));
  EXPECT_EQ((std::vector<std::string>{"a", "sub"}), ListDir(P("lowempty")));
}

TEST_P(RenameTest, DirectoryReplacesAnEmptiedLowerDirectory) {
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("lowdir/a"), P("lowdir/b"), P("lowdir/sub")}).exit_code);
  ASSERT_EQ(0, Rename("updir", "lowdir"));
  EXPECT_EQ((std::vector<std::string>{"a", "sub"}), ListDir(P("lowdir")));
  EXPECT_EQ(std::vector<std::string>{"c"}, ListDir(P("lowdir/sub")));
  Remount();
  EXPECT_EQ((std::vector<std::string>{"a", "sub"}), ListDir(P("lowdir")));
  EXPECT_EQ("updir a\n", ReadFile(P("lowdir/a")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/b")));
}

TEST_P(RenameTest, OpaqueAndRemadeDirectoriesMoveFreely) {
  ASSERT_EQ(0, Rename("opaque", "moved"));
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("lowdir")}).exit_code);
  ASSERT_EQ(0, mkdir(P("lowdir").c_str(), 0755));
  WriteFile(P("lowdir/only"), "x");
  ASSERT_EQ(0, Rename("lowdir", "merged/moved"));
  Remount();
  EXPECT_EQ(std::vector<std::string>{"shown"}, ListDir(P("moved")));
  EXPECT_EQ(std::vector<std::string>{"only"}, ListDir(P("merged/moved")));
  EXPECT_EQ(ENOENT, LstatErrno(P("opaque")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir")));
}

TEST_P(RenameTest, LowerDirectoryNeedsRedirect) {
  EXPECT_EQ(Expected(kRenameOfLowerDirectory), Rename("lowdir", "moved"));
  // mv(1) falls back to copying.
  const bool moved = !Exists(P("lowdir"));
  if (!moved) {
    EXPECT_EQ(0, RunProgram({"mv", P("lowdir"), P("moved")}).exit_code);
  }
  Remount();
  EXPECT_EQ((std::vector<std::string>{"a", "b", "sub"}), ListDir(P("moved")));
  EXPECT_EQ("lowdir c\n", ReadFile(P("moved/sub/c")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir")));
}

TEST_P(RenameTest, TrailingSlashNeedsADirectory) {
  EXPECT_EQ(ENOTDIR, Rename("lowfile/", "new"));
  EXPECT_EQ(ENOTDIR, Rename("lowfile", "new/"));
  EXPECT_EQ(0, Rename("upempty/", "new/"));
  EXPECT_EQ(EBUSY, Rename("updir/.", "x"));
  EXPECT_EQ(EBUSY, Rename("updir/sub/..", "x"));
}

TEST_P(RenameTest, TempFileOverOriginalIsHowEditorsSave) {
  for (const char* name : {"lowfile", "covered", "merged/both"}) {
    for (int i = 0; i < 20; ++i) {
      const std::string content = "version " + std::to_string(i);
      WriteFile(P("tmp"), content);
      ASSERT_EQ(0, Rename("tmp", name));
      ASSERT_EQ(content, ReadFile(P(name)));
    }
  }
  Remount();
  EXPECT_EQ("version 19", ReadFile(P("merged/both")));
  EXPECT_EQ(ENOENT, LstatErrno(P("tmp")));
}

TEST_P(RenameTest, UpperHoldsNoTraceOfWhatWasReplaced) {
  if (!is_union()) return;
  WriteFile(P("a"), "a");
  WriteFile(P("b"), "b");
  ASSERT_EQ(0, Rename("a", "b"));
  ASSERT_EQ(0, unlink(P("b").c_str()));
  mount().Unmount();
  // Neither name exists below: no whiteout is needed.
  EXPECT_EQ(ENOENT, LstatErrno(InUpper("a")));
  EXPECT_EQ(ENOENT, LstatErrno(InUpper("b")));
}

TEST_P(RenameTest, WorkingDirectoryMovesAlong) {
  const std::string root = Root();
  EXPECT_EQ(0, RunInChild([&] {
              if (chdir((root + "/updir").c_str()) != 0) return errno;
              if (rename((root + "/updir").c_str(), (root + "/lowdir/cwd").c_str()) != 0)
                return errno;
              const int fd = open("fresh", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
              return fd < 0 ? errno : ErrnoOf(access((root + "/lowdir/cwd/fresh").c_str(), F_OK));
            }));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, RenameTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
