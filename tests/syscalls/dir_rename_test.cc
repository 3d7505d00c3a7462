// dir_rename_test.cc: moving lower and merged directories with redirect_dir=on, and what kernel
// overlayfs then shows of the same upper.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

class DirRename : public UnionTest, public testing::WithParamInterface<Target> {
 protected:
  void SetUp() override { Start(GetParam(), GetParam() == Target::kExt4 ? "" : "redirect_dir=on"); }
  int Rename(const std::string& from, const std::string& to, unsigned flags = 0) const {
    return ErrnoOf(renameat2(AT_FDCWD, P(from).c_str(), AT_FDCWD, P(to).c_str(), flags));
  }
  // What the union shows now, after a remount, and (for plyfs) through kernel overlayfs.
  void ExpectEverywhere(const std::string& expected) {
    const SnapshotOptions options{.times = false};
    EXPECT_EQ(expected, SnapshotOf(Root(), options));
    Remount();
    EXPECT_EQ(expected, SnapshotOf(Root(), options)) << "after a remount";
    if (GetParam() != Target::kPlyfs) return;
    mount().Unmount();
    {
      UnionMount native({.target = Target::kKernelOverlay,
                         .lowers = mount().options().lowers,
                         .upper = mount().options().upper,
                         .work = dir().MakeDir("native-work"),
                         .mountpoint = dir() / "native",
                         .extra = "redirect_dir=on"});
      ASSERT_TRUE(native.ok());
      EXPECT_EQ(expected, SnapshotOf(native.path(), options)) << "in kernel overlayfs";
    }
    mount().Mount();
  }
  std::string Now() const { return SnapshotOf(Root(), {.times = false}); }
};

TEST_P(DirRename, LowerDirectoryMovesWithItsTree) {
  const ino_t ino = Lstat(P("lowdir")).st_ino, child = Lstat(P("lowdir/sub/c")).st_ino;
  ASSERT_EQ(0, Rename("lowdir", "moved"));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir")));
  EXPECT_EQ((std::vector<std::string>{"a", "b", "sub"}), ListDir(P("moved")));
  EXPECT_EQ("lowdir c\n", ReadFile(P("moved/sub/c")));
  EXPECT_EQ(ino, Lstat(P("moved")).st_ino);
  ExpectEverywhere(Now());
  EXPECT_EQ(ino, Lstat(P("moved")).st_ino);
  EXPECT_EQ(child, Lstat(P("moved/sub/c")).st_ino);
}

TEST_P(DirRename, MergedDirectoryMovesToAnotherParent) {
  ASSERT_EQ(0, Rename("merged", "lowdir/sub/moved"));
  EXPECT_EQ((std::vector<std::string>{"both", "low", "mid", "sub", "up"}),
            ListDir(P("lowdir/sub/moved")));
  ExpectEverywhere(Now());
  EXPECT_EQ("merged sub low\n", ReadFile(P("lowdir/sub/moved/sub/low")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/sub/moved/gone")));
}

TEST_P(DirRename, ChildOfAMovedDirectoryMovesOut) {
  ASSERT_EQ(0, Rename("lowdir", "moved"));
  ASSERT_EQ(0, Rename("moved/sub", "sub-out"));
  EXPECT_EQ("lowdir c\n", ReadFile(P("sub-out/c")));
  EXPECT_EQ((std::vector<std::string>{"a", "b"}), ListDir(P("moved")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, ManyTimes) {
  ASSERT_EQ(0, Rename("lowdir", "one"));
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(0, Rename("one", "merged/two"));
    ASSERT_EQ(0, Rename("merged/two", "one"));
  }
  ASSERT_EQ(0, Rename("one", "lowdir"));
  EXPECT_EQ((std::vector<std::string>{"a", "b", "sub"}), ListDir(P("lowdir")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, NewDirectoryAtTheOldNameIsEmpty) {
  ASSERT_EQ(0, Rename("lowdir", "moved"));
  ASSERT_EQ(0, mkdir(P("lowdir").c_str(), 0755));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("lowdir")));
  ExpectEverywhere(Now());
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("lowdir")));
  EXPECT_EQ("lowdir a\n", ReadFile(P("moved/a")));
}

TEST_P(DirRename, ExchangeOfTwoMergedDirectories) {
  ASSERT_EQ(0, Rename("merged", "lowdir", RENAME_EXCHANGE));
  EXPECT_EQ((std::vector<std::string>{"a", "b", "sub"}), ListDir(P("merged")));
  EXPECT_EQ("merged low\n", ReadFile(P("lowdir/low")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, ExchangeOfDirectoryAndFile) {
  ASSERT_EQ(0, Rename("lowdir", "lowfile", RENAME_EXCHANGE));
  EXPECT_EQ("low\n", ReadFile(P("lowdir")));
  EXPECT_EQ("lowdir a\n", ReadFile(P("lowfile/a")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, OverEmptyDirectoriesOfEveryOrigin) {
  ASSERT_EQ(0, Rename("lowdir", "lowempty"));
  ASSERT_EQ(0, Rename("merged", "upempty"));
  ASSERT_EQ(0, Rename("lowempty", "mergedempty"));
  EXPECT_EQ(ENOTEMPTY, Rename("mergedempty", "upempty"));
  EXPECT_EQ("lowdir a\n", ReadFile(P("mergedempty/a")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, ChangesInsideAfterTheMove) {
  ASSERT_EQ(0, Rename("lowdir", "moved"));
  AppendFile(P("moved/a"), "more\n");
  ASSERT_EQ(0, unlink(P("moved/b").c_str()));
  WriteFile(P("moved/sub/new"), "new\n");
  ASSERT_EQ(0, chmod(P("moved/sub/c").c_str(), 0600));
  ExpectEverywhere(Now());
  EXPECT_EQ("lowdir a\nmore\n", ReadFile(P("moved/a")));
}

TEST_P(DirRename, RemovalOfAMovedDirectory) {
  ASSERT_EQ(0, Rename("lowdir", "moved"));
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("moved")}).exit_code);
  EXPECT_EQ(ENOENT, LstatErrno(P("moved")));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, NestedMovesOfParentAndChild) {
  ASSERT_EQ(0, Rename("lowdir/sub", "lowdir/inner"));
  ASSERT_EQ(0, Rename("lowdir", "outer"));
  ASSERT_EQ(0, Rename("outer/inner", "merged/inner"));
  ASSERT_EQ(0, Rename("merged", "outer/merged"));
  EXPECT_EQ("lowdir c\n", ReadFile(P("outer/merged/inner/c")));
  ExpectEverywhere(Now());
}

TEST_P(DirRename, OpenDescriptorFollowsTheMove) {
  OpenFile dir_fd(P("lowdir"), O_RDONLY | O_DIRECTORY), file(P("lowdir/a"), O_RDWR);
  ASSERT_EQ(0, Rename("lowdir", "moved"));
  const int created = openat(dir_fd.fd(), "late", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  ASSERT_GE(created, 0);
  close(created);
  EXPECT_TRUE(Exists(P("moved/late")));
  EXPECT_EQ(1, pwrite(file.fd(), "L", 1, 0));
  EXPECT_EQ("Lowdir a\n", ReadFile(P("moved/a")));
}

TEST_P(DirRename, NamesThatNeedCareInARedirect) {
  for (const std::string name : {"with space", "a:b,c=\\d", "\"quoted\"", "x\ny"}) {
    ASSERT_EQ(0, Rename("lowdir", name)) << name;
    ASSERT_EQ(0, Rename(name, "merged/" + name)) << name;
    Remount();
    EXPECT_EQ("lowdir a\n", ReadFile(P("merged/" + name + "/a"))) << name;
    ASSERT_EQ(0, Rename("merged/" + name, "lowdir"));
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, DirRename, AllTargets(), TargetName);

class NativeRedirects : public UnionTest, public testing::WithParamInterface<Target> {};

TEST_P(NativeRedirects, OfKernelOverlayfsAreFollowed) {
  // The kernel writes the upper, the tested union reads it.
  Start(Target::kKernelOverlay, "redirect_dir=on,index=off");
  ASSERT_EQ(0, rename(P("lowdir").c_str(), P("moved").c_str()));
  ASSERT_EQ(0, rename(P("merged").c_str(), P("moved/merged").c_str()));
  ASSERT_EQ(0, rename(P("moved/sub").c_str(), P("moved/sub2").c_str()));
  AppendFile(P("moved/a"), "x\n");
  const std::string expected = SnapshotOf(Root(), {.times = false});
  mount().Unmount();
  int round = 0;
  for (const char* extra : {"redirect_dir=on", ""}) {
    UnionMount tested({.target = GetParam(),
                       .lowers = mount().options().lowers,
                       .upper = mount().options().upper,
                       .work = dir().MakeDir("work" + std::to_string(++round)),
                       .mountpoint = dir() / "tested",
                       .extra = extra});
    ASSERT_TRUE(tested.ok());
    EXPECT_EQ(expected, SnapshotOf(tested.path(), {.times = false})) << extra;
  }
  mount().Mount();
}

// What lies below an opaque directory is not there for a redirect either, whether or not that directory has what is looked for.
TEST_P(NativeRedirects, EndAtAnOpaqueDirectoryOnTheirWay) {
  const auto layer = [&](const std::string& path) { return dir() / path; };
  MakeDirs(layer("u/has"));
  MakeDirs(layer("u/lacks"));
  MakeDirs(layer("u/by-file"));
  MakeDirs(layer("top/a/b"));
  MakeDirs(layer("top/c"));
  MakeDirs(layer("top/e/b"));
  WriteFile(layer("top/a/b/near"), "");
  WriteFile(layer("top/e/b/near"), "");
  for (const char* name : {"a", "c", "e"}) {
    MakeDirs(layer(std::string("bottom/") + name + "/b"));
    WriteFile(layer(std::string("bottom/") + name + "/b/far"), "");
  }
  ASSERT_EQ(0, SetXattr(layer("top/a"), "trusted.overlay.opaque", "y"));
  ASSERT_EQ(0, SetXattr(layer("top/c"), "trusted.overlay.opaque", "y"));
  WriteFile(layer("top/e/.wh..wh..opq"), "");
  ASSERT_EQ(0, SetXattr(layer("u/has"), "trusted.overlay.redirect", "/a/b"));
  ASSERT_EQ(0, SetXattr(layer("u/lacks"), "trusted.overlay.redirect", "/c/b"));
  ASSERT_EQ(0, SetXattr(layer("u/by-file"), "trusted.overlay.redirect", "/e/b"));
  UnionMount tested({.target = GetParam(),
                     .lowers = {layer("top"), layer("bottom")},
                     .upper = layer("u"),
                     .work = dir().MakeDir("w"),
                     .mountpoint = dir() / "tested",
                     .extra = "redirect_dir=on"});
  ASSERT_TRUE(tested.ok());
  EXPECT_EQ(std::vector<std::string>{"near"}, ListDir(tested.path() + "/has"));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(tested.path() + "/lacks"));
  // The kernel knows no such files.
  if (GetParam() != Target::kPlyfs) return;
  EXPECT_EQ(std::vector<std::string>{"near"}, ListDir(tested.path() + "/by-file"));
}

INSTANTIATE_TEST_SUITE_P(OnUnions, NativeRedirects, UnionTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
