// cpu_load.h: whether the machine has a CPU to spare for polling.
// Thread safety: none; only the thread that waits for requests uses it.
#pragma once

#include <cstdint>
#include <string_view>

#include "fs/base/unique_fd.h"

namespace plyfs {

// Polling keeps a CPU from sleeping. Where other threads want all CPUs none sleeps: polling would
// save nothing, and take the CPU from those threads, the client perhaps among them. So the number
// of runnable threads is looked at some fifty times a second.
class CpuLoad {
 public:
  CpuLoad();

  // Whether there is a CPU besides the caller's for the client. `now_ns` is any monotonic clock; a
  // look is taken (some 3 us) when the last one is 20 ms old. True where the system does not tell.
  bool HasSpare(uint64_t now_ns);

  // The number of runnable threads in the text of /proc/loadavg ("0.20 0.18 0.12 1/80 11206": 1); 0
  // if it is not there.
  static unsigned RunnableIn(std::string_view loadavg);

 private:
  bool Look() const;

  const UniqueFd loadavg_;
  const unsigned cpus_;
  uint64_t looked_ns_ = 0;
  bool spare_ = true;
};

}  // namespace plyfs
