// tail.cc: see tail.h.
#include "fs/journal/tail.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace plyfs {
namespace {

constexpr const char* kName = "tail";
constexpr const char* kNewName = "tail.new";

Result<char*> Map(int fd) {
  void* memory = ::mmap(nullptr, Tail::kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Errno::Last();
  return static_cast<char*>(memory);
}

bool IsReadable(uint64_t magic) { return magic >= JournalHeader::kFirstMagic && magic <= JournalHeader::kMagic; }

bool IsOfLaterVersion(uint64_t magic) { return magic >> 8 == JournalHeader::kMagic >> 8 && magic > JournalHeader::kMagic; }

}  // namespace

Tail::Tail(UniqueFd fd, char* memory)
    : fd_(std::move(fd)),
      memory_(memory),
      header_(reinterpret_cast<JournalHeader*>(memory)),
      halves_{Half{kHeaderSpace, kHeaderSpace}, Half{kHeaderSpace + kHalf, kHeaderSpace + kHalf}} {
  next_sequence_ = header_->base_sequence + 1;
  for (const size_t first : {size_t{0}, size_t{1}}) {
    if (!Find(halves_[first])) continue;
    active_ = first;
    sealed_last_ = next_sequence_ - 1;
    if (!Find(halves_[1 - first])) return;
    active_ = 1 - first;
    has_sealed_ = true;
    return;
  }
}

// Whether the half goes on where the records found so far end.
bool Tail::Find(Half& half) {
  const size_t limit = half.begin + kHalf;
  while (half.end < limit) {
    const std::optional<DecodedRecord> decoded = DecodeRecord({memory_ + half.end, limit - half.end});
    if (!decoded || decoded->record.sequence != next_sequence_) break;
    half.end += decoded->size;
    ++next_sequence_;
  }
  return !half.empty();
}

Tail::~Tail() { ::munmap(memory_, kSize); }

Result<std::unique_ptr<Tail>> Tail::Open(int dir) {
  UniqueFd fd(::openat(dir, kName, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno::Last();
  struct stat stat;
  if (::fstat(fd.get(), &stat) != 0) return Errno::Last();
  // A shorter file, or one with holes on a full disk, would end the server by SIGBUS.
  const auto size = static_cast<size_t>(stat.st_size);
  if (!S_ISREG(stat.st_mode) || (size != kSize && size != kSizeOfOneHalf)) return Errno(EINVAL);
  if (::fallocate(fd.get(), 0, 0, kSize) != 0) return Errno::Last();
  ASSIGN_OR_RETURN(char* memory, Map(fd.get()));
  if (const uint64_t magic = reinterpret_cast<const JournalHeader*>(memory)->magic; !IsReadable(magic)) {
    ::munmap(memory, kSize);
    return Errno(IsOfLaterVersion(magic) ? ENOTSUP : EINVAL);
  }
  return std::unique_ptr<Tail>(new Tail(std::move(fd), memory));
}

Result<std::unique_ptr<Tail>> Tail::Make(int dir) {
  if (::unlinkat(dir, kNewName, 0) != 0 && !(Errno::Last() == ENOENT)) return Errno::Last();
  UniqueFd fd(::openat(dir, kNewName, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return Errno::Last();
  if (::fallocate(fd.get(), 0, 0, kSize) != 0) return Errno::Last();
  ASSIGN_OR_RETURN(char* memory, Map(fd.get()));
  const JournalHeader fresh;
  std::memcpy(memory, &fresh, sizeof fresh);
  auto tail = std::unique_ptr<Tail>(new Tail(std::move(fd), memory));
  if (::renameat(dir, kNewName, dir, kName) != 0) return Errno::Last();
  return tail;
}

Errno Tail::SyncHeader() const {
  if (::msync(memory_, kHeaderSpace, MS_SYNC) != 0) return Errno::Last();
  return kOk;
}

Errno Tail::SyncRecords() const {
  if (::msync(memory_ + kHeaderSpace, kSize - kHeaderSpace, MS_SYNC) != 0) return Errno::Last();
  return kOk;
}

bool Tail::Append(std::string_view encoded) {
  Half& half = active();
  if (half.begin + kHalf - half.end < encoded.size()) return false;
  // The record's checksum comes first in it, but a torn copy is found by it whatever the order in which the bytes arrive.
  std::memcpy(memory_ + half.end, encoded.data(), encoded.size());
  half.end += encoded.size();
  return true;
}

bool Tail::Seal() {
  if (has_sealed_ || active().empty()) return false;
  active_ = 1 - active_;
  has_sealed_ = true;
  sealed_last_ = next_sequence_ - 1;
  return true;
}

Tail::SealedHalf Tail::Sealed() const {
  if (!has_sealed_) return {};
  return {.bytes = BytesOf(other()), .last_sequence = sealed_last_};
}

void Tail::Release() {
  if (!has_sealed_) return;
  header_->base_sequence = sealed_last_;
  has_sealed_ = false;
  Half& half = halves_[1 - active_];
  half.end = half.begin;
}

std::vector<Record> Tail::Records() const {
  std::vector<Record> records = DecodeRecords(Sealed().bytes);
  for (Record& record : DecodeRecords(BytesOf(active()))) records.push_back(std::move(record));
  return records;
}

void Tail::Restart(uint64_t sequence) {
  header_->base_sequence = sequence;
  next_sequence_ = sequence + 1;
  has_sealed_ = false;
  for (Half& half : halves_) half.end = half.begin;
}

std::vector<Record> DecodeRecords(std::span<const char> bytes) {
  std::vector<Record> records;
  while (!bytes.empty()) {
    std::optional<DecodedRecord> decoded = DecodeRecord(bytes);
    if (!decoded) break;
    bytes = bytes.subspan(decoded->size);
    records.push_back(std::move(decoded->record));
  }
  return records;
}

}  // namespace plyfs
