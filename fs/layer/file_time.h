// file_time.h: a file's times, from the form of statx(2) into those that others want.
// Not here: setting them (upper_layer.h).
// Thread safety: pure functions.
#pragma once

#include <sys/stat.h>
#include <time.h>

#include <cstdint>

namespace plyfs {

// Nanoseconds since 1970.
inline int64_t NsOf(const statx_timestamp& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

inline timespec ToTimespec(const statx_timestamp& time) { return {.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec}; }

inline statx_timestamp ToStatxTime(const timespec& time) {
  return {.tv_sec = time.tv_sec, .tv_nsec = static_cast<uint32_t>(time.tv_nsec)};
}

// 0 where the filesystem knows no birth times.
inline int64_t BirthNsOf(const struct statx& stat) {
  return (stat.stx_mask & STATX_BTIME) != 0 ? NsOf(stat.stx_btime) : 0;
}

}  // namespace plyfs
