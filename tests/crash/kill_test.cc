// kill_test.cc: kill -9 of the server at random moments while threads change the union; after each
// the next mount must have the journal of a full walk, whole files, the numbers of before, and link counts
// that are the number of names.
// Not here: kills at chosen steps (step_test.cc), failures of the machine (power_test.cc).
// Thread safety: the test starts its own threads.
//
// $PLYFS_CRASH_KILLS: how many kills (default: as many as take 25 seconds).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include "tests/crash/full_walk.h"
#include "tests/crash/workload.h"
#include "tests/harness/child.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::crash {
namespace {

using Clock = std::chrono::steady_clock;

// A union that is thrown away after some kills, so that small trees and large ones are seen.
class KilledUnion {
 public:
  KilledUnion() {
    layers_ = {.lowers = {dir_.MakeDir("lower")}, .upper = dir_.MakeDir("upper"), .work = dir_.MakeDir("work")};
    MakeLower(layers_.lowers[0]);
    mount_ = std::make_unique<test::UnionMount>(test::UnionOptions{
        .lowers = layers_.lowers, .upper = layers_.upper, .work = layers_.work, .mountpoint = dir_ / "mnt"});
    numbers_ = Numbers(mount_->path());
  }

  // Works on it with three threads, kills the server after `microseconds`, and mounts it again.
  void KillAfter(int microseconds, uint64_t seed) {
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 3; ++i) {
      threads.emplace_back([this, &stop, seed, i] { operations_ += RunThread(mount_->path(), seed * 3 + i, stop); });
    }
    ::usleep(microseconds);
    for (const pid_t pid : mount_->ServerPids()) ::kill(pid, SIGKILL);
    stop = true;
    for (std::thread& thread : threads) thread.join();
    mount_->Remount();
  }

  void Check() {
    ASSERT_TRUE(mount_->ok());
    for (const std::string& problem : CheckTree(mount_->path(), numbers_)) ADD_FAILURE() << problem;
    const test::ProgramResult fsck = test::RunProgram({test::PlyfsBinary(), "fsck", mount_->path()});
    fsck_ = fsck.exit_code == 0 ? "" : fsck.out + fsck.err;
    const std::set<std::string> walk = FullWalk(layers_);
    EXPECT_EQ(Difference(ToolChanges(layers_, mount_->path(), walk), walk), "");
    const test::ProgramResult after = test::RunProgram({test::PlyfsBinary(), "fsck", mount_->path()});
    EXPECT_EQ(after.exit_code, 0) << after.out << after.err;
  }

  const std::string& fsck() const { return fsck_; }  // before the first list
  uint64_t operations() const { return operations_; }
  void Unmount() { mount_->Unmount(); }

 private:
  test::TempDir dir_;
  Layers layers_;
  std::unique_ptr<test::UnionMount> mount_;
  std::map<int, ino_t> numbers_;
  std::string fsck_;
  std::atomic<uint64_t> operations_ = 0;
};

TEST(Kill, TheJournalIsAFullWalkAndFilesAreWholeAfterEachKill) {
  const char* wanted = std::getenv("PLYFS_CRASH_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 1'000'000;
  const auto end = wanted != nullptr ? Clock::time_point::max() : Clock::now() + std::chrono::seconds(25);
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  int done = 0;
  int unclean = 0;
  uint64_t operations = 0;
  while (done < kills && Clock::now() < end && !testing::Test::HasFailure()) {
    KilledUnion tree;
    for (int i = 0; i < 12 && done < kills && Clock::now() < end; ++i, ++done) {
      tree.KillAfter(static_cast<int>(random() % 40'000), random());
      tree.Check();
      if (!tree.fsck().empty() && unclean++ < 5) std::printf("after kill %d: %s", done, tree.fsck().c_str());
      if (testing::Test::HasFailure()) break;
    }
    operations += tree.operations();
  }
  std::printf("%d kills, %llu operations; fsck had something to say before the first list after %d\n", done,
              static_cast<unsigned long long>(operations), unclean);
  EXPECT_GT(done, 0);
}

}  // namespace
}  // namespace plyfs::crash
