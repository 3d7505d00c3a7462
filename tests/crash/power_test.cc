// power_test.cc: the machine fails. Upper and work are on an ext4 in a file, which is shut down at a random
// moment (EXT4_IOC_SHUTDOWN): what was only in memory is lost, what was synced or written back is there. The tail
// gets another boot id, since the machine has not really been started again; the next mount's journal must be a
// full walk.
// Not here: the death of the server alone (kill_test.cc), a disk that loses or reorders what it has taken.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "tests/crash/full_walk.h"
#include "tests/crash/workload.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::crash {
namespace {

bool Execute(const std::vector<std::string>& argv) {
  const test::ProgramResult result = test::RunProgram(argv);
  EXPECT_EQ(result.exit_code, 0) << argv[0] << ": " << result.err;
  return result.exit_code == 0;
}

class PowerTest : public testing::Test {
 protected:
  ~PowerTest() override {
    mount_.reset();
    if (!disk_.empty()) ::umount2(disk_.c_str(), MNT_DETACH);
  }

  bool Attach() { return Execute({"mount", "-o", "loop,commit=1", dir_ / "image", disk_}); }
  void Start() {
    disk_ = dir_.MakeDir("disk");
    layers_ = {.lowers = {dir_.MakeDir("lower")}, .upper = disk_ + "/upper", .work = disk_ + "/work"};
    MakeLower(layers_.lowers[0]);
    Execute({"truncate", "-s", "256M", dir_ / "image"});
    if (!Execute({"mkfs.ext4", "-q", "-F", dir_ / "image"}) || !Attach()) return;
    test::MakeDirs(layers_.upper);
    test::MakeDirs(layers_.work);
    Execute({"sync", "-f", disk_});
    Mount();
  }
  void Mount() {
    mount_ = std::make_unique<test::UnionMount>(test::UnionOptions{
        .lowers = layers_.lowers, .upper = layers_.upper, .work = layers_.work, .mountpoint = dir_ / "mnt"});
    ASSERT_TRUE(mount_->ok());
  }
  // From one moment to the next nothing more reaches the disk; then it is mounted again.
  void Fail() {
    const int fd = ::open(disk_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t flags = 2;  // EXT4_GOING_FLAGS_NOLOGFLUSH
    ASSERT_EQ(::ioctl(fd, _IOR('X', 125, uint32_t), &flags), 0) << errno;  // EXT4_IOC_SHUTDOWN
    ::close(fd);
    for (const pid_t pid : mount_->ServerPids()) ::kill(pid, SIGKILL);
    mount_.reset();
    ASSERT_EQ(::umount2(disk_.c_str(), 0), 0) << errno;
    ASSERT_TRUE(Attach());
    ChangeBootId();
    Mount();
  }
  void ChangeBootId() {
    const std::string path = layers_.work + "/plyfs/journal/tail";
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return;  // it never reached the disk
    constexpr off_t kBootId = 40;
    char byte = 0;
    EXPECT_EQ(::pread(fd, &byte, 1, kBootId), 1);
    byte = static_cast<char>(byte + 1);
    EXPECT_EQ(::pwrite(fd, &byte, 1, kBootId), 1);
    ::close(fd);
  }
  void ExpectFullWalk() {
    const std::set<std::string> walk = FullWalk(layers_);
    EXPECT_EQ(Difference(ToolChanges(layers_, mount_->path(), walk), walk), "");
    const test::ProgramResult fsck = test::RunProgram({test::PlyfsBinary(), "fsck", mount_->path()});
    EXPECT_EQ(fsck.exit_code, 0) << fsck.out;
  }

  test::TempDir dir_;
  Layers layers_;
  std::string disk_;
  std::unique_ptr<test::UnionMount> mount_;
};

TEST_F(PowerTest, TheJournalIsAFullWalkAfterEachFailure) {
  Start();
  ASSERT_FALSE(HasFailure());
  std::mt19937_64 random(std::random_device{}());
  for (int round = 0; round < 6 && !HasFailure(); ++round) {
    std::atomic<bool> stop = false;
    const uint64_t seed = random();
    std::thread worker([&] { RunThread(mount_->path(), seed, stop); });
    ::usleep(random() % 2'500'000);
    if (round % 2 == 1) test::RunProgram({test::PlyfsBinary(), "checkpoint", "create", "c" + std::to_string(round), mount_->path()});
    stop = true;
    worker.join();
    Fail();
    if (!HasFailure()) ExpectFullWalk();
  }
}

TEST_F(PowerTest, ACheckpointThatWasMadeIsThereAndDividesBeforeFromAfter) {
  Start();
  ASSERT_FALSE(HasFailure());
  test::WriteFile(*mount_ / "before", "x");
  ASSERT_TRUE(Execute({test::PlyfsBinary(), "checkpoint", "create", "one", mount_->path()}));
  Fail();
  ASSERT_FALSE(HasFailure());
  test::WriteFile(*mount_ / "after", "x");
  const test::ProgramResult changes = test::RunProgram({test::PlyfsBinary(), "changes", "--since", "one", mount_->path()});
  EXPECT_EQ(changes.exit_code, 0) << changes.err;
  EXPECT_NE(changes.out.find("A /after\n"), std::string::npos) << changes.out;
  ExpectFullWalk();
}

TEST_F(PowerTest, AnUnmountThatWasEndedIsKept) {
  Start();
  ASSERT_FALSE(HasFailure());
  test::WriteFile(*mount_ / "d0/l2", "changed");
  const ino_t number = test::Lstat(*mount_ / "d0/l2").st_ino;
  mount_->Unmount();
  Execute({"sync", "-f", disk_});  // of the upper, which nobody else syncs
  mount_->Mount();
  Fail();
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(test::Lstat(*mount_ / "d0/l2").st_ino, number);
  EXPECT_EQ(test::RunProgram({test::PlyfsBinary(), "fsck", mount_->path()}).exit_code, 0) << "nothing had been in doubt";
  ExpectFullWalk();
}

}  // namespace
}  // namespace plyfs::crash
