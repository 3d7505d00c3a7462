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

bool IsOfLaterVersion(uint64_t magic) { return magic >> 8 == JournalHeader::kMagic >> 8 && magic > JournalHeader::kMagic; }

}  // namespace

Tail::Tail(UniqueFd fd, char* memory)
    : fd_(std::move(fd)), memory_(memory), header_(reinterpret_cast<JournalHeader*>(memory)) {
  next_sequence_ = header_->base_sequence + 1;
  while (end_ < kSize) {
    const std::optional<DecodedRecord> decoded = DecodeRecord({memory_ + end_, kSize - end_});
    if (!decoded || decoded->record.sequence != next_sequence_) break;
    end_ += decoded->size;
    ++next_sequence_;
  }
}

Tail::~Tail() { ::munmap(memory_, kSize); }

Result<std::unique_ptr<Tail>> Tail::Open(int dir) {
  UniqueFd fd(::openat(dir, kName, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return Errno::Last();
  struct stat stat;
  if (::fstat(fd.get(), &stat) != 0) return Errno::Last();
  // A shorter file, or one with holes on a full disk, would end the server by SIGBUS.
  if (!S_ISREG(stat.st_mode) || stat.st_size != static_cast<off_t>(kSize)) return Errno(EINVAL);
  if (::fallocate(fd.get(), 0, 0, kSize) != 0) return Errno::Last();
  ASSIGN_OR_RETURN(char* memory, Map(fd.get()));
  if (const uint64_t magic = reinterpret_cast<const JournalHeader*>(memory)->magic; magic != JournalHeader::kMagic) {
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
  if (kSize - end_ < encoded.size()) return false;
  // The record's checksum comes first in it, but a torn copy is found by it whatever the order in which the bytes arrive.
  std::memcpy(memory_ + end_, encoded.data(), encoded.size());
  end_ += encoded.size();
  return true;
}

std::vector<Record> Tail::Records() const {
  std::vector<Record> records;
  for (size_t at = kHeaderSpace; at < end_;) {
    std::optional<DecodedRecord> decoded = DecodeRecord({memory_ + at, end_ - at});
    if (!decoded) break;
    at += decoded->size;
    records.push_back(std::move(decoded->record));
  }
  return records;
}

void Tail::Restart(uint64_t sequence) {
  header_->base_sequence = sequence;
  next_sequence_ = sequence + 1;
  end_ = kHeaderSpace;
}

}  // namespace plyfs
