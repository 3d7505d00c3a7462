// poll_estimate.h: whether the next request will come soon enough to poll for it.
// Not here: the polling (workers.h).
// Thread safety: none; only the thread that waits for requests uses it.
#pragma once

#include <cstdint>

namespace plyfs {

// A request that finds the server asleep costs some 40 us to wake it; one that finds it polling
// does not. Polling is only worth its CPU time while requests keep coming within `poll_us` of each
// other, so a moving mean of the gaps decides.
class PollEstimate {
 public:
  // `poll_us` 0: never poll.
  explicit PollEstimate(unsigned poll_us);

  // `now_ns` is any monotonic clock.
  bool WorthPolling(uint64_t now_ns) const {
    return mean_ns_ < limit_ns_ && now_ns >= paused_until_ns_;
  }
  uint64_t limit_ns() const { return limit_ns_; }

  // A request came `gap_ns` after the waiting began, while polling.
  void ObservePolled(uint64_t gap_ns);
  // The same after a sleep; most of such a gap is the time that waking takes.
  void ObserveSlept(uint64_t gap_ns);
  // Another thread wanted this CPU while we polled: no CPU is idle, so there is nothing to save,
  // and the client may be the one who waits. No polling for a while.
  void ObserveContention(uint64_t now_ns);

 private:
  uint64_t limit_ns_;
  uint64_t mean_ns_;
  uint64_t paused_until_ns_ = 0;
};

}  // namespace plyfs
