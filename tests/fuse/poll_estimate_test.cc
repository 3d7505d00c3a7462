// poll_estimate_test.cc: when polling is worth it.
#include "fs/fuse/poll_estimate.h"

#include <gtest/gtest.h>

namespace plyfs {
namespace {

constexpr uint64_t kUs = 1000;

TEST(PollEstimateTest, ItDoesNotPollBeforeItHasSeenRequestsComeQuickly) {
  EXPECT_FALSE(PollEstimate(50).WorthPolling(0));
}

TEST(PollEstimateTest, ItPollsAfterAFewQuickRequestsThoughEachHadToWakeIt) {
  PollEstimate estimate(50);
  for (int i = 0; i < 10; ++i) estimate.ObserveSlept(80 * kUs);
  EXPECT_TRUE(estimate.WorthPolling(0));
}

TEST(PollEstimateTest, ItStopsAfterAFewSlowRequests) {
  PollEstimate estimate(50);
  for (int i = 0; i < 50; ++i) estimate.ObservePolled(2 * kUs);
  int slow = 0;
  for (; estimate.WorthPolling(0); ++slow) estimate.ObserveSlept(10'000 * kUs);
  EXPECT_LE(slow, 3);
}

TEST(PollEstimateTest, OneLongPauseIsForgottenSoon) {
  PollEstimate estimate(50);
  for (int i = 0; i < 50; ++i) estimate.ObservePolled(2 * kUs);
  estimate.ObserveSlept(3'600'000'000 * kUs);
  int quick = 0;
  for (; !estimate.WorthPolling(0) && quick < 100; ++quick) estimate.ObserveSlept(50 * kUs);
  EXPECT_LE(quick, 5);
}

TEST(PollEstimateTest, RequestsThatComeRegularlyButTooLateAreNotPolledFor) {
  PollEstimate estimate(50);
  for (int i = 0; i < 100; ++i) estimate.ObserveSlept(400 * kUs);
  EXPECT_FALSE(estimate.WorthPolling(0));
}

TEST(PollEstimateTest, ACpuThatOthersWantIsLeftToThemForAWhile) {
  PollEstimate estimate(50);
  for (int i = 0; i < 50; ++i) estimate.ObservePolled(2 * kUs);
  estimate.ObserveContention(1'000'000 * kUs);
  EXPECT_FALSE(estimate.WorthPolling(1'000'001 * kUs));
  EXPECT_FALSE(estimate.WorthPolling(1'099'999 * kUs));
  EXPECT_TRUE(estimate.WorthPolling(1'100'000 * kUs));
}

TEST(PollEstimateTest, ZeroMeansNever) {
  PollEstimate estimate(0);
  for (int i = 0; i < 100; ++i) estimate.ObservePolled(0);
  EXPECT_FALSE(estimate.WorthPolling(0));
}

}  // namespace
}  // namespace plyfs
