// tail.h: the youngest records of the journal, in a file that is mapped into memory: appending is a copy of some bytes, and
// what was appended outlives a kill -9 of the server (not a power failure: see JournalHeader::clean).
// Not here: what records mean (record.h), where they go when the tail is full (store.h).
// Thread safety: none of its own; the Journal's mutex guards it. What Sealed() refers to may be read without it.
//
// It has two halves: one takes records while those of the other are on their way to the store.
//
//   offset 0          JournalHeader, padded to 4,096 bytes
//   offset 4096       first half
//   offset 131072     second half
//
// A half is records, one after the other; the first that is not intact or not the next in sequence ends them. Which half comes first
// is told by the sequence numbers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fs/base/result.h"
#include "fs/base/unique_fd.h"
#include "fs/journal/record.h"

namespace plyfs {

// Numbers in the machine's byte order: the file never leaves it alone, the upper beside it could not be mounted elsewhere either
// (its inode numbers would be others).
struct JournalHeader {
  static constexpr uint64_t kMagic = 0x3153464c594c5033;  // its last byte is the version of the format
  // Version 1: without records of the types 11 to 16; version 2: of 14 to 16.
  static constexpr uint64_t kFirstMagic = 0x3153464c594c5031;
  uint64_t magic = kMagic;
  uint64_t root_inode = 0;       // of the upper's root: a copied upper has another
  int64_t root_birth_ns = 0;
  uint64_t base_sequence = 0;    // of the last record that is in the store; the tail's first is the next
  uint32_t has_store = 0;        // the database has been made
  uint32_t clean = 0;            // the last server said that it ended well
  std::array<char, 16> boot_id{};  // of the last server that changed something
  uint32_t rescan_all = 0;       // changes may be missing: read the whole upper before anything is listed
  uint32_t epoch = 0;            // checkpoints that have been made so far
  int64_t verified_ns = 0;       // directories that changed after this time while nothing was mounted are read again
};

class Tail {
 public:
  static constexpr size_t kHeaderSpace = 4096;
  static constexpr size_t kHalf = size_t{124} * 1024;
  static constexpr size_t kSize = kHeaderSpace + 2 * kHalf;
  // Files of earlier servers have one half.
  static constexpr size_t kSizeOfOneHalf = kHeaderSpace + kHalf;

  // The tail of an earlier mount, or a new one, below `dir`. EINVAL: what is there is not ours or damaged. ENOTSUP: it is of a later
  // version.
  static Result<std::unique_ptr<Tail>> Open(int dir);
  static Result<std::unique_ptr<Tail>> Make(int dir);
  ~Tail();
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  JournalHeader& header() { return *header_; }
  // The header reaches the disk; needed before what it says must be believed after a power failure.
  Errno SyncHeader() const;
  // The records do.
  Errno SyncRecords() const;

  // False if there is no room in the half that takes records: it must be sealed first.
  bool Append(std::string_view encoded);
  uint64_t NextSequence() const { return next_sequence_; }
  void Appended(uint64_t records) { next_sequence_ += records; }
  bool empty() const { return !has_sealed_ && active().empty(); }

  // The other half takes records from now on. False if that is not empty, or if there is nothing to seal.
  bool Seal();
  bool has_sealed() const { return has_sealed_; }
  // The sealed half's records as they lie there, and the number of the last of them. Valid until Release or Restart.
  struct SealedHalf {
    std::span<const char> bytes;
    uint64_t last_sequence = 0;
  };
  SealedHalf Sealed() const;
  // They are in the store.
  void Release();

  // All records, in order.
  std::vector<Record> Records() const;
  // All records up to this one are in the store, or lost: the next has the number after it.
  void Restart(uint64_t sequence);

 private:
  struct Half {
    size_t begin = 0;
    size_t end = 0;  // of its records
    bool empty() const { return end == begin; }
  };
  Tail(UniqueFd fd, char* memory);
  Half& active() { return halves_[active_]; }
  const Half& active() const { return halves_[active_]; }
  const Half& other() const { return halves_[1 - active_]; }
  std::span<const char> BytesOf(const Half& half) const { return {memory_ + half.begin, half.end - half.begin}; }
  bool Find(Half& half);

  const UniqueFd fd_;
  char* const memory_;
  JournalHeader* const header_;
  std::array<Half, 2> halves_;
  size_t active_ = 0;
  bool has_sealed_ = false;
  uint64_t sealed_last_ = 0;
  uint64_t next_sequence_ = 1;
};

// The records that `bytes` begins with, in order, up to the first that is not intact.
std::vector<Record> DecodeRecords(std::span<const char> bytes);

}  // namespace plyfs
