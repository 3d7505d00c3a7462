// no_space_test.cc: a full upper filesystem: operations fail with ENOSPC and change nothing.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/regress/loop_device.h"
#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

constexpr size_t kBig = 20 << 20;

class NoSpace : public PlyfsTest {
 protected:
  void SetUp() override {
    small_ = std::make_unique<LoopExt4>(dir().path(), 16);
    ASSERT_TRUE(small_->ok());
    MakeDirs(small_->path() + "/upper");
    MakeDirs(small_->path() + "/work");
    WriteFile(Lower("big"), std::string(kBig, 'b'));
    WriteFile(Lower("small"), "small");
    MakeDirs(Lower("d"));
    WriteFile(Lower("d/file"), "file");
    UnionOptions options = Options();
    options.upper = small_->path() + "/upper";
    options.work = small_->path() + "/work";
    Mount(options);
  }
  void TearDown() override {
    Unmount();
    small_.reset();
  }
  // Takes every free block of the upper filesystem, beside the union.
  void Fill() {
    const int fd = open((small_->path() + "/filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    const std::string block(65536, 'f');
    while (write(fd, block.data(), block.size()) > 0) {
    }
    while (write(fd, block.data(), 1) > 0) {
    }
    fsync(fd);
    close(fd);
  }
  void MakeRoom() { EXPECT_EQ(0, unlink((small_->path() + "/filler").c_str())); }

  std::unique_ptr<LoopExt4> small_;
};

TEST_F(NoSpace, FailedCopyUpOfABigFileLeavesTheUnionAsItWas) {
  const std::string before = SnapshotOf(P(""));
  EXPECT_EQ(ENOSPC, ErrnoOf(chmod(P("big").c_str(), 0600)));
  const int fd = open(P("big").c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    EXPECT_EQ(ENOSPC, ErrnoOf(pwrite(fd, "x", 1, 0)));
    close(fd);
  } else {
    EXPECT_EQ(ENOSPC, errno);
  }
  EXPECT_EQ(ENOSPC, ErrnoOf(rename(P("big").c_str(), P("moved").c_str())));
  EXPECT_EQ(ENOSPC, ErrnoOf(link(P("big").c_str(), P("linked").c_str())));
  EXPECT_EQ(ENOSPC, ErrnoOf(truncate(P("big").c_str(), kBig - 1)));
  EXPECT_EQ(before, SnapshotOf(P("")));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(small_->path() + "/upper"));
  ExpectServerLives();
}

TEST_F(NoSpace, NothingOfAFailedCopyUpKeepsItsRoom) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ENOSPC, ErrnoOf(chmod(P("big").c_str(), 0600)));
  // 10 of 16 MiB: fits only when the five attempts gave theirs back.
  WriteFile(P("fits"), std::string(10 << 20, 'x'));
  EXPECT_EQ(10 << 20, Lstat(P("fits")).st_size);
}

TEST_F(NoSpace, TruncationToZeroNeedsNoRoomForTheData) {
  EXPECT_EQ(0, truncate(P("big").c_str(), 0));
  EXPECT_EQ(0, Lstat(P("big")).st_size);
}

TEST_F(NoSpace, WritesReportTheErrorAndKeepWhatFitted) {
  const int fd = open(P("new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  const std::string block(1 << 20, 'x');
  int error = 0;
  off_t written = 0;
  for (int i = 0; i < 40 && error == 0; ++i) {
    const ssize_t wrote = write(fd, block.data(), block.size());
    if (wrote < 0)
      error = errno;
    else
      written += wrote;
  }
  if (error == 0) error = ErrnoOf(fsync(fd));
  close(fd);
  EXPECT_EQ(ENOSPC, error);
  EXPECT_LE(written, Lstat(P("new")).st_size);
  ASSERT_EQ(0, unlink(P("new").c_str()));
  WriteFile(P("after"), "room again");
  EXPECT_EQ("room again", ReadFile(P("after")));
}

TEST_F(NoSpace, ReadingGoesOnWhenEverythingIsFull) {
  Fill();
  EXPECT_EQ("small", ReadFile(P("small")));
  EXPECT_EQ((std::vector<std::string>{"big", "d", "small"}), ListDir(P("")));
  EXPECT_EQ(kBig, ReadFile(P("big")).size());
  const int fd = open(P("small").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd >= 0) {
    EXPECT_EQ(ENOSPC, ErrnoOf(write(fd, std::string(8192, 'x').data(), 8192)));
    close(fd);
  } else {
    EXPECT_EQ(ENOSPC, errno);
  }
  EXPECT_EQ("small", ReadFile(P("small")));
  ExpectServerLives();
  MakeRoom();
  AppendFile(P("small"), "!");
  Remount();
  EXPECT_EQ('!', ReadFile(P("small")).back());
}

TEST_F(NoSpace, MountOnAFullFilesystemStillReads) {
  Unmount();
  Fill();
  UnionOptions options = Options();
  options.upper = small_->path() + "/upper";
  options.work = small_->path() + "/work";
  const ProgramResult result = TryMount(options);
  if (result.exit_code != 0) {
    EXPECT_NE("", result.err) << "a refusal must say why";
  } else {
    EXPECT_EQ("small", ReadFile(options.mountpoint + "/small"));
    test::Unmount(options.mountpoint);
  }
  MakeRoom();
  Mount(options);
  EXPECT_EQ("small", ReadFile(P("small")));
}

}  // namespace
}  // namespace plyfs::test
