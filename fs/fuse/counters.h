// counters.h: how many requests of each opcode there were and what they took.
// Thread safety: one thread adds to a RequestCounters, any thread reads it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "fs/fuse/kernel_abi.h"

namespace plyfs {

class RequestCounters {
 public:
  // Opcodes beyond the table are counted as 0.
  void Add(uint32_t opcode, uint64_t nanoseconds) {
    Cell& cell = cells_[opcode < cells_.size() ? opcode : 0];
    // The only writer is the owning thread, so no read-modify-write instruction is needed.
    cell.count.store(cell.count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    cell.nanoseconds.store(cell.nanoseconds.load(std::memory_order_relaxed) + nanoseconds,
                           std::memory_order_relaxed);
  }
  // Adds all of `other`, for instance of a thread that ends. Not while another thread adds to this.
  void Merge(const RequestCounters& other);
  // "LOOKUP=12/34us GETATTR=…": count and mean time of each opcode that occurred.
  std::string Line() const;

 private:
  struct Cell {
    std::atomic<uint64_t> count = 0;
    std::atomic<uint64_t> nanoseconds = 0;
  };
  std::array<Cell, abi::kOpcodeEnd> cells_;
};

// "LOOKUP" and so on; "?" for opcodes that are not known.
const char* OpcodeName(uint32_t opcode);

}  // namespace plyfs
