// on_disk_test.cc: what others leave in layers and what they find in an upper of ours.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

class OnDisk : public PlyfsTest {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b/one", "b/two", "c/deep/x", "c/deep/y", "hidden/x"}) {
      const std::string path = Lower(name);
      MakeDirs(path.substr(0, path.rfind('/')));
      WriteFile(path, name);
    }
    MakeSymlink("a", Lower("link"));
    WriteFile(Lower("hard1"), "hard");
    MakeHardLink(Lower("hard1"), Lower("hard2"));
  }
  // Changes of every kind, by path only.
  static void ChangeMuch(const std::string& root) {
    AppendFile(root + "/a", " changed");
    ASSERT_EQ(0, unlink((root + "/b/one").c_str()));
    ASSERT_EQ(0, RunProgram({"rm", "-r", root + "/c/deep"}).exit_code);
    ASSERT_EQ(0, mkdir((root + "/c/deep").c_str(), 0711));
    WriteFile(root + "/c/deep/new", "new");
    ASSERT_EQ(0, rename((root + "/link").c_str(), (root + "/b/link").c_str()));
    ASSERT_EQ(0, RunProgram({"rm", "-r", root + "/hidden"}).exit_code);
    ASSERT_EQ(0, mkfifo((root + "/fifo").c_str(), 0600));
    ASSERT_EQ(0, mknod((root + "/null").c_str(), S_IFCHR | 0600, makedev(1, 3)));
    EXPECT_EQ(0, SetXattr(root + "/b", "user.note", "n"));
  }
  UnionOptions Other(Target target, const std::string& work) {
    UnionOptions options = Options();
    options.target = target;
    options.work = dir().MakeDir(work);
    options.mountpoint = dir() / "other";
    return options;
  }
  static std::string Tree(const std::string& root) { return SnapshotOf(root, {.times = false}); }
};

TEST_F(OnDisk, UpperOfPlyfsIsReadByKernelOverlayfs) {
  Mount();
  ChangeMuch(mount().path());
  const std::string expected = Tree(mount().path());
  Unmount();
  UnionMount native(Other(Target::kKernelOverlay, "w2"));
  EXPECT_EQ(expected, Tree(native.path()));
}

TEST_F(OnDisk, UpperOfPlyfsIsReadByFuseOverlayfs) {
  Mount();
  ChangeMuch(mount().path());
  const std::string expected = Tree(mount().path());
  Unmount();
  UnionMount other(Other(Target::kFuseOverlayfs, "w2"));
  EXPECT_EQ(expected, Tree(other.path()));
}

TEST_F(OnDisk, UpperOfKernelOverlayfsIsReadByPlyfs) {
  std::string expected;
  {
    UnionMount native(Other(Target::kKernelOverlay, "w2"));
    ASSERT_TRUE(native.ok());
    ChangeMuch(native.path());
    expected = Tree(native.path());
  }
  Mount();
  EXPECT_EQ(expected, Tree(mount().path()));
}

TEST_F(OnDisk, UpperOfKernelOverlayfsWithIndexIsReadByPlyfs) {
  std::string expected;
  UnionOptions options = Other(Target::kKernelOverlay, "w2");
  options.extra = "index=on";
  {
    UnionMount native(options);
    ASSERT_TRUE(native.ok());
    ChangeMuch(native.path());
    AppendFile(native / "hard1", "x");
    expected = Tree(native.path());
  }
  Mount();
  EXPECT_EQ("hardx", ReadFile(P("hard1")));
  EXPECT_EQ(expected.substr(0, expected.find("hard1")),
            Tree(mount().path()).substr(0, expected.find("hard1")));
}

TEST_F(OnDisk, UpperOfFuseOverlayfsIsReadByPlyfs) {
  std::string expected;
  {
    UnionMount other(Other(Target::kFuseOverlayfs, "w2"));
    ASSERT_TRUE(other.ok());
    ChangeMuch(other.path());
    expected = Tree(other.path());
  }
  Mount();
  EXPECT_EQ(expected, Tree(mount().path()));
}

TEST_F(OnDisk, KernelOverlayfsWorksOnTheUpperBetweenTwoMountsOfPlyfs) {
  Mount();
  ChangeMuch(mount().path());
  mount().Unmount();
  std::string expected;
  {
    UnionMount native(Other(Target::kKernelOverlay, "w2"));
    ASSERT_TRUE(native.ok());
    WriteFile(native / "b/one", "again");
    ASSERT_EQ(0, unlink((native / "c/deep/new").c_str()));
    AppendFile(native / "b/two", " native");
    expected = Tree(native.path());
  }
  mount().Mount();
  EXPECT_EQ(expected, Tree(mount().path()));
}

TEST_F(OnDisk, EditsOfTheUpperWhileUnmountedAreSeen) {
  Mount();
  AppendFile(P("a"), "1");
  WriteFile(P("mine"), "1");
  mount().Unmount();
  WriteFile(Upper("unpacked"), "x");
  WriteFile(Upper("a"), "replaced");
  ASSERT_EQ(0, unlink(Upper("mine").c_str()));
  MakeWhiteout(Upper("link"));
  MakeDirs(Upper("b"));
  MakeOpaque(Upper("b"));
  mount().Mount();
  EXPECT_EQ("x", ReadFile(P("unpacked")));
  EXPECT_EQ("replaced", ReadFile(P("a")));
  EXPECT_EQ(ENOENT, LstatErrno(P("mine")));
  EXPECT_EQ(ENOENT, LstatErrno(P("link")));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("b")));
}

TEST_F(OnDisk, LosingTheWorkdirLosesNoData) {
  Mount();
  ChangeMuch(mount().path());
  AppendFile(P("hard1"), "x");
  const std::string expected = SnapshotOf(P("b"), {.times = false});
  mount().Unmount();
  ASSERT_EQ(0, RemoveTree(dir() / "work"));
  dir().MakeDir("work");
  mount().Mount();
  EXPECT_EQ(expected, SnapshotOf(P("b"), {.times = false}));
  EXPECT_EQ("a changed", ReadFile(P("a")));
  EXPECT_EQ("hardx", ReadFile(P("hard1")));
}

TEST_F(OnDisk, WhPrefixIsWrittenWhenDeviceWhiteoutsAreDisabled) {
  UnionOptions options = Options();
  options.environment = {"FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT=1"};
  Mount(options);
  ASSERT_EQ(0, unlink(P("a").c_str()));
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("b")}).exit_code);
  EXPECT_EQ(ENOENT, LstatErrno(P("a")));
  EXPECT_EQ(ENOENT, LstatErrno(Upper("a")));
  EXPECT_TRUE(Exists(Upper(".wh.a")));
  EXPECT_TRUE(Exists(Upper(".wh.b")));
  Remount();
  EXPECT_EQ(ENOENT, LstatErrno(P("a")));
  EXPECT_EQ(ENOENT, LstatErrno(P("b")));
  WriteFile(P("a"), "again");
  EXPECT_EQ("again", ReadFile(P("a")));
  Remount();
  EXPECT_EQ("again", ReadFile(P("a")));
}

TEST_F(OnDisk, OverrideStatOfAContainerStorageIsShown) {
  // A layer says by its root that it uses the form.
  for (const std::string& root : {Lower(""), Upper("")})
    ASSERT_EQ(0, SetXattr(root, "user.containers.override_stat", "0:0:755"));
  WriteFile(Lower("mode2"), "x", 0600);
  ASSERT_EQ(0, SetXattr(Lower("mode2"), "user.containers.override_stat", "1000:1001:4755"));
  MakeDirs(Lower("dir2"));
  ASSERT_EQ(0, SetXattr(Lower("dir2"), "user.containers.override_stat", "7:8:1777:dir"));
  WriteFile(Lower("dev"), "");
  ASSERT_EQ(0, SetXattr(Lower("dev"), "user.containers.override_stat", "0:0:0666:char-1-3"));
  const std::string old_layer = dir().MakeDir("old");
  ASSERT_EQ(0, SetXattr(old_layer, "user.fuseoverlayfs.override_stat", "0:0:755"));
  WriteFile(old_layer + "/legacy", "x", 0600);
  ASSERT_EQ(0, SetXattr(old_layer + "/legacy", "user.fuseoverlayfs.override_stat", "5:6:0640"));
  UnionOptions options = Options("xattr_permissions=2");
  options.lowers.push_back(old_layer);
  Mount(options);
  EXPECT_EQ(1000u, Lstat(P("mode2")).st_uid);
  EXPECT_EQ(1001u, Lstat(P("mode2")).st_gid);
  EXPECT_EQ(04755u, Lstat(P("mode2")).st_mode & 07777);
  EXPECT_EQ(01777u, Lstat(P("dir2")).st_mode & 07777);
  EXPECT_TRUE(S_ISCHR(Lstat(P("dev")).st_mode));
  EXPECT_EQ(makedev(1, 3), Lstat(P("dev")).st_rdev);
  EXPECT_EQ(5u, Lstat(P("legacy")).st_uid);
  EXPECT_EQ(std::vector<std::string>{}, ListXattrs(P("mode2")));
  ASSERT_EQ(0, chmod(P("mode2").c_str(), 0700));
  ASSERT_EQ(0, chown(P("mode2").c_str(), 42, 43));
  Remount();
  EXPECT_EQ(42u, Lstat(P("mode2")).st_uid);
  EXPECT_EQ(0700u, Lstat(P("mode2")).st_mode & 07777);
  EXPECT_NE(42u, Lstat(Upper("mode2")).st_uid) << "the owner is in the xattr";
}

}  // namespace
}  // namespace plyfs::test
