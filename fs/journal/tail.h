// tail.h: the youngest records of the journal, in a file that is mapped into memory: appending is a copy of some bytes, and
// what was appended outlives a kill -9 of the server (not a power failure: see JournalHeader::clean).
// Not here: what records mean (record.h), where they go when the tail is full (store.h).
// Thread safety: none of its own; the Journal's mutex guards it.
//
//   offset 0      JournalHeader, padded to 4,096 bytes
//   offset 4096   records, one after the other; the first that is not intact or not the next in sequence ends them
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
  static constexpr uint64_t kMagic = 0x3153464c594c5031;  // its last byte is the version of the format
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
  static constexpr size_t kSize = size_t{128} * 1024;

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

  // False if there is no room: then the records must go to the store first.
  bool Append(std::string_view encoded);
  uint64_t NextSequence() const { return next_sequence_; }
  void Appended(uint64_t records) { next_sequence_ += records; }
  bool empty() const { return end_ == kHeaderSpace; }

  // All records, in order.
  std::vector<Record> Records() const;
  // They are in the store.
  void Clear() { Restart(next_sequence_ - 1); }
  // All records up to this one are in the store, or lost: the next has the number after it.
  void Restart(uint64_t sequence);

 private:
  static constexpr size_t kHeaderSpace = 4096;
  Tail(UniqueFd fd, char* memory);

  const UniqueFd fd_;
  char* const memory_;
  JournalHeader* const header_;
  size_t end_ = kHeaderSpace;
  uint64_t next_sequence_ = 1;
};

}  // namespace plyfs
