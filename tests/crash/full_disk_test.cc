// full_disk_test.cc: the filesystem of upper and work is full when the journal wants to write: the mount
// goes on, the tools say that a rescan is needed, and do it once there is room.
// Not here: what users see of a full disk.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <functional>

#include "tests/crash/full_walk.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::crash {
namespace {

class FullDiskTest : public testing::Test {
 protected:
  FullDiskTest() {
    disk_ = dir_.MakeDir("disk");
    mounted_ = ::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=8m") == 0;
    layers_ = {.lowers = {dir_.MakeDir("lower")}, .upper = disk_ + "/upper", .work = disk_ + "/work"};
    test::WriteFile(layers_.lowers[0] + "/low", "low");
    if (!mounted_) return;
    test::MakeDirs(layers_.upper);
    test::MakeDirs(layers_.work);
    test::WriteFile(layers_.upper + "/a", "");
  }
  ~FullDiskTest() override {
    mount_.reset();
    if (mounted_) ::umount2(disk_.c_str(), MNT_DETACH);
  }

  void SetUp() override {
    if (!mounted_) GTEST_SKIP() << "no tmpfs may be mounted here";
  }

  void MountUnion() {
    mount_ = std::make_unique<test::UnionMount>(test::UnionOptions{
        .lowers = layers_.lowers, .upper = layers_.upper, .work = layers_.work, .mountpoint = dir_ / "mnt"});
    ASSERT_TRUE(mount_->ok());
  }
  void Fill() {
    const int fd = ::open((disk_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    const std::string page(4096, 'f');
    while (::write(fd, page.data(), page.size()) > 0) {
    }
    ::close(fd);
  }
  // Renames need no room.
  void Move(const std::string& from, const std::string& to) {
    ASSERT_EQ(::rename((*mount_ / from).c_str(), (*mount_ / to).c_str()), 0) << from << ": " << errno;
  }
  test::ProgramResult Tool(const std::string& command) {
    return test::RunProgram({test::PlyfsBinary(), command, mount_->path()});
  }
  // There is room again.
  void ExpectRecovery() {
    ASSERT_EQ(::unlink((disk_ + "/filler").c_str()), 0);
    const std::set<std::string> walk = FullWalk(layers_);
    EXPECT_EQ(Difference(ToolChanges(layers_, mount_->path(), walk), walk), "");
    EXPECT_EQ(Tool("fsck").exit_code, 0) << Tool("fsck").out;
    test::WriteFile(*mount_ / "after", "x");
    mount_->Remount();
    const std::set<std::string> later = FullWalk(layers_);
    EXPECT_EQ(Difference(ToolChanges(layers_, mount_->path(), later), later), "");
    EXPECT_EQ(Tool("fsck").exit_code, 0) << Tool("fsck").out;
  }

  test::TempDir dir_;
  std::string disk_;
  bool mounted_ = false;
  Layers layers_;
  std::unique_ptr<test::UnionMount> mount_;
};

TEST_F(FullDiskTest, NoRoomForTheTail) {
  MountUnion();
  Fill();
  Move("a", "b");
  Move("b", "c");
  const test::ProgramResult changes = Tool("changes");
  EXPECT_NE(changes.exit_code, 0);
  EXPECT_NE(changes.err.find("No space"), std::string::npos) << changes.err;
  EXPECT_NE(Tool("fsck").exit_code, 0);
  ExpectRecovery();
}

TEST_F(FullDiskTest, NoRoomForTheDatabase) {
  MountUnion();
  Move("a", "b");
  Fill();
  Move("b", "c");
  EXPECT_NE(Tool("changes").exit_code, 0);
  EXPECT_NE(Tool("checkpoint").exit_code, 0);
  ExpectRecovery();
}

TEST_F(FullDiskTest, NoRoomWhenTheTailIsFull) {
  MountUnion();
  Move("a", "b");
  Fill();
  for (int i = 0; i < 3'000; ++i) {
    Move("b", "c");
    Move("c", "b");
    if (HasFatalFailure()) return;
  }
  EXPECT_NE(Tool("changes").exit_code, 0);
  ExpectRecovery();
}

TEST_F(FullDiskTest, NoRoomInADatabaseThatIsThere) {
  MountUnion();
  Move("a", "b");
  EXPECT_EQ(Tool("changes").exit_code, 0);
  Fill();
  for (int i = 0; i < 3'000; ++i) {
    Move("b", "c");
    Move("c", "b");
    if (HasFatalFailure()) return;
  }
  Tool("changes");
  ExpectRecovery();
}

TEST_F(FullDiskTest, TheServerEndsWhileItIsFull) {
  MountUnion();
  Fill();
  Move("a", "b");
  mount_->Unmount();
  ASSERT_EQ(::unlink((disk_ + "/filler").c_str()), 0);
  mount_->Mount();
  const std::set<std::string> walk = FullWalk(layers_);
  EXPECT_EQ(Difference(ToolChanges(layers_, mount_->path(), walk), walk), "");
}

}  // namespace
}  // namespace plyfs::crash
