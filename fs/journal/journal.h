// journal.h: what changed in a union, and the numbers and link counts that must outlive the mount.
// Not here: which operation is which change (fs/overlay/recording.h), the list of changes (fs/overlay/change_list.h).
// Thread safety: any thread. A record is a copy of some bytes under a mutex that is never held over the database: a thread of its
// own, made when the tail is full for the first time, puts the sealed half of the tail into the database.
//
// It never makes an operation fail: when it cannot be written it says so once, and from then on that the upper must be read
// whole (lost()).
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "fs/base/result.h"
#include "fs/base/unique_fd.h"
#include "fs/journal/record.h"
#include "fs/journal/store.h"
#include "fs/journal/tail.h"

namespace plyfs {

struct JournalOptions {
  int work = -1;  // WORKDIR/plyfs, open; the journal is in its directory "journal"
  uint64_t root_inode = 0;      // of the upper's root
  int64_t root_birth_ns = 0;
  bool upper_is_empty = false;  // nothing can have been changed before
  bool syncs = true;            // false: volatile, nothing is ever synced
};

class Journal {
 public:
  // Looks at what an earlier mount left; makes nothing on disk yet.
  explicit Journal(const JournalOptions& options);
  // A clean end.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // A mount that keeps no journal changes the upper: what an earlier journal says must not be believed after it.
  static void Distrust(int work);

  // An earlier mount of this upper changed something and did not say that it ended.
  bool ended_unclean() const { return ended_unclean_; }

  // Nodes that carry this stamp have been recorded; never 0.
  uint32_t stamp() const { return stamp_.load(std::memory_order_acquire); }

  // The upper is going to change, in a way that needs no record of its own.
  void Begin();

  // Adds records in this order. What was added survives the end of this process from here on.
  void Append(std::span<Record> records);
  void Append(Record record) { Append({&record, 1}); }

  // What an earlier mount remembered of numbers and link counts. Opens the database if there is one.
  struct Identity {
    std::function<void(const StoredOrigin&)> origin;
    std::function<void(uint64_t inode)> drop_origin;
    std::function<void(uint64_t device, uint64_t inode, uint64_t removed)> links_removed;
    std::function<void(const StoredGoingLink&)> link_goes;
    std::function<void(uint64_t device, uint64_t inode)> link_settled;
  };
  void LoadIdentity(const Identity& visit);

  // --- for tools. EIO, ENOSPC, … when the database cannot be used.
  // Puts all records into the database and runs `use` on it; records that come meanwhile wait in the tail. EUCLEAN: the database
  // was damaged and has been made anew, so everything is in doubt; the next call will do.
  Errno WithStore(const std::function<Errno(Store&, uint32_t epoch)>& use);
  Errno CreateCheckpoint(const std::string& name);
  Errno DeleteCheckpoint(const std::string& name);

  // What must be compared with the upper before a listing is believed.
  struct Doubt {
    bool everything = false;
    bool power_failed = false;     // then a file's times say nothing about its content
    int64_t changed_since_ns = 0;  // directories whose ctime is not before this; 0: none
    bool any() const { return everything || changed_since_ns != 0; }
  };
  Doubt doubt() const;
  // From here on what is recorded is kept again, whatever was lost before; the comparison begins after this.
  void StartVerifying();
  // It has ended well.
  void Verified();

  // Waits until there is a record after `sequence`, or for `timeout_ms`. False after that time.
  bool WaitForRecord(uint64_t sequence, int timeout_ms);
  // From now on the first change of each file after this call is recorded again, for somebody who watches.
  void Restamp() { stamp_.fetch_add(1, std::memory_order_acq_rel); }

  bool lost() const;
  // The database was found damaged since the start.
  bool was_damaged() const;
  bool store_is_open() const;
  uint64_t last_sequence() const;
  uint64_t pending_records() const;
  uint64_t disk_bytes() const;
  // Closes the database if it is open; it opens again by itself.
  void CloseStore();

 private:
  void BeginLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TailIsUsableLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Errno MakeTailLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartHeaderLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MakeRoomLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DoubtEverythingLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool SyncLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_, mutex_);
  void LoseLocked(const char* what, Errno error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // --- the database (journal_store.cc)
  static void* DrainerMain(void* self);
  void Drainer();
  bool StartDrainerLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopDrainer();
  void DrainOrLose();
  uint32_t Epoch() const;
  Errno OpenStoreLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  Errno CompareStoreLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  void ResetStoreLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  Errno ApplySealedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  Errno ApplyAllLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  // kSealed: what is in the active half may stay there.
  enum class Amount { kSealed, kAll };
  Errno DrainLocked(Amount amount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  Errno JudgedLocked(Errno error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  Errno PutCheckpointLocked(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_);
  std::string StorePathLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveStoreFilesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const JournalOptions options_;
  const std::array<char, 16> boot_id_;
  bool ended_unclean_ = false;  // not changed after the constructor
  std::atomic<uint32_t> stamp_ = 1;
  // Held over the use of the database, and never by who appends.
  mutable absl::Mutex store_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  std::unique_ptr<Store> store_ ABSL_GUARDED_BY(store_mutex_);
  mutable absl::Mutex mutex_;
  UniqueFd dir_ ABSL_GUARDED_BY(mutex_);  // WORKDIR/plyfs/journal
  std::unique_ptr<Tail> tail_ ABSL_GUARDED_BY(mutex_);  // stays once it is there
  std::string buffer_ ABSL_GUARDED_BY(mutex_);
  Doubt doubt_ ABSL_GUARDED_BY(mutex_);
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;  // this server has changed something
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  bool damaged_ ABSL_GUARDED_BY(mutex_) = false;
  Errno refused_ ABSL_GUARDED_BY(mutex_);  // why what is there is left alone: ENOTSUP, it is of a later version
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<pthread_t> drainer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace plyfs
