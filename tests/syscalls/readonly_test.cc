// readonly_test.cc: a union without upper, and one mounted ro.
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

class ReadOnlyUnion : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    for (const char* name : {"bottom", "middle", "top"}) dir_.MakeDir(name);
    LayerWriter bottom(dir_ / "bottom", LayerWriter::Kind::kLayer);
    LayerWriter middle(dir_ / "middle", LayerWriter::Kind::kLayer);
    LayerWriter top(dir_ / "top", LayerWriter::Kind::kLayer);
    LayerSet layers{bottom, middle, top};
    BuildStandardTree(layers);
    union_ = std::make_unique<UnionMount>(
        UnionOptions{.target = GetParam(),
                     .lowers = {dir_ / "top", dir_ / "middle", dir_ / "bottom"},
                     .mountpoint = dir_ / "union",
                     .extra = GetParam() == Target::kPlyfs ? "dev" : ""});
    ASSERT_TRUE(union_->ok());
  }
  std::string P(const std::string& name) const { return *union_ / name; }

  TempDir dir_;
  std::unique_ptr<UnionMount> union_;
};

TEST_P(ReadOnlyUnion, EveryChangeIsRefused) {
  for (const char* name : {"lowfile", "upfile", "covered", "merged/low"}) {
    const std::string path = P(name);
    EXPECT_EQ(EROFS, ErrnoOf(open(path.c_str(), O_WRONLY | O_CLOEXEC)));
    EXPECT_EQ(EROFS, ErrnoOf(open(path.c_str(), O_RDONLY | O_TRUNC | O_CLOEXEC)));
    EXPECT_EQ(EROFS, ErrnoOf(truncate(path.c_str(), 0)));
    EXPECT_EQ(EROFS, ErrnoOf(chmod(path.c_str(), 0600)));
    EXPECT_EQ(EROFS, ErrnoOf(lchown(path.c_str(), 1, 1)));
    EXPECT_EQ(EROFS, ErrnoOf(utimensat(AT_FDCWD, path.c_str(), nullptr, 0)));
    EXPECT_EQ(EROFS, ErrnoOf(unlink(path.c_str())));
    EXPECT_EQ(EROFS, ErrnoOf(rename(path.c_str(), P("new").c_str())));
    EXPECT_EQ(EROFS, ErrnoOf(link(path.c_str(), P("new").c_str())));
    EXPECT_EQ(EROFS, SetXattr(path, "user.x", "y"));
    EXPECT_EQ(EROFS, RemoveXattr(path, "user.color"));
    EXPECT_EQ(EROFS, ErrnoOf(access(path.c_str(), W_OK)));
  }
  for (const char* name : {"new", "lowdir/new", "merged/new"}) {
    const std::string path = P(name);
    EXPECT_EQ(EROFS, ErrnoOf(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)));
    EXPECT_EQ(EROFS, ErrnoOf(mkdir(path.c_str(), 0755)));
    EXPECT_EQ(EROFS, ErrnoOf(mkfifo(path.c_str(), 0644)));
    EXPECT_EQ(EROFS, ErrnoOf(symlink("x", path.c_str())));
  }
  EXPECT_EQ(EROFS, ErrnoOf(rmdir(P("lowempty").c_str())));
  EXPECT_EQ(EROFS, ErrnoOf(rmdir(P("lowdir").c_str())));
}

TEST_P(ReadOnlyUnion, ShowsTheMergedTree) {
  EXPECT_EQ("covered up\n", ReadFile(P("covered")));
  EXPECT_EQ("both middle\n", ReadFile(P("both")));
  EXPECT_EQ("deep\n", ReadFile(P("deepfile")));
  EXPECT_EQ(ENOENT, LstatErrno(P("gone")));
  EXPECT_EQ(ENOENT, LstatErrno(P("merged/gone")));
  EXPECT_EQ((std::vector<std::string>{"both", "low", "mid", "sub", "up"}), ListDir(P("merged")));
  EXPECT_EQ(std::vector<std::string>{"shown"}, ListDir(P("opaque")));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("mergedempty")));
}

TEST_P(ReadOnlyUnion, DevicesFifosAndSocketsStillWork) {
  OpenFile null(P("lowchr"), O_RDWR);
  EXPECT_EQ(1, write(null.fd(), "x", 1));
  OpenFile fifo(P("lowfifo"), O_RDWR);
  EXPECT_EQ(1, write(fifo.fd(), "x", 1));
}

TEST_P(ReadOnlyUnion, MissingNamesAreEnoentNotErofs) {
  EXPECT_EQ(ENOENT, ErrnoOf(open(P("missing").c_str(), O_RDWR | O_CLOEXEC)));
  EXPECT_EQ(ENOENT, ErrnoOf(chmod(P("missing").c_str(), 0600)));
  EXPECT_EQ(EEXIST, ErrnoOf(mkdir(P("lowdir").c_str(), 0755)));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, ReadOnlyUnion, UnionTargets(), TargetName);

class MountedReadOnly : public UnionTest, public testing::WithParamInterface<Target> {};

TEST_P(MountedReadOnly, RefusesChangesAndSaysSo) {
  Start(GetParam());
  const unsigned long bind = GetParam() == Target::kExt4 ? MS_BIND : 0;
  const std::string view = bind != 0 ? dir().MakeDir("view") : Root();
  if (bind != 0) {
    ASSERT_EQ(0, ::mount(Root().c_str(), view.c_str(), nullptr, MS_BIND, nullptr));
  }
  ASSERT_EQ(0, ::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr));
  EXPECT_EQ(EROFS, ErrnoOf(chmod((view + "/lowfile").c_str(), 0600)));
  EXPECT_EQ(EROFS, ErrnoOf(mkdir((view + "/new").c_str(), 0700)));
  struct statvfs fs = {};
  EXPECT_EQ(0, statvfs(view.c_str(), &fs));
  EXPECT_NE(0u, fs.f_flag & ST_RDONLY);
  if (bind != 0) {
    EXPECT_EQ(0, umount(view.c_str()));
    return;
  }
  ASSERT_EQ(0, ::mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr));
  EXPECT_EQ(0, chmod(P("lowfile").c_str(), 0600));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, MountedReadOnly, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
