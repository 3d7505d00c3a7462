// poll_estimate.cc: see poll_estimate.h.
#include "fs/fuse/poll_estimate.h"

#include <algorithm>

namespace plyfs {
namespace {

// A gap counts for at most so many limits, so that one long pause is forgotten within a few
// requests.
constexpr uint64_t kCap = 4;
// The part of the new gap in the mean.
constexpr uint64_t kShare = 4;
// What waking the client and then us takes where both sleep.
constexpr uint64_t kWakingNs = 60'000;
// How long a CPU that others want is left to them.
constexpr uint64_t kPauseNs = 100'000'000;

}  // namespace

PollEstimate::PollEstimate(unsigned poll_us)
    : limit_ns_(uint64_t{poll_us} * 1000), mean_ns_(limit_ns_ * kCap) {}

void PollEstimate::ObservePolled(uint64_t gap_ns) {
  mean_ns_ = mean_ns_ - mean_ns_ / kShare + std::min(gap_ns, limit_ns_ * kCap) / kShare;
}

void PollEstimate::ObserveSlept(uint64_t gap_ns) {
  ObservePolled(gap_ns > kWakingNs ? gap_ns - kWakingNs : 0);
}

void PollEstimate::ObserveContention(uint64_t now_ns) { paused_until_ns_ = now_ns + kPauseNs; }

}  // namespace plyfs
