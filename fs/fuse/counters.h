// counters.h: how many requests of each opcode there were and what they took.
// Thread safety: one thread adds to a RequestCounters, any thread reads it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "fs/fuse/kernel_abi.h"

namespace plyfs {

// What the requests of one opcode took.
struct OpcodeTimes {
  // [i] counts the requests that took less than 2^i microseconds and were not counted before it; the last one all the
  // others (65 ms and more).
  static constexpr size_t kBuckets = 18;
  static size_t BucketOf(uint64_t nanoseconds) {
    return std::min<size_t>(std::bit_width(nanoseconds / 1000), kBuckets - 1);
  }

  const char* name = "";  // "LOOKUP"
  uint64_t count = 0;
  uint64_t nanoseconds = 0;  // the sum
  std::array<uint64_t, kBuckets> buckets{};
};

class RequestCounters {
 public:
  // Opcodes beyond the table are counted as 0.
  void Add(uint32_t opcode, uint64_t nanoseconds) {
    Cell& cell = cells_[opcode < cells_.size() ? opcode : 0];
    Increase(cell.count, 1);
    Increase(cell.nanoseconds, nanoseconds);
    Increase(cell.buckets[OpcodeTimes::BucketOf(nanoseconds)], 1);
  }
  // Adds all of `other`, for instance of a thread that ends. Not while another thread adds to this.
  void Merge(const RequestCounters& other);
  // "LOOKUP=12/34us GETATTR=…": count and mean time of each opcode that occurred.
  std::string Line() const;
  // The opcodes that occurred.
  std::vector<OpcodeTimes> Times() const;

 private:
  using Counter = std::atomic<uint64_t>;
  struct Cell {
    Counter count = 0;
    Counter nanoseconds = 0;
    std::array<Counter, OpcodeTimes::kBuckets> buckets{};
  };
  // The only writer is the owning thread, so no read-modify-write instruction is needed.
  static void Increase(Counter& counter, uint64_t by) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<Cell, abi::kOpcodeEnd> cells_;
};

// "LOOKUP" and so on; "?" for opcodes that are not known.
const char* OpcodeName(uint32_t opcode);

}  // namespace plyfs
