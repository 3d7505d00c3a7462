// store.h: the journal's database: the net state that the records add up to. The only code that includes RocksDB.
// Not here: records that are not in it yet (tail.h).
// Thread safety: any thread may read; one at a time applies records.
//
// One key space; the first byte says what a key is (numbers are big-endian):
//
//   m            format version, last sequence applied
//   t EPOCH DIR NAME     what stood under a name before it was first touched in that epoch
//   d INODE              where a directory of the upper is: DIR NAME
//   r DIR NAME           where what stands there was renamed from
//   i INODE              the number that a copied-up file shows, guarded by the birth time of its upper inode
//   l DEVICE INODE       how many names of a lower file have been removed
//   a INODE DIR NAME     the names of a file with several
//   e SEQUENCE           events for watchers, bounded
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
  uint32_t epoch = 0;
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

class Store {
 public:
  // The database in `path`; `create` makes one where there is none. EIO if it is damaged, EEXIST where another process has it
  // open, ENOSPC.
  static Result<std::unique_ptr<Store>> Open(const std::string& path, bool create);
  // Removes a database that cannot be used.
  static void Destroy(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Applies all records whose sequence is above Applied(), in one batch.
  Errno Apply(std::span<const Record> records, uint32_t epoch);
  Result<uint64_t> Applied() const;
  // All that was applied reaches the disk.
  Errno Sync();

  // In the order of (epoch, directory, name); visit returns false to stop.
  Errno ForEachTouch(uint32_t first_epoch, const std::function<bool(const StoredTouch&)>& visit) const;
  Errno ForEachOrigin(const std::function<void(const StoredOrigin&)>& visit) const;
  Errno ForEachLinksRemoved(const std::function<void(uint64_t device, uint64_t inode, uint64_t removed)>& visit) const;
  Errno ForEachDirectory(const std::function<void(uint64_t inode, const JournalName&)>& visit) const;
  std::optional<JournalName> Directory(uint64_t inode) const;
  std::optional<StoredRename> Rename(const JournalName& name) const;
  std::vector<JournalName> Aliases(uint64_t inode) const;
  // Is it touched in any epoch from `first_epoch` on?
  bool IsTouched(const JournalName& name, uint32_t first_epoch, uint32_t last_epoch) const;
  Errno RemoveTouch(const StoredTouch& touch);

  std::vector<StoredEvent> Events(uint64_t after, size_t limit) const;
  // The first sequence that Events can still give.
  uint64_t OldestEvent() const;

  Errno PutCheckpoint(const StoredCheckpoint& checkpoint);
  // What was touched after it counts as touched after the one before it from then on.
  Errno DeleteCheckpoint(const StoredCheckpoint& checkpoint);
  Result<std::vector<StoredCheckpoint>> Checkpoints() const;

  uint64_t DiskBytes() const;

 private:
  struct Database;
  explicit Store(std::unique_ptr<Database> database);
  const std::unique_ptr<Database> database_;
};

}  // namespace plyfs
