// hang_guard.cc: one watchdog thread that aborts watched FUSE connections.
#include "tests/harness/hang_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace plyfs::test {
namespace {

constexpr char kControl[] = "/sys/fs/fuse/connections";
constexpr long kFuseControlMagic = 0x65735543;

// Never destroyed: the watchdog thread outlives main().
struct Guard {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<dev_t> watched;                         // guarded by mutex
  std::chrono::steady_clock::time_point deadline;  // guarded by mutex
  bool running = false;                            // guarded by mutex
};

Guard& TheGuard() {
  static Guard* const guard = new Guard;
  return *guard;
}

void Watch(Guard& guard) {
  std::unique_lock<std::mutex> lock(guard.mutex);
  for (;;) {
    if (!guard.running) {
      guard.changed.wait(lock);
    } else if (guard.changed.wait_until(lock, guard.deadline) == std::cv_status::timeout &&
               guard.running && std::chrono::steady_clock::now() >= guard.deadline) {
      guard.running = false;
      fprintf(stderr, "hang guard: the test exceeded its limit, aborting its FUSE connections\n");
      for (const dev_t device : guard.watched) AbortFuseConnection(device);
    }
  }
}

class HangListener : public testing::EmptyTestEventListener {
 public:
  explicit HangListener(int seconds) : seconds_(seconds) {}

  void OnTestStart(const testing::TestInfo&) override {
    Guard& guard = TheGuard();
    const std::lock_guard<std::mutex> lock(guard.mutex);
    guard.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds_);
    guard.running = true;
    guard.changed.notify_all();
  }

  void OnTestEnd(const testing::TestInfo& info) override {
    Guard& guard = TheGuard();
    const std::lock_guard<std::mutex> lock(guard.mutex);
    if (!guard.running) fprintf(stderr, "hang guard: %s hung\n", info.name());
    guard.running = false;
    guard.changed.notify_all();
  }

 private:
  int seconds_;
};

}  // namespace

bool EnsureFuseControl() {
  struct statfs fs = {};
  if (statfs(kControl, &fs) == 0 && fs.f_type == kFuseControlMagic) return true;
  return mount("none", kControl, "fusectl", 0, nullptr) == 0;
}

bool AbortFuseConnection(dev_t device) {
  if (!EnsureFuseControl()) return false;
  const std::string path = std::string(kControl) + "/" + std::to_string(minor(device)) + "/abort";
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, "1", 1) == 1;
  close(fd);
  return done;
}

void WatchFuseConnection(dev_t device) {
  Guard& guard = TheGuard();
  const std::lock_guard<std::mutex> lock(guard.mutex);
  guard.watched.insert(device);
}

void UnwatchFuseConnection(dev_t device) {
  Guard& guard = TheGuard();
  const std::lock_guard<std::mutex> lock(guard.mutex);
  guard.watched.erase(device);
}

void InstallHangGuard() {
  const char* limit = getenv("PLYFS_TEST_SECONDS");
  const int seconds = limit != nullptr ? atoi(limit) : 120;
  testing::UnitTest::GetInstance()->listeners().Append(new HangListener(seconds));
  std::thread([] { Watch(TheGuard()); }).detach();
}

}  // namespace plyfs::test
