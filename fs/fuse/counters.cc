// counters.cc: see counters.h.
#include "fs/fuse/counters.h"

#include <cstdio>

namespace plyfs {
namespace {

constexpr std::array<const char*, abi::kOpcodeEnd> kNames = [] {
  std::array<const char*, abi::kOpcodeEnd> names{};
  names.fill("?");
#define PLYFS_OPCODE(name) names[FUSE_##name] = #name
  PLYFS_OPCODE(LOOKUP);
  PLYFS_OPCODE(FORGET);
  PLYFS_OPCODE(GETATTR);
  PLYFS_OPCODE(SETATTR);
  PLYFS_OPCODE(READLINK);
  PLYFS_OPCODE(SYMLINK);
  PLYFS_OPCODE(MKNOD);
  PLYFS_OPCODE(MKDIR);
  PLYFS_OPCODE(UNLINK);
  PLYFS_OPCODE(RMDIR);
  PLYFS_OPCODE(RENAME);
  PLYFS_OPCODE(LINK);
  PLYFS_OPCODE(OPEN);
  PLYFS_OPCODE(READ);
  PLYFS_OPCODE(WRITE);
  PLYFS_OPCODE(STATFS);
  PLYFS_OPCODE(RELEASE);
  PLYFS_OPCODE(FSYNC);
  PLYFS_OPCODE(SETXATTR);
  PLYFS_OPCODE(GETXATTR);
  PLYFS_OPCODE(LISTXATTR);
  PLYFS_OPCODE(REMOVEXATTR);
  PLYFS_OPCODE(FLUSH);
  PLYFS_OPCODE(INIT);
  PLYFS_OPCODE(OPENDIR);
  PLYFS_OPCODE(READDIR);
  PLYFS_OPCODE(RELEASEDIR);
  PLYFS_OPCODE(FSYNCDIR);
  PLYFS_OPCODE(GETLK);
  PLYFS_OPCODE(SETLK);
  PLYFS_OPCODE(SETLKW);
  PLYFS_OPCODE(ACCESS);
  PLYFS_OPCODE(CREATE);
  PLYFS_OPCODE(INTERRUPT);
  PLYFS_OPCODE(BMAP);
  PLYFS_OPCODE(DESTROY);
  PLYFS_OPCODE(IOCTL);
  PLYFS_OPCODE(POLL);
  PLYFS_OPCODE(BATCH_FORGET);
  PLYFS_OPCODE(FALLOCATE);
  PLYFS_OPCODE(READDIRPLUS);
  PLYFS_OPCODE(RENAME2);
  PLYFS_OPCODE(LSEEK);
  PLYFS_OPCODE(COPY_FILE_RANGE);
  PLYFS_OPCODE(SYNCFS);
  PLYFS_OPCODE(TMPFILE);
#undef PLYFS_OPCODE
  names[abi::kStatx] = "STATX";
  names[abi::kCopyFileRange64] = "COPY_FILE_RANGE_64";
  return names;
}();

}  // namespace

const char* OpcodeName(uint32_t opcode) { return opcode < kNames.size() ? kNames[opcode] : "?"; }

void RequestCounters::Merge(const RequestCounters& other) {
  for (size_t i = 0; i < cells_.size(); ++i) {
    const Cell& from = other.cells_[i];
    Increase(cells_[i].count, from.count.load(std::memory_order_relaxed));
    Increase(cells_[i].nanoseconds, from.nanoseconds.load(std::memory_order_relaxed));
    for (size_t j = 0; j < from.buckets.size(); ++j) {
      Increase(cells_[i].buckets[j], from.buckets[j].load(std::memory_order_relaxed));
    }
  }
}

std::vector<OpcodeTimes> RequestCounters::Times() const {
  std::vector<OpcodeTimes> all;
  for (size_t i = 0; i < cells_.size(); ++i) {
    const Cell& cell = cells_[i];
    OpcodeTimes times{.name = kNames[i],
                      .count = cell.count.load(std::memory_order_relaxed),
                      .nanoseconds = cell.nanoseconds.load(std::memory_order_relaxed)};
    if (times.count == 0) continue;
    for (size_t j = 0; j < times.buckets.size(); ++j) {
      times.buckets[j] = cell.buckets[j].load(std::memory_order_relaxed);
    }
    all.push_back(times);
  }
  return all;
}

std::string RequestCounters::Line() const {
  std::string line;
  for (size_t i = 0; i < cells_.size(); ++i) {
    const uint64_t count = cells_[i].count.load(std::memory_order_relaxed);
    if (count == 0) continue;
    const uint64_t total = cells_[i].nanoseconds.load(std::memory_order_relaxed);
    char text[80];
    std::snprintf(text, sizeof text, "%s%s=%llu/%.1fus", line.empty() ? "" : " ", kNames[i],
                  static_cast<unsigned long long>(count),
                  static_cast<double>(total) / static_cast<double>(count) / 1000);
    line += text;
  }
  return line;
}

}  // namespace plyfs
