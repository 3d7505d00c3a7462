// record.cc: see record.h.
#include "fs/journal/record.h"

#include <endian.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace plyfs {
namespace {

// The header: crc 4, size 2, type 1, zero 1, sequence 8.
constexpr size_t kSizeAt = 4;
constexpr size_t kTypeAt = 6;
constexpr size_t kSequenceAt = 8;
constexpr size_t kHeaderSize = 16;
constexpr size_t kMaxName = 255;
constexpr size_t kMaxFrom = 4096;

// Which fields a record of a type has, in this order.
enum Field : unsigned {
  kName = 1,
  kFormer = 2,
  kInode = 4,
  kDevice = 8,
  kValue = 16,
  kBirth = 32,
  kEventKind = 64,
  kFrom = 128,
  kOldName = 256,
};

constexpr std::array<unsigned, 17> kFields = {
    0,
    kName | kFormer,                // kTouch
    kName | kInode | kValue,        // kGone
    kName | kEventKind | kFrom,     // kEvent
    kName | kInode,                 // kDirectory
    kInode,                         // kDropDirectory
    kName | kInode | kFrom | kOldName,  // kRename
    kInode | kValue | kBirth,       // kOrigin
    kInode,                         // kDropOrigin
    kInode | kDevice | kValue,      // kLinksRemoved
    kName | kInode,                 // kAlias
    kName | kInode | kDevice | kValue | kFrom,  // kLinkGoes
    kName | kInode | kDevice | kValue | kFrom,  // kIndexedLinkGoes
    kInode | kDevice,               // kLinkSettled
    kName | kInode | kValue | kEventKind,  // kRemoved
    kName | kInode | kValue | kEventKind | kFrom | kOldName,  // kMoved
    kInode,                         // kDropUnused
};

void PutBody(const Record& record, unsigned fields, std::string* out) {
  if ((fields & kName) != 0) {
    PutU64(record.name.dir, out);
    PutText(record.name.text, out);
  }
  if ((fields & kFormer) != 0) {
    out->push_back(record.former.existed ? 1 : 0);
    PutU64(record.former.upper_dir, out);
    PutU64(static_cast<uint64_t>(record.former.upper_birth_ns), out);
  }
  if ((fields & kInode) != 0) PutU64(record.inode, out);
  if ((fields & kDevice) != 0) PutU64(record.device, out);
  if ((fields & kValue) != 0) PutU64(record.value, out);
  if ((fields & kBirth) != 0) PutU64(static_cast<uint64_t>(record.birth_ns), out);
  if ((fields & kEventKind) != 0) out->push_back(static_cast<char>(record.event));
  if ((fields & kFrom) != 0) PutText(record.from, out);
  if ((fields & kOldName) != 0) {
    PutU64(record.old_name.dir, out);
    PutText(record.old_name.text, out);
  }
}

bool TakeBody(FieldReader& reader, unsigned fields, Record* record) {
  if ((fields & kName) != 0) {
    record->name.dir = reader.U64();
    record->name.text = reader.Text();
    if (record->name.text.empty() || record->name.text.size() > kMaxName) return false;
  }
  if ((fields & kFormer) != 0) {
    record->former.existed = reader.U8() != 0;
    record->former.upper_dir = reader.U64();
    record->former.upper_birth_ns = static_cast<int64_t>(reader.U64());
  }
  if ((fields & kInode) != 0) record->inode = reader.U64();
  if ((fields & kDevice) != 0) record->device = reader.U64();
  if ((fields & kValue) != 0) record->value = reader.U64();
  if ((fields & kBirth) != 0) record->birth_ns = static_cast<int64_t>(reader.U64());
  if ((fields & kEventKind) != 0) record->event = reader.U8();
  if ((fields & kFrom) != 0) record->from = reader.Text();
  if ((fields & kOldName) != 0) {
    record->old_name.dir = reader.U64();
    record->old_name.text = reader.Text();
  }
  return reader.at_end();
}

uint32_t Checksum(std::span<const char> bytes) {
  return static_cast<uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

void PutU32(uint32_t value, std::string* out) {
  const uint32_t bytes = ::htobe32(value);
  out->append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
}

void PutU64(uint64_t value, std::string* out) {
  const uint64_t bytes = ::htobe64(value);
  out->append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
}

void PutText(const std::string& text, std::string* out) {
  const size_t size = std::min(text.size(), kMaxFrom);
  out->push_back(static_cast<char>(size >> 8));
  out->push_back(static_cast<char>(size));
  out->append(text, 0, size);
}

std::span<const char> FieldReader::Take(size_t size) {
  if (!ok_ || rest_.size() < size) {
    ok_ = false;
    return {};
  }
  const std::span<const char> taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

uint8_t FieldReader::U8() {
  const std::span<const char> bytes = Take(1);
  return ok_ ? static_cast<uint8_t>(bytes[0]) : 0;
}

uint32_t FieldReader::U32() {
  uint32_t value = 0;
  const std::span<const char> bytes = Take(sizeof value);
  if (ok_) std::memcpy(&value, bytes.data(), sizeof value);
  return ::be32toh(value);
}

uint64_t FieldReader::U64() {
  uint64_t value = 0;
  const std::span<const char> bytes = Take(sizeof value);
  if (ok_) std::memcpy(&value, bytes.data(), sizeof value);
  return ::be64toh(value);
}

std::string FieldReader::Text() {
  const size_t high = U8();
  const std::span<const char> bytes = Take(high << 8 | U8());
  return {bytes.begin(), bytes.end()};
}

std::string FieldReader::Rest() {
  const std::span<const char> bytes = Take(rest_.size());
  return {bytes.begin(), bytes.end()};
}

void EncodeRecord(const Record& record, std::string* out) {
  const size_t start = out->size();
  out->append(kSequenceAt, '\0');
  PutU64(record.sequence, out);
  PutBody(record, kFields[static_cast<size_t>(record.type)], out);
  char* const header = out->data() + start;
  const size_t body = out->size() - start - kHeaderSize;
  header[kSizeAt] = static_cast<char>(body >> 8);
  header[kSizeAt + 1] = static_cast<char>(body);
  header[kTypeAt] = static_cast<char>(record.type);
  const uint32_t crc = ::htobe32(Checksum({header + kSizeAt, kHeaderSize - kSizeAt + body}));
  std::memcpy(header, &crc, sizeof crc);
}

std::optional<DecodedRecord> DecodeRecord(std::span<const char> bytes) {
  if (bytes.size() < kHeaderSize) return std::nullopt;
  FieldReader header(bytes.first(kHeaderSize));
  const uint32_t crc = header.U32();
  const size_t body = static_cast<size_t>(header.U8()) << 8 | header.U8();
  const uint8_t type = header.U8();
  if (header.U8() != 0) return std::nullopt;
  const uint64_t sequence = header.U64();
  if (type == 0 || type >= kFields.size() || bytes.size() - kHeaderSize < body) return std::nullopt;
  if (Checksum(bytes.subspan(kSizeAt, kHeaderSize - kSizeAt + body)) != crc) return std::nullopt;
  DecodedRecord decoded{.size = kHeaderSize + body};
  decoded.record.type = static_cast<RecordType>(type);
  decoded.record.sequence = sequence;
  FieldReader reader(bytes.subspan(kHeaderSize, body));
  if (!TakeBody(reader, kFields[type], &decoded.record)) return std::nullopt;
  return decoded;
}

}  // namespace plyfs
