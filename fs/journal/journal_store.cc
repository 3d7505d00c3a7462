// journal_store.cc: the journal's database: when it is opened, compared with the tail, filled from it and made anew.
// Not here: the tail, and what is in doubt (journal.cc); what the database holds (store.h).
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "fs/base/log.h"
#include "fs/base/thread.h"
#include "fs/journal/file_clock.h"
#include "fs/journal/journal.h"

namespace plyfs {
namespace {

constexpr const char* kStore = "store";
// Opening a database, which reads its log, takes more than a request does.
constexpr size_t kDrainerStack = size_t{1} << 20;

}  // namespace

std::string Journal::StorePathLocked() const { return "/proc/self/fd/" + std::to_string(dir_.get()) + "/" + kStore; }

void Journal::RemoveStoreFilesLocked() {
  std::error_code error;  // what stays is met again by who makes the next one
  std::filesystem::remove_all(StorePathLocked(), error);
}

// --- the thread that empties the sealed half of the tail

void* Journal::DrainerMain(void* self) {
  static_cast<Journal*>(self)->Drainer();
  return nullptr;
}

void Journal::Drainer() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || (tail_->has_sealed() && !lost_);
  };
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_work));
      if (stopping_) return;
    }
    DrainOrLose();
  }
}

// False if there can be no thread: whoever needs room empties the tail itself.
bool Journal::StartDrainerLocked() {
  if (drainer_) return true;
  pthread_t thread;
  if (!StartThread(DrainerMain, this, kDrainerStack, &thread).ok()) return false;
  drainer_ = thread;
  return true;
}

void Journal::StopDrainer() {
  std::optional<pthread_t> thread;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    std::swap(thread, drainer_);
  }
  if (thread) ::pthread_join(*thread, nullptr);
}

void Journal::DrainOrLose() {
  absl::MutexLock store_lock(&store_mutex_);
  const Errno error = DrainLocked(Amount::kSealed);
  if (error.ok()) return;
  absl::MutexLock lock(&mutex_);
  LoseLocked("the database cannot be written", error);
}

// --- opening

// Losing the database costs a rescan.
void Journal::ResetStoreLocked() {
  LogWarning("journal: the database is damaged and is made anew; checkpoints in it are lost");
  store_.reset();
  absl::MutexLock lock(&mutex_);
  RemoveStoreFilesLocked();
  damaged_ = true;
  tail_->header().has_store = 0;
  DoubtEverythingLocked();
}

Errno Journal::OpenStoreLocked() {
  if (store_) return kOk;
  std::string path;
  bool is_new = false;
  {
    absl::MutexLock lock(&mutex_);
    path = StorePathLocked();
    is_new = tail_->header().has_store == 0;
  }
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_directory(path, error)) {
    ResetStoreLocked();
    is_new = true;
  }
  // One that should be there and is not must not be taken for an empty one.
  Result<std::unique_ptr<Store>> store = OpenStore(path, is_new);
  if (!store.ok() && store.error() == EUCLEAN) {
    ResetStoreLocked();
    store = OpenStore(path, true);
  }
  if (!store.ok()) return store.error();
  store_ = std::move(store).value();
  return CompareStoreLocked();
}

// The tail and the database may be of different times: after a failure of the machine, when one of them was put back from a copy,
// or when the server died between two steps.
Errno Journal::CompareStoreLocked() {
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> checkpoints, store_->Checkpoints());
  const uint64_t applied = store_->Applied();
  absl::MutexLock lock(&mutex_);
  JournalHeader& header = tail_->header();
  for (const StoredCheckpoint& checkpoint : checkpoints) header.epoch = std::max(header.epoch, checkpoint.epoch);
  if (applied >= tail_->NextSequence()) {
    DoubtEverythingLocked();
    // Or records with numbers that it has seen already would be left out.
    tail_->Restart(applied);
  } else if (header.has_store != 0 && applied < header.base_sequence) {
    DoubtEverythingLocked();
  }
  return kOk;
}

// --- filling

// Only who holds the store's mutex changes it.
uint32_t Journal::Epoch() const {
  absl::MutexLock lock(&mutex_);
  return tail_->header().epoch;
}

Errno Journal::ApplySealedLocked() {
  Tail::SealedHalf sealed;
  {
    absl::MutexLock lock(&mutex_);
    sealed = tail_->Sealed();
  }
  if (sealed.bytes.empty()) return kOk;
  // Nobody else releases it.
  const std::vector<Record> records = DecodeRecords(sealed.bytes);
  RETURN_IF_ERROR(OpenStoreLocked());
  RETURN_IF_ERROR(store_->Apply(records, Epoch(), sealed.last_sequence));
  absl::MutexLock lock(&mutex_);
  tail_->header().has_store = 1;
  tail_->Release();
  return kOk;
}

// All that was recorded before the call.
Errno Journal::ApplyAllLocked() {
  RETURN_IF_ERROR(ApplySealedLocked());
  {
    absl::MutexLock lock(&mutex_);
    tail_->Seal();
  }
  RETURN_IF_ERROR(ApplySealedLocked());
  RETURN_IF_ERROR(OpenStoreLocked());
  uint64_t last = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (tail_->header().has_store != 0) return kOk;
    last = tail_->header().base_sequence;
  }
  // The first words of a new database.
  RETURN_IF_ERROR(store_->Apply({}, Epoch(), last));
  absl::MutexLock lock(&mutex_);
  tail_->header().has_store = 1;
  return kOk;
}

Errno Journal::DrainLocked(Amount amount) {
  const auto apply = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mutex_) {
    return amount == Amount::kAll ? ApplyAllLocked() : ApplySealedLocked();
  };
  Errno error = apply();
  if (error == EUCLEAN) {
    ResetStoreLocked();
    error = apply();
  }
  // After a failed write RocksDB takes no more; opened again it may.
  if (!error.ok()) store_.reset();
  return error;
}

// --- reading, for tools

void Journal::LoadIdentity(const Identity& visit) {
  absl::MutexLock store_lock(&store_mutex_);
  bool has_store = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!tail_) return;
    has_store = tail_->header().has_store != 0;
  }
  if (has_store) {
    const Errno error = OpenStoreLocked();
    if (!error.ok()) {
      LogWarning("journal: inode numbers of copied-up files are not known any more: %s", std::strerror(error.value()));
    } else {
      store_->ForEachOrigin(visit.origin).Ignore("as above");
      store_->ForEachLinksRemoved(visit.links_removed).Ignore("as above");
      store_->ForEachGoingLink(visit.link_goes).Ignore("as above");
    }
  }
  absl::MutexLock lock(&mutex_);
  for (const Record& record : tail_->Records()) {
    if (record.type == RecordType::kOrigin) {
      visit.origin({.inode = record.inode, .shown = record.value, .birth_ns = record.birth_ns});
    } else if (record.type == RecordType::kDropOrigin) {
      visit.drop_origin(record.inode);
    } else if (record.type == RecordType::kLinksRemoved) {
      visit.links_removed(record.device, record.inode, record.value);
    } else if (record.type == RecordType::kLinkGoes || record.type == RecordType::kIndexedLinkGoes) {
      visit.link_goes({.device = record.device,
                       .inode = record.inode,
                       .indexed = record.type == RecordType::kIndexedLinkGoes,
                       .before = record.value,
                       .name = record.name,
                       .dir_path = record.from});
    } else if (record.type == RecordType::kLinkSettled) {
      visit.link_settled(record.device, record.inode);
    }
  }
}

Errno Journal::WithStore(const std::function<Errno(Store&, uint32_t epoch)>& use) {
  absl::MutexLock store_lock(&store_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    if (!tail_) {
      RETURN_IF_ERROR(MakeTailLocked());
      begun_ = true;
    }
  }
  RETURN_IF_ERROR(DrainLocked(Amount::kAll));
  return JudgedLocked(use(*store_, Epoch()));
}

// The error of a use of the database; EUCLEAN, and there is no database any more, if it was found damaged.
Errno Journal::JudgedLocked(Errno error) {
  if (!(error == EUCLEAN) && !store_->damaged()) return error;
  ResetStoreLocked();
  return EUCLEAN;
}

Errno Journal::CreateCheckpoint(const std::string& name) {
  absl::MutexLock store_lock(&store_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    if (!begun_) BeginLocked();
    if (lost_) return EIO;
  }
  RETURN_IF_ERROR(DrainLocked(Amount::kAll));
  return JudgedLocked(PutCheckpointLocked(name));
}

Errno Journal::PutCheckpointLocked(const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store_->Checkpoints());
  for (const StoredCheckpoint& other : all) {
    if (other.name == name) return EEXIST;
  }
  StoredCheckpoint checkpoint{.name = name, .created_ns = SplitFileTimes()};
  {
    absl::MutexLock lock(&mutex_);
    checkpoint.epoch = tail_->header().epoch + 1;
    checkpoint.sequence = tail_->NextSequence() - 1;
  }
  // If the server dies here, CompareStoreLocked goes on.
  RETURN_IF_ERROR(store_->PutCheckpoint(checkpoint));
  absl::MutexLock lock(&mutex_);
  tail_->header().epoch = checkpoint.epoch;
  stamp_.fetch_add(1, std::memory_order_acq_rel);
  return kOk;
}

Errno Journal::DeleteCheckpoint(const std::string& name) {
  absl::MutexLock store_lock(&store_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    if (!tail_) return ENOENT;
  }
  RETURN_IF_ERROR(DrainLocked(Amount::kAll));
  const Result<std::vector<StoredCheckpoint>> all = store_->Checkpoints();
  if (!all.ok()) return JudgedLocked(all.error());
  for (const StoredCheckpoint& checkpoint : *all) {
    if (checkpoint.name == name) return JudgedLocked(store_->DeleteCheckpoint(checkpoint));
  }
  return ENOENT;
}

// --- figures, and its end

bool Journal::store_is_open() const {
  absl::MutexLock lock(&store_mutex_);
  return store_ != nullptr;
}

uint64_t Journal::disk_bytes() const {
  absl::MutexLock store_lock(&store_mutex_);
  const uint64_t database = store_ ? store_->DiskBytes() : 0;
  absl::MutexLock lock(&mutex_);
  return database + (tail_ ? Tail::kSize : 0);
}

void Journal::CloseStore() {
  absl::MutexLock store_lock(&store_mutex_);
  if (!store_) return;
  // What is in it is not in the tail any more.
  if (options_.syncs && !store_->Sync().ok()) {
    absl::MutexLock lock(&mutex_);
    tail_->header().rescan_all = 1;
  }
  store_.reset();
}

}  // namespace plyfs
