// store.h: the journal's database: the net state that the records add up to.
// Not here: records that are not in it yet (tail.h); RocksDB, which is in a library of its own (rocks_store.cc) that is loaded with
// the first database: its static objects would cost every mount a millisecond and an idle server half of its memory.
// Thread safety: any thread may read; one at a time applies records.
//
// One key space; the first byte says what a key is (numbers are big-endian):
//
//   m            format version, last sequence applied, first event kept
//   t EPOCH DIR NAME     what stood under a name before it was first touched in that epoch, and whether it has gone
//   d INODE              where a directory of the upper is: DIR NAME
//   r DIR NAME           where what stands there was renamed from
//   i INODE              the number that a copied-up file shows, guarded by the birth time of its upper inode
//   l DEVICE INODE       how many names of a lower file have been removed
//   g DEVICE INODE       a name of that lower file that may be going, until what became of it has been counted
//   a INODE DIR NAME     the names of a file with several
//   e SEQUENCE           events for watchers, many in one value, under the number of the last; bounded
//   c EPOCH              checkpoints
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fs/base/result.h"
#include "fs/journal/record.h"

namespace plyfs {

struct StoredTouch {
  uint32_t epoch = 0;
  JournalName name;
  FormerState former;
};

struct StoredRename {
  uint64_t inode = 0;  // upper inode of what was renamed
  std::string from;    // path
};

struct StoredEvent {
  uint64_t sequence = 0;
  uint8_t kind = 0;
  JournalName name;
  std::string from;
};

struct StoredCheckpoint {
  std::string name;
  uint32_t epoch = 0;  // of what is touched after it
  uint64_t sequence = 0;
  int64_t created_ns = 0;
};

struct StoredOrigin {
  uint64_t inode = 0;
  uint64_t shown = 0;
  int64_t birth_ns = 0;
};

// See RecordType::kLinkGoes and kIndexedLinkGoes.
struct StoredGoingLink {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool indexed = false;
  uint64_t before = 0;
  JournalName name;
  std::string dir_path;  // of its directory, from the upper's root
};

class Store {
 public:
  virtual ~Store() = default;

  // Applies all records that have not been applied before, in one batch; `last` is the sequence number of the last of them, or of
  // the last one before them if there are none.
  virtual Errno Apply(std::span<const Record> records, uint32_t epoch, uint64_t last) = 0;
  // The sequence number up to which records have been applied.
  virtual uint64_t Applied() const = 0;
  // Something could not be read since it was opened, so answers may lack entries.
  virtual bool damaged() const = 0;
  // All that was applied reaches the disk.
  virtual Errno Sync() = 0;

  // In the order of (epoch, directory, name); visit returns false to stop.
  virtual Errno ForEachTouch(uint32_t first_epoch, const std::function<bool(StoredTouch&&)>& visit) const = 0;
  // Those of one directory in epochs up to `last_epoch`, by epoch.
  virtual Errno ForEachTouchIn(uint64_t dir, uint32_t last_epoch, const std::function<void(const StoredTouch&)>& visit) const = 0;
  virtual Errno ForEachOrigin(const std::function<void(const StoredOrigin&)>& visit) const = 0;
  virtual Errno ForEachLinksRemoved(
      const std::function<void(uint64_t device, uint64_t inode, uint64_t removed)>& visit) const = 0;
  virtual Errno ForEachGoingLink(const std::function<void(const StoredGoingLink&)>& visit) const = 0;
  virtual Errno ForEachDirectory(const std::function<void(uint64_t inode, const JournalName&)>& visit) const = 0;
  virtual std::optional<JournalName> Directory(uint64_t inode) const = 0;
  // Where what stands there was at the start of that epoch, if it has been renamed since.
  virtual std::optional<StoredRename> Rename(const JournalName& name, uint32_t first_epoch) const = 0;
  virtual std::vector<JournalName> Aliases(uint64_t inode) const = 0;
  // Whether there may be aliases of any file.
  virtual bool HasAliases() const = 0;

  virtual std::vector<StoredEvent> Events(uint64_t after, size_t limit) const = 0;
  // Events before this one have been dropped.
  virtual uint64_t FirstEvent() const = 0;

  virtual Errno PutCheckpoint(const StoredCheckpoint& checkpoint) = 0;
  // What was touched after it counts as touched after the one before it from then on.
  virtual Errno DeleteCheckpoint(const StoredCheckpoint& checkpoint) = 0;
  virtual Result<std::vector<StoredCheckpoint>> Checkpoints() const = 0;

  virtual uint64_t DiskBytes() const = 0;
};

// The database in `path`; `create` makes one where there is none. EUCLEAN if it is damaged (from every call), EIO if the disk does
// not work, ENOSPC, ENOTSUP if a later version of plyfs has made it, ELIBACC if the library is not there.
Result<std::unique_ptr<Store>> OpenStore(const std::string& path, bool create);

// What the library exports.
struct StoreLibrary {
  Errno (*open)(const std::string& path, bool create, std::unique_ptr<Store>* store);
};
inline constexpr const char* kStoreLibrarySymbol = "plyfs_store_library_2";

}  // namespace plyfs
