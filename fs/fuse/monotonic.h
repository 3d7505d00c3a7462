// monotonic.h: the clock by which requests are measured.
// Thread safety: any thread.
#pragma once

#include <time.h>

#include <cstdint>

namespace plyfs {

inline uint64_t MonotonicNs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace plyfs
