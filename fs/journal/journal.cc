// journal.cc: see journal.h.
#include "fs/journal/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/time/time.h"
#include "fs/base/log.h"

namespace plyfs {
namespace {

constexpr const char* kDirectory = "journal";
constexpr const char* kStore = "store";
// Filesystems take their times from a clock that moves in ticks of up to 10 ms.
constexpr int64_t kClockTick = 20'000'000;

int64_t NowNs() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Another one after each start of the machine.
std::array<char, 16> ReadBootId() {
  std::array<char, 16> id{};
  const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[40] = {};
  if (fd.valid() && ::read(fd.get(), text, sizeof text - 1) > 0) {
    // Its 36 characters folded: any difference will do.
    for (size_t i = 0; text[i] != '\0'; ++i) id[i % id.size()] = static_cast<char>(id[i % id.size()] * 31 + text[i]);
  }
  return id;
}

Result<UniqueFd> OpenDir(int work, bool make) {
  if (make && ::mkdirat(work, kDirectory, 0700) != 0 && !(Errno::Last() == EEXIST)) return Errno::Last();
  UniqueFd fd(::openat(work, kDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno::Last();
  return fd;
}

}  // namespace

Journal::Journal(const JournalOptions& options) : options_(options), boot_id_(ReadBootId()) {
  absl::MutexLock lock(&mutex_);
  Result<UniqueFd> dir = OpenDir(options.work, false);
  if (!dir.ok()) {
    doubt_.everything = !options.upper_is_empty;
    return;
  }
  dir_ = std::move(dir).value();
  Result<std::unique_ptr<Tail>> tail = Tail::Open(dir_.get());
  if (tail.ok()) tail_ = std::move(tail).value();
  if (!TailIsUsableLocked()) {
    tail_.reset();
    doubt_.everything = !options.upper_is_empty;
    return;
  }
  const JournalHeader& header = tail_->header();
  const bool power_failed = header.clean == 0 && header.boot_id != boot_id_;
  doubt_ = {.everything = header.rescan_all != 0 || power_failed, .changed_since_ns = header.verified_ns};
}

// Of this upper, and of a format that this program knows.
bool Journal::TailIsUsableLocked() {
  if (!tail_) return false;
  const JournalHeader& header = tail_->header();
  return header.root_inode == options_.root_inode && header.root_birth_ns == options_.root_birth_ns;
}

Journal::~Journal() {
  absl::MutexLock lock(&mutex_);
  if (!tail_ || !begun_) return;
  JournalHeader& header = tail_->header();
  if (store_ && options_.syncs) store_->Sync().Ignore("then the header must not say clean");
  store_.reset();
  header.rescan_all = lost_ || doubt_.everything ? 1 : 0;
  header.clean_ns = NowNs() - kClockTick;
  header.verified_ns = doubt_.changed_since_ns != 0 ? doubt_.changed_since_ns : header.clean_ns;
  header.clean = 1;
  if (options_.syncs) tail_->SyncHeader().Ignore("after a power failure the upper is read again");
}

void Journal::Distrust(int work) {
  const Result<UniqueFd> dir = OpenDir(work, false);
  if (!dir.ok()) return;
  const Result<std::unique_ptr<Tail>> tail = Tail::Open(dir->get());
  if (tail.ok()) (*tail)->header().rescan_all = 1;
}

void Journal::LoseLocked(const char* what, Errno error) {
  if (tail_) tail_->header().rescan_all = 1;
  if (lost_) return;
  lost_ = true;
  LogWarning("journal: %s: %s; the mount goes on, and lists of changes will read the whole upper directory", what,
             std::strerror(error.value()));
}

Errno Journal::MakeTailLocked() {
  if (tail_) return kOk;
  if (!dir_.valid()) {
    ASSIGN_OR_RETURN(dir_, OpenDir(options_.work, true));
  }
  // Whatever is there belongs to no tail.
  if (::faccessat(dir_.get(), kStore, F_OK, 0) == 0) DestroyStore(StorePath());
  ASSIGN_OR_RETURN(tail_, Tail::Make(dir_.get()));
  JournalHeader& header = tail_->header();
  header.root_inode = options_.root_inode;
  header.root_birth_ns = options_.root_birth_ns;
  return kOk;
}

// Before the first change of this server.
void Journal::BeginLocked() {
  begun_ = true;
  if (const Errno error = MakeTailLocked(); !error.ok()) return LoseLocked("it cannot be made", error);
  JournalHeader& header = tail_->header();
  header.rescan_all = doubt_.everything ? 1 : 0;
  header.verified_ns = doubt_.changed_since_ns != 0 ? doubt_.changed_since_ns : NowNs() - kClockTick;
  header.clean = 0;
  header.boot_id = boot_id_;
  if (!options_.syncs) return;
  // Or after a power failure an old "clean" would be believed.
  if (const Errno error = tail_->SyncHeader(); !error.ok()) LoseLocked("it cannot be synced", error);
}

void Journal::Append(std::span<Record> records) {
  absl::MutexLock lock(&mutex_);
  if (!begun_) BeginLocked();
  if (lost_) return;
  buffer_.clear();
  uint64_t sequence = tail_->NextSequence();
  for (Record& record : records) {
    record.sequence = sequence++;
    EncodeRecord(record, &buffer_);
  }
  if (!tail_->Append(buffer_)) {
    if (const Errno error = DrainLocked(); !error.ok()) return LoseLocked("the database cannot be written", error);
    if (!tail_->Append(buffer_)) return LoseLocked("a record is too big", EMSGSIZE);
  }
  tail_->Appended(records.size());
}

std::string Journal::StorePath() const {
  mutex_.AssertHeld();
  return "/proc/self/fd/" + std::to_string(dir_.get()) + "/" + kStore;
}

Errno Journal::OpenStoreLocked(bool create) {
  if (store_) return kOk;
  Result<std::unique_ptr<Store>> store = OpenStore(StorePath(), create);
  if (!store.ok() && store.error() == EIO) {
    // Losing it costs a rescan.
    LogWarning("journal: the database is damaged and is made anew");
    DestroyStore(StorePath());
    doubt_.everything = true;
    tail_->header().rescan_all = 1;
    store = OpenStore(StorePath(), true);
  }
  if (!store.ok()) return store.error();
  store_ = std::move(store).value();
  tail_->header().has_store = 1;
  return kOk;
}

Errno Journal::DrainLocked() {
  RETURN_IF_ERROR(OpenStoreLocked(true));
  if (tail_->empty()) return kOk;
  RETURN_IF_ERROR(store_->Apply(tail_->Records(), tail_->header().epoch));
  tail_->Clear();
  return kOk;
}

void Journal::LoadIdentity(const Identity& visit) {
  absl::MutexLock lock(&mutex_);
  if (!tail_) return;
  if (tail_->header().has_store != 0) {
    const Errno error = OpenStoreLocked(false);
    if (!error.ok()) {
      LogWarning("journal: inode numbers of copied-up files are not known any more: %s", std::strerror(error.value()));
    } else {
      store_->ForEachOrigin(visit.origin).Ignore("as above");
      store_->ForEachLinksRemoved(visit.links_removed).Ignore("as above");
    }
  }
  for (const Record& record : tail_->Records()) {
    if (record.type == RecordType::kOrigin) {
      visit.origin({.inode = record.inode, .shown = record.value, .birth_ns = record.birth_ns});
    } else if (record.type == RecordType::kDropOrigin) {
      visit.drop_origin(record.inode);
    } else if (record.type == RecordType::kLinksRemoved) {
      visit.links_removed(record.device, record.inode, record.value);
    }
  }
}

Errno Journal::WithStore(const std::function<Errno(Store&, uint32_t epoch)>& use) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(MakeTailLocked());
  RETURN_IF_ERROR(DrainLocked());
  return use(*store_, tail_->header().epoch);
}

Errno Journal::CreateCheckpoint(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  if (!begun_) BeginLocked();
  if (lost_) return EIO;
  RETURN_IF_ERROR(DrainLocked());
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store_->Checkpoints());
  uint32_t epoch = tail_->header().epoch;
  for (const StoredCheckpoint& other : all) {
    if (other.name == name) return EEXIST;
    // The server may have died between the two steps below.
    epoch = std::max(epoch, other.epoch);
  }
  RETURN_IF_ERROR(store_->PutCheckpoint({.name = name,
                                         .epoch = epoch + 1,
                                         .sequence = tail_->NextSequence() - 1,
                                         .created_ns = NowNs()}));
  tail_->header().epoch = epoch + 1;
  stamp_.fetch_add(1, std::memory_order_acq_rel);
  return kOk;
}

Errno Journal::DeleteCheckpoint(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  if (!tail_) return ENOENT;
  RETURN_IF_ERROR(DrainLocked());
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store_->Checkpoints());
  for (const StoredCheckpoint& checkpoint : all) {
    if (checkpoint.name == name) return store_->DeleteCheckpoint(checkpoint);
  }
  return ENOENT;
}

Journal::Doubt Journal::doubt() const {
  absl::MutexLock lock(&mutex_);
  Doubt doubt = doubt_;
  doubt.everything |= lost_;
  return doubt;
}

void Journal::Verified() {
  absl::MutexLock lock(&mutex_);
  doubt_ = {};
  if (!tail_) return;
  lost_ = false;
  tail_->header().rescan_all = 0;
}

bool Journal::WaitForRecord(uint64_t sequence, int timeout_ms) {
  absl::MutexLock lock(&mutex_);
  const auto has_more = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return tail_ != nullptr && tail_->NextSequence() > sequence + 1;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&has_more), absl::Milliseconds(timeout_ms));
}

bool Journal::lost() const {
  absl::MutexLock lock(&mutex_);
  return lost_;
}

bool Journal::store_is_open() const {
  absl::MutexLock lock(&mutex_);
  return store_ != nullptr;
}

uint64_t Journal::last_sequence() const {
  absl::MutexLock lock(&mutex_);
  return tail_ ? tail_->NextSequence() - 1 : 0;
}

uint64_t Journal::pending_records() const {
  absl::MutexLock lock(&mutex_);
  return tail_ ? tail_->NextSequence() - 1 - tail_->header().base_sequence : 0;
}

uint64_t Journal::disk_bytes() const {
  absl::MutexLock lock(&mutex_);
  return (tail_ ? Tail::kSize : 0) + (store_ ? store_->DiskBytes() : 0);
}

void Journal::CloseStore() {
  absl::MutexLock lock(&mutex_);
  if (store_ && options_.syncs) store_->Sync().Ignore("the tail is applied again if need be");
  store_.reset();
}

}  // namespace plyfs
