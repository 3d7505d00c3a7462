// file_clock.h: moments that can be compared with the times of files.
// Thread safety: pure functions.
#pragma once

#include <time.h>

#include <cstdint>

namespace plyfs {

// Filesystems take their times from a clock that moves in ticks of up to 10 ms.
inline constexpr int64_t kClockTick = 20'000'000;

inline int64_t NowNs(clockid_t clock = CLOCK_REALTIME) {
  timespec now;
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// A moment that is later than every time that a file got before this call, and not later than any that it gets after it. Times
// of files come from the coarse clock or, if somebody looked at the last one, from the fine one, which is ahead of it by up to a tick.
inline int64_t SplitFileTimes() {
  const int64_t before = NowNs();
  int64_t now = NowNs(CLOCK_REALTIME_COARSE);
  // If the clock is set back meanwhile, the moment is as good as any.
  for (int64_t waited = 0; now <= before && waited < 2 * kClockTick; now = NowNs(CLOCK_REALTIME_COARSE)) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 500'000};
    ::nanosleep(&pause, nullptr);
    waited += pause.tv_nsec;
  }
  return now;
}

}  // namespace plyfs
