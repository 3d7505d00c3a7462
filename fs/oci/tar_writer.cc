// tar_writer.cc: see tar_writer.h.
#include "fs/oci/tar_writer.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace plyfs {
namespace {

constexpr size_t kBlock = 512;
constexpr char kZeros[2 * kBlock] = {};

// POSIX ustar; numbers are octal text.
struct UstarHeader {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[8];
  char user[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(UstarHeader) == kBlock);

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

// What fits of `text`, for readers that know no pax.
template <size_t kSize>
void PutText(char (&field)[kSize], std::string_view text) {
  std::memcpy(field, text.data(), std::min(text.size(), kSize));
}

template <size_t kSize>
bool Fits(const char (&)[kSize], uint64_t number) {
  return number < uint64_t{1} << (3 * (kSize - 1));
}

// What does not fit is in a record, which counts.
template <size_t kSize>
void PutNumber(char (&field)[kSize], uint64_t number) {
  std::snprintf(field, kSize, "%0*llo", static_cast<int>(kSize - 1),
                static_cast<unsigned long long>(Fits(field, number) ? number : 0));
}

void PutChecksum(UstarHeader* header) {
  std::memset(header->checksum, ' ', sizeof header->checksum);
  unsigned sum = 0;
  for (const unsigned char c : std::span(reinterpret_cast<const char*>(header), kBlock)) sum += c;
  std::snprintf(header->checksum, sizeof header->checksum, "%06o", sum);
}

// "LENGTH KEYWORD=VALUE\n", where the length counts itself.
void AddRecord(std::string* records, const std::string& keyword, std::string_view value) {
  const size_t rest = keyword.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  *records += std::to_string(length) + " " + keyword + "=";
  *records += value;
  *records += '\n';
}

// Before 1970 tv_nsec counts forwards, the digits behind the point do not.
std::string Decimal(timespec time) {
  const bool negative = time.tv_sec < 0;
  if (negative && time.tv_nsec > 0) time = {.tv_sec = time.tv_sec + 1, .tv_nsec = 1'000'000'000 - time.tv_nsec};
  char text[48];
  std::snprintf(text, sizeof text, "%s%llu.%09ld", negative ? "-" : "",
                static_cast<unsigned long long>(negative ? -time.tv_sec : time.tv_sec), time.tv_nsec);
  std::string decimal = text;
  decimal.erase(decimal.find_last_not_of('0') + 1);
  if (decimal.back() == '.') decimal.pop_back();
  return decimal;
}

// The path in the two fields of the header, if it fits.
bool PutPath(UstarHeader* header, std::string_view path) {
  if (!IsAscii(path)) return false;
  if (path.size() <= sizeof header->name) {
    PutText(header->name, path);
    return true;
  }
  // The slash between them is in neither; the last byte may be the slash of a directory.
  const size_t slash = path.substr(0, std::min(path.size() - 1, sizeof header->prefix + 1)).rfind('/');
  if (slash == std::string_view::npos || slash == 0 || path.size() - slash - 1 > sizeof header->name) return false;
  PutText(header->prefix, path.substr(0, slash));
  PutText(header->name, path.substr(slash + 1));
  return true;
}

char TypeOf(const TarEntry& entry) {
  if (entry.is_hard_link) return '1';
  switch (entry.mode & S_IFMT) {
    case S_IFLNK:
      return '2';
    case S_IFCHR:
      return '3';
    case S_IFBLK:
      return '4';
    case S_IFDIR:
      return '5';
    case S_IFIFO:
      return '6';
    default:
      return '0';
  }
}

UstarHeader EmptyHeader(char type) {
  UstarHeader header{};
  header.type = type;
  std::memcpy(header.magic, "ustar\00000", sizeof header.magic);
  return header;
}

// The header of `entry`; what does not fit goes to `records`.
UstarHeader HeaderOf(const TarEntry& entry, uint64_t size, std::string* records) {
  UstarHeader header = EmptyHeader(TypeOf(entry));
  if (!PutPath(&header, entry.path)) {
    AddRecord(records, "path", entry.path);
    PutText(header.name, entry.path);
  }
  // Never empty: libarchive 3.6 may forget the record then.
  PutText(header.link, entry.link);
  if (!IsAscii(entry.link) || entry.link.size() > sizeof header.link) AddRecord(records, "linkpath", entry.link);
  PutNumber(header.mode, entry.mode & 07777);
  PutNumber(header.uid, entry.uid);
  if (!Fits(header.uid, entry.uid)) AddRecord(records, "uid", std::to_string(entry.uid));
  PutNumber(header.gid, entry.gid);
  if (!Fits(header.gid, entry.gid)) AddRecord(records, "gid", std::to_string(entry.gid));
  PutNumber(header.size, size);
  if (!Fits(header.size, size)) AddRecord(records, "size", std::to_string(size));
  const uint64_t seconds = entry.mtime.tv_sec < 0 ? 0 : entry.mtime.tv_sec;
  PutNumber(header.mtime, seconds);
  if (entry.mtime.tv_sec < 0 || entry.mtime.tv_nsec != 0 || !Fits(header.mtime, seconds)) {
    AddRecord(records, "mtime", Decimal(entry.mtime));
  }
  // Linux's numbers of 12 and 20 bits fit.
  PutNumber(header.device_major, major(entry.rdev));
  PutNumber(header.device_minor, minor(entry.rdev));
  for (const auto& [name, value] : entry.xattrs) AddRecord(records, "SCHILY.xattr." + EncodeXattrKeyword(name), value);
  PutChecksum(&header);
  return header;
}

std::span<const char> BytesOf(const UstarHeader& header) { return {reinterpret_cast<const char*>(&header), kBlock}; }

}  // namespace

bool TarWriter::Header(const TarEntry& entry) {
  size_ = remaining_ = TypeOf(entry) == '0' ? entry.size : 0;
  std::string records;
  const UstarHeader header = HeaderOf(entry, size_, &records);
  if (!records.empty()) {
    UstarHeader pax = EmptyHeader('x');
    // Names of these headers are for readers that take them for files.
    PutText(pax.name, "PaxHeaders.0/pax");
    PutNumber(pax.mode, 0644);
    PutNumber(pax.uid, 0);
    PutNumber(pax.gid, 0);
    PutNumber(pax.size, records.size());
    PutNumber(pax.mtime, 0);
    PutChecksum(&pax);
    if (!out_.Write(BytesOf(pax)) || !out_.Write(records) || !Pad(records.size())) return false;
  }
  return out_.Write(BytesOf(header));
}

bool TarWriter::Data(std::span<const char> bytes) {
  bytes = bytes.first(std::min<uint64_t>(bytes.size(), remaining_));
  remaining_ -= bytes.size();
  return out_.Write(bytes) && (remaining_ > 0 || Pad(size_));
}

bool TarWriter::Pad(uint64_t written) { return out_.Write({kZeros, (kBlock - written % kBlock) % kBlock}); }

bool TarWriter::Finish() { return out_.Write(kZeros); }

}  // namespace plyfs
