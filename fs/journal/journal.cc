// journal.cc: see journal.h.
#include "fs/journal/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "absl/time/time.h"
#include "fs/base/log.h"

namespace plyfs {
namespace {

constexpr const char* kDirectory = "journal";
constexpr const char* kStore = "store";
// Filesystems take their times from a clock that moves in ticks of up to 10 ms.
constexpr int64_t kClockTick = 20'000'000;

int64_t NowNs(clockid_t clock = CLOCK_REALTIME) {
  timespec now;
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// A moment that is later than every time that a file got before this call, and not later than any that it gets after it. Times
// of files come from the coarse clock or, if somebody looked at the last one, from the fine one, which is ahead of it by up to a tick.
int64_t SplitFileTimes() {
  const int64_t before = NowNs();
  int64_t now = NowNs(CLOCK_REALTIME_COARSE);
  // If the clock is set back meanwhile, the moment is as good as any.
  for (int64_t waited = 0; now <= before && waited < 2 * kClockTick; now = NowNs(CLOCK_REALTIME_COARSE)) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 500'000};
    ::nanosleep(&pause, nullptr);
    waited += pause.tv_nsec;
  }
  return now;
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

void RemoveTree(const std::string& path) {
  std::error_code error;  // what stays is met again by who makes the next one
  std::filesystem::remove_all(path, error);
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
  const Errno error = tail.error();
  if (tail.ok()) tail_ = std::move(tail).value();
  // One that cannot be read now (no descriptor, no room for its holes) or by us is no reason to throw it away.
  const bool is_waste = error == ENOENT || error == EINVAL || error == ELOOP;
  if (!is_waste) refused_ = error;
  if (!TailIsUsableLocked()) {
    tail_.reset();
    doubt_.everything = !options.upper_is_empty;
    return;
  }
  const JournalHeader& header = tail_->header();
  const bool power_failed = header.clean == 0 && header.boot_id != boot_id_;
  doubt_ = {.everything = header.rescan_all != 0 || power_failed,
            .power_failed = power_failed,
            .changed_since_ns = header.verified_ns};
}

// Of this upper.
bool Journal::TailIsUsableLocked() {
  if (!tail_) return false;
  const JournalHeader& header = tail_->header();
  return header.root_inode == options_.root_inode && header.root_birth_ns == options_.root_birth_ns;
}

Journal::~Journal() {
  absl::MutexLock lock(&mutex_);
  if (!tail_ || !begun_) return;
  // Without the mark the next mount compares what has changed since, after a failure of the machine everything.
  if (!SyncLocked()) return;
  store_.reset();
  JournalHeader& header = tail_->header();
  header.rescan_all = lost_ || doubt_.everything ? 1 : 0;
  header.verified_ns = doubt_.changed_since_ns != 0 ? doubt_.changed_since_ns : NowNs() - kClockTick;
  header.clean = 1;
  if (options_.syncs) tail_->SyncHeader().Ignore("after a power failure the upper is read again");
}

// What was recorded will outlive the machine.
bool Journal::SyncLocked() {
  if (!options_.syncs) return true;
  if (tail_ && !tail_->SyncRecords().ok()) return false;
  return !store_ || store_->Sync().ok();
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
  if (!refused_.ok()) return refused_;
  if (!dir_.valid()) {
    ASSIGN_OR_RETURN(dir_, OpenDir(options_.work, true));
  }
  // Whatever is there belongs to no tail.
  RemoveTree(StorePath());
  ASSIGN_OR_RETURN(tail_, Tail::Make(dir_.get()));
  JournalHeader& header = tail_->header();
  header.root_inode = options_.root_inode;
  header.root_birth_ns = options_.root_birth_ns;
  // Somebody may wait for what comes after a number of the tail that is gone: microseconds are always ahead of those.
  tail_->Restart(static_cast<uint64_t>(NowNs() / 1000));
  StartHeaderLocked();
  return kOk;
}

void Journal::StartHeaderLocked() {
  JournalHeader& header = tail_->header();
  header.rescan_all = lost_ || doubt_.everything ? 1 : 0;
  header.verified_ns = doubt_.changed_since_ns != 0 ? doubt_.changed_since_ns : NowNs() - kClockTick;
  header.clean = 0;
  header.boot_id = boot_id_;
}

// Before the first change of this server.
void Journal::BeginLocked() {
  begun_ = true;
  if (const Errno error = MakeTailLocked(); !error.ok()) return LoseLocked("it cannot be made", error);
  StartHeaderLocked();
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

void Journal::DoubtEverythingLocked() {
  doubt_.everything = true;
  tail_->header().rescan_all = 1;
}

// Losing the database costs a rescan.
void Journal::ResetStoreLocked() {
  LogWarning("journal: the database is damaged and is made anew; checkpoints in it are lost");
  store_.reset();
  RemoveTree(StorePath());
  damaged_ = true;
  tail_->header().has_store = 0;
  DoubtEverythingLocked();
}

Errno Journal::OpenStoreLocked() {
  if (store_) return kOk;
  std::error_code error;
  if (std::filesystem::exists(StorePath(), error) && !std::filesystem::is_directory(StorePath(), error)) ResetStoreLocked();
  // One that should be there and is not must not be taken for an empty one.
  Result<std::unique_ptr<Store>> store = OpenStore(StorePath(), tail_->header().has_store == 0);
  if (!store.ok() && store.error() == EUCLEAN) {
    ResetStoreLocked();
    store = OpenStore(StorePath(), true);
  }
  if (!store.ok()) return store.error();
  store_ = std::move(store).value();
  return CompareStoreLocked();
}

// The tail and the database may be of different times: after a failure of the machine, when one of them was put back from a copy,
// or when the server died between two steps.
Errno Journal::CompareStoreLocked() {
  JournalHeader& header = tail_->header();
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> checkpoints, store_->Checkpoints());
  for (const StoredCheckpoint& checkpoint : checkpoints) header.epoch = std::max(header.epoch, checkpoint.epoch);
  const uint64_t applied = store_->Applied();
  if (applied >= tail_->NextSequence()) {
    DoubtEverythingLocked();
    // Or records with numbers that it has seen already would be left out.
    tail_->Restart(applied);
  } else if (header.has_store != 0 && applied < header.base_sequence) {
    DoubtEverythingLocked();
  }
  return kOk;
}

Errno Journal::ApplyLocked() {
  RETURN_IF_ERROR(OpenStoreLocked());
  JournalHeader& header = tail_->header();
  if (tail_->empty() && header.has_store != 0) return kOk;
  RETURN_IF_ERROR(store_->Apply(tail_->Records(), header.epoch, tail_->NextSequence() - 1));
  header.has_store = 1;
  tail_->Clear();
  return kOk;
}

Errno Journal::DrainLocked() {
  Errno error = ApplyLocked();
  if (error == EUCLEAN) {
    ResetStoreLocked();
    error = ApplyLocked();
  }
  // After a failed write RocksDB takes no more; opened again it may.
  if (!error.ok()) store_.reset();
  return error;
}

void Journal::LoadIdentity(const Identity& visit) {
  absl::MutexLock lock(&mutex_);
  if (!tail_) return;
  if (tail_->header().has_store != 0) {
    const Errno error = OpenStoreLocked();
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
  if (!tail_) {
    RETURN_IF_ERROR(MakeTailLocked());
    begun_ = true;
  }
  RETURN_IF_ERROR(DrainLocked());
  return JudgedLocked(use(*store_, tail_->header().epoch));
}

// The error of a use of the database; EUCLEAN, and there is no database any more, if it was found damaged.
Errno Journal::JudgedLocked(Errno error) {
  if (!(error == EUCLEAN) && !store_->damaged()) return error;
  ResetStoreLocked();
  return EUCLEAN;
}

Errno Journal::CreateCheckpoint(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  if (!begun_) BeginLocked();
  if (lost_) return EIO;
  RETURN_IF_ERROR(DrainLocked());
  return JudgedLocked(PutCheckpointLocked(name));
}

Errno Journal::PutCheckpointLocked(const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store_->Checkpoints());
  for (const StoredCheckpoint& other : all) {
    if (other.name == name) return EEXIST;
  }
  const uint32_t epoch = tail_->header().epoch;
  // If the server dies here, CompareStoreLocked goes on.
  RETURN_IF_ERROR(store_->PutCheckpoint({.name = name,
                                         .epoch = epoch + 1,
                                         .sequence = tail_->NextSequence() - 1,
                                         .created_ns = SplitFileTimes()}));
  tail_->header().epoch = epoch + 1;
  stamp_.fetch_add(1, std::memory_order_acq_rel);
  return kOk;
}

Errno Journal::DeleteCheckpoint(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  if (!tail_) return ENOENT;
  RETURN_IF_ERROR(DrainLocked());
  const Result<std::vector<StoredCheckpoint>> all = store_->Checkpoints();
  if (!all.ok()) return JudgedLocked(all.error());
  for (const StoredCheckpoint& checkpoint : *all) {
    if (checkpoint.name == name) return JudgedLocked(store_->DeleteCheckpoint(checkpoint));
  }
  return ENOENT;
}

Journal::Doubt Journal::doubt() const {
  absl::MutexLock lock(&mutex_);
  Doubt doubt = doubt_;
  doubt.everything |= lost_;
  return doubt;
}

void Journal::StartVerifying() {
  absl::MutexLock lock(&mutex_);
  doubt_.everything |= lost_;
  lost_ = false;
  // Nodes that were recorded while that was lost say so again.
  stamp_.fetch_add(1, std::memory_order_acq_rel);
}

void Journal::Verified() {
  absl::MutexLock lock(&mutex_);
  if (lost_ || !tail_) return;
  doubt_ = {};
  // Even if nothing changes any more: the next mount need not do it again.
  if (!begun_) BeginLocked();
  if (!lost_) tail_->header().rescan_all = 0;
}

bool Journal::was_damaged() const {
  absl::MutexLock lock(&mutex_);
  return damaged_;
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
  if (!store_) return;
  // What is in it is not in the tail any more.
  if (options_.syncs && !store_->Sync().ok()) tail_->header().rescan_all = 1;
  store_.reset();
}

}  // namespace plyfs
