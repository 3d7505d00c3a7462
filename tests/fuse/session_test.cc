// session_test.cc: threads, start and end of a session.
#include "fs/fuse/session.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "tests/fuse/fake_kernel.h"
#include "tests/fuse/test_union.h"

namespace plyfs {
namespace {

// A Session that runs in a thread of its own.
class RunningSession {
 public:
  explicit RunningSession(SessionOptions options = {}) {
    options.max_write = 128 * 1024;
    session_.emplace(union_.overlay(), kernel_.TakeDevice(), options);
    thread_ = std::thread([this] {
      result_ = session_->Run([this] {
        const std::lock_guard lock(mutex_);
        ready_ = true;
        became_ready_.notify_all();
      });
    });
  }
  ~RunningSession() {
    if (thread_.joinable()) Join(/*hang_up=*/true);
  }

  int Join(bool hang_up) {
    if (hang_up) kernel_.Hangup();
    thread_.join();
    return result_;
  }
  void AwaitReady() {
    std::unique_lock lock(mutex_);
    became_ready_.wait(lock, [this] { return ready_; });
  }
  bool ready() {
    const std::lock_guard lock(mutex_);
    return ready_;
  }

  FakeKernel& kernel() { return kernel_; }
  Session& session() { return *session_; }

 private:
  TestUnion union_;
  FakeKernel kernel_;
  std::optional<Session> session_;
  std::mutex mutex_;
  std::condition_variable became_ready_;
  bool ready_ = false;
  int result_ = -1;
  std::thread thread_;
};

TEST(SessionTest, ItIsReadyAfterInitAndEndsWithTheConnection) {
  RunningSession running;
  EXPECT_FALSE(running.ready());
  running.kernel().Init();
  running.AwaitReady();
  EXPECT_EQ(running.kernel().Ask(FUSE_STATFS, 1).error, 0);
  EXPECT_EQ(running.Join(/*hang_up=*/true), 0);
}

TEST(SessionTest, StopEndsItWhileTheConnectionLives) {
  RunningSession running;
  running.kernel().Init();
  running.AwaitReady();
  running.session().Stop();
  EXPECT_EQ(running.Join(/*hang_up=*/false), 0);
}

TEST(SessionTest, StopEndsItBeforeInit) {
  RunningSession running;
  running.session().Stop();
  EXPECT_EQ(running.Join(/*hang_up=*/false), 0);
  EXPECT_FALSE(running.ready());
}

TEST(SessionTest, AConnectionThatEndsBeforeInitIsAnError) {
  RunningSession running;
  EXPECT_EQ(running.Join(/*hang_up=*/true), ENODEV);
  EXPECT_FALSE(running.ready());
}

class SessionThreadsTest : public testing::TestWithParam<SessionOptions> {};

TEST_P(SessionThreadsTest, EveryRequestOfManyInFlightIsAnsweredOnce) {
  RunningSession running(GetParam());
  running.kernel().Init();
  constexpr int kInFlight = 20;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    std::set<uint64_t> expected;
    for (int i = 0; i < kInFlight; ++i) {
      expected.insert(
          running.kernel().Send(FUSE_LOOKUP, 1, Arguments().Name(TestUnion::kLowerFile)));
    }
    while (!expected.empty()) {
      const std::optional<FakeReply> reply = running.kernel().Receive();
      ASSERT_TRUE(reply.has_value()) << expected.size() << " requests are not answered";
      EXPECT_EQ(reply->error, 0);
      EXPECT_EQ(expected.erase(reply->unique), 1u);
    }
  }
  // A request is counted after its reply, so only now are all of them.
  EXPECT_EQ(running.Join(/*hang_up=*/true), 0);
  EXPECT_NE(running.session().CountersLine().find("LOOKUP=4000/"), std::string::npos)
      << running.session().CountersLine();
}

TEST_P(SessionThreadsTest, OneRequestAfterTheOtherIsAnswered) {
  RunningSession running(GetParam());
  running.kernel().Init();
  for (int i = 0; i < 3000; ++i) EXPECT_EQ(running.kernel().Ask(FUSE_STATFS, 1).error, 0);
}

INSTANTIATE_TEST_SUITE_P(Variants, SessionThreadsTest,
                         testing::Values(SessionOptions{.threads = 1, .poll_us = 0},
                                         SessionOptions{.threads = 1, .poll_us = 50},
                                         SessionOptions{.threads = 0, .poll_us = 0},
                                         SessionOptions{.threads = 0, .poll_us = 50},
                                         SessionOptions{.threads = 3, .poll_us = 1000}),
                         [](const auto& row) {
                           return "Threads" + std::to_string(row.param.threads) + "Poll" +
                                  std::to_string(row.param.poll_us);
                         });

}  // namespace
}  // namespace plyfs
