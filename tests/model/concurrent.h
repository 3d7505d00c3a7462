// concurrent.h: several threads on one union, each with a model of its own subtree and of its own
// names in a directory that all share, while others only look and evict.
// Not here: the single-threaded form (sequence.h).
// Thread safety: RunConcurrent starts and joins its threads; call it from one thread.
#pragma once

#include <cstdint>
#include <string>

#include "tests/model/sequence.h"

namespace plyfs::model {

struct ConcurrentOptions {
  RunOptions run;
  uint64_t seed = 1;
  size_t ops = 200;  // of each thread, in each of three phases with a remount in between
  int threads = 4;
};

/// Empty, or what was wrong, with the last operations of the thread that saw it.
std::string RunConcurrent(const ConcurrentOptions& options);

}  // namespace plyfs::model
