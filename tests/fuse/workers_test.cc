// workers_test.cc: no request waits for another one that takes long.
#include "fs/fuse/workers.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/fuse/fake_kernel.h"

namespace plyfs {
namespace {

constexpr uint32_t kQuick = FUSE_GETATTR;
constexpr uint32_t kBlocking = FUSE_FSYNC;  // its handling lasts until the gate is opened

// Workers whose handler answers nothing but counts, and blocks on some requests.
class WorkersTest : public testing::Test {
 protected:
  WorkersTest() : transport_(kernel_.TakeDevice()) {}
  ~WorkersTest() override {
    OpenGate();
    kernel_.Hangup();
    if (thread_.joinable()) thread_.join();
  }

  void Start(unsigned max_threads, unsigned poll_us = 50) {
    workers_.emplace(
        transport_,
        WorkersOptions{.max_threads = max_threads, .poll_us = poll_us, .max_payload = 4096},
        [this](RequestBuffer& buffer, size_t, RequestCounters&) { return Handle(buffer); }, [] {});
    thread_ = std::thread([this] { workers_->Run([] {}); });
  }
  void Send(uint32_t opcode, int count = 1) {
    for (int i = 0; i < count; ++i) kernel_.Send(opcode, 1);
  }
  // Waits until so many requests have been handled (quick) or have begun to be (blocking).
  void AwaitQuick(int count) { Await(quick_, count); }
  void AwaitBlocked(int count) { Await(blocked_, count); }
  int quick() {
    const std::lock_guard lock(mutex_);
    return quick_;
  }
  void OpenGate() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  uint64_t Handle(RequestBuffer& buffer) {
    fuse_in_header header;
    std::memcpy(&header, buffer.message().data(), sizeof header);
    std::unique_lock lock(mutex_);
    ++(header.opcode == kBlocking ? blocked_ : quick_);
    changed_.notify_all();
    if (header.opcode == kBlocking) changed_.wait(lock, [this] { return open_; });
    return 1000;
  }
  void Await(const int& value, int count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return value >= count; }))
        << value << " of " << count;
  }

  FakeKernel kernel_;
  DevTransport transport_;
  std::optional<Workers> workers_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int quick_ = 0;
  int blocked_ = 0;
  bool open_ = false;
};

TEST_F(WorkersTest, RequestsAreHandledWhileOneIsBlocked) {
  Start(8);
  Send(kBlocking);
  AwaitBlocked(1);
  Send(kQuick, 100);
  AwaitQuick(100);
}

TEST_F(WorkersTest, EachBlockedRequestGetsItsOwnThreadUpToTheLimit) {
  Start(8);
  Send(kBlocking, 7);
  AwaitBlocked(7);
  Send(kQuick, 100);
  AwaitQuick(100);
}

TEST_F(WorkersTest, BlockedRequestsBehindOneAnotherAreAllReached) {
  Start(8, /*poll_us=*/0);
  for (int i = 1; i <= 7; ++i) {
    Send(kQuick, 10);
    Send(kBlocking);
    AwaitBlocked(i);
    AwaitQuick(10 * i);
  }
}

TEST_F(WorkersTest, WithAllThreadsBlockedTheRestIsHandledAfterwards) {
  Start(2);
  Send(kBlocking, 2);
  AwaitBlocked(2);
  Send(kQuick, 10);
  OpenGate();
  AwaitQuick(10);
}

TEST_F(WorkersTest, OneThreadHandlesInOrder) {
  Start(1);
  Send(kBlocking);
  AwaitBlocked(1);
  Send(kQuick, 10);
  EXPECT_EQ(quick(), 0);
  OpenGate();
  AwaitQuick(10);
}

}  // namespace
}  // namespace plyfs
