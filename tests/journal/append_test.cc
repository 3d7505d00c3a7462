// append_test.cc: records of many threads, more than the tail holds, while tools ask and the database is filled.
// Not here: what becomes of a killed server (tests/crash).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "fs/journal/journal.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {
namespace {

constexpr uint64_t kThreads = 4;
constexpr int kEach = 5'000;

class AppendTest : public testing::Test {
 protected:
  AppendTest() : work_(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY)) { Open(); }

  void Open() {
    journal_.reset();
    journal_ = std::make_unique<Journal>(JournalOptions{.work = work_.get(), .root_inode = 1, .upper_is_empty = true, .syncs = false});
  }
  void Fill(uint64_t dir, int count) {
    for (int i = 0; i < count; ++i) {
      const JournalName name{.dir = dir, .text = "name" + std::to_string(i)};
      std::vector<Record> records = {{.type = RecordType::kTouch, .name = name},
                                     {.type = RecordType::kEvent, .name = name, .event = 1}};
      journal_->Append(records);
    }
  }
  int CountTouches() {
    int count = 0;
    const Errno error = journal_->WithStore([&](Store& store, uint32_t /*epoch*/) {
      return store.ForEachTouch(0, [&](const StoredTouch& /*touch*/) {
        ++count;
        return true;
      });
    });
    EXPECT_EQ(error.value(), 0);
    return count;
  }

  TempDir dir_;
  UniqueFd work_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(AppendTest, NothingIsMissingWhateverTheThreadsDo) {
  std::vector<std::thread> threads;
  for (uint64_t dir = 1; dir <= kThreads; ++dir) threads.emplace_back([this, dir] { Fill(dir, kEach); });
  // Tools ask meanwhile.
  int seen = 0;
  while (seen < static_cast<int>(kThreads) * kEach / 2) {
    const int count = CountTouches();
    EXPECT_GE(count, seen);
    seen = count;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(journal_->lost());
  EXPECT_EQ(CountTouches(), static_cast<int>(kThreads) * kEach);
  EXPECT_EQ(journal_->pending_records(), 0u);
}

TEST_F(AppendTest, WhatIsInBothHalvesOutlivesTheJournal) {
  Fill(1, kEach);
  EXPECT_GT(journal_->pending_records(), 0u);
  Open();
  EXPECT_EQ(CountTouches(), kEach);
  EXPECT_FALSE(journal_->doubt().everything);
}

// A user may have as many processes as he is allowed to; RocksDB needs threads of its own. The server must go on.
TEST_F(AppendTest, AFaultOfMakingThreadsLosesItAndNoMore) {
  journal_.reset();
  ASSERT_EQ(::fchown(work_.get(), 65534, 65534), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::setgid(65534) != 0 || ::setuid(65534) != 0 || ::setrlimit(RLIMIT_NPROC, &none) != 0) ::_exit(2);
    pthread_t thread;
    if (::pthread_create(&thread, nullptr, [](void* p) { return p; }, nullptr) == 0) ::_exit(3);
    Open();
    Fill(1, kEach);
    const bool lost = journal_->lost();
    journal_.reset();
    ::_exit(lost ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  // Nothing is in the way of the next one.
  Open();
  EXPECT_TRUE(journal_->doubt().everything);
  EXPECT_GT(CountTouches(), 0);
}

}  // namespace
}  // namespace plyfs::test
