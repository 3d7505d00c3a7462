// journal.cc: see journal.h.
// Not here: the database behind the tail (journal_store.cc).
#include "fs/journal/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/time/time.h"
#include "fs/base/log.h"
#include "fs/journal/file_clock.h"

namespace plyfs {
namespace {

constexpr const char* kDirectory = "journal";
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
  ended_unclean_ = header.clean == 0;
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
  StopDrainer();
  absl::MutexLock store_lock(&store_mutex_);
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
  RemoveStoreFilesLocked();
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
  header.magic = JournalHeader::kMagic;
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

void Journal::Begin() {
  absl::MutexLock lock(&mutex_);
  if (!begun_) BeginLocked();
}

void Journal::Append(std::span<Record> records) {
  absl::MutexLock lock(&mutex_);
  if (!begun_) BeginLocked();
  while (!lost_) {
    buffer_.clear();
    uint64_t sequence = tail_->NextSequence();
    for (Record& record : records) {
      record.sequence = sequence++;
      EncodeRecord(record, &buffer_);
    }
    if (tail_->Append(buffer_)) return tail_->Appended(records.size());
    if (buffer_.size() > Tail::kHalf) return LoseLocked("a record is too big", EMSGSIZE);
    if (!MakeRoomLocked()) return;
  }
}

// False if the journal is lost. Others may have appended meanwhile.
bool Journal::MakeRoomLocked() {
  const auto has_room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return lost_ || !tail_->has_sealed(); };
  mutex_.Await(absl::Condition(&has_room));
  if (lost_) return false;
  tail_->Seal();
  if (StartDrainerLocked()) return true;
  mutex_.Unlock();
  DrainOrLose();
  mutex_.Lock();
  return !lost_;
}

void Journal::DoubtEverythingLocked() {
  doubt_.everything = true;
  tail_->header().rescan_all = 1;
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

uint64_t Journal::last_sequence() const {
  absl::MutexLock lock(&mutex_);
  return tail_ ? tail_->NextSequence() - 1 : 0;
}

uint64_t Journal::pending_records() const {
  absl::MutexLock lock(&mutex_);
  return tail_ ? tail_->NextSequence() - 1 - tail_->header().base_sequence : 0;
}

}  // namespace plyfs
