// tar_reader.cc: see tar_reader.h.
#include "fs/oci/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>

namespace plyfs {
namespace {

constexpr size_t kBlockBytes = size_t{256} * 1024;

// What libarchive says of a name (path, link, user, group) that is not ASCII while the locale is "C".
bool IsAboutCharset(const char* text) {
  return text != nullptr && std::string_view(text).ends_with("can't be converted from UTF-8 to current locale.");
}

// See AsDecimal in tar_writer.cc.
timespec FromDecimal(time_t seconds, long nanoseconds) {
  if (seconds >= 0 || nanoseconds == 0) return {.tv_sec = seconds, .tv_nsec = nanoseconds};
  return {.tv_sec = seconds - 1, .tv_nsec = 1'000'000'000 - nanoseconds};
}

std::string Text(const char* text) { return text != nullptr ? text : ""; }

void ReadXattrs(::archive_entry* from, TarEntry* to) {
  ::archive_entry_xattr_reset(from);
  const char* keyword = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  // The last record of a name comes first, and it is the one that counts (pax(1)).
  while (::archive_entry_xattr_next(from, &keyword, &value, &size) == ARCHIVE_OK) {
    std::string name = DecodeXattrKeyword(keyword);
    const bool known =
        std::any_of(to->xattrs.begin(), to->xattrs.end(), [&](const TarXattr& xattr) { return xattr.first == name; });
    if (!known) to->xattrs.emplace_back(std::move(name), std::string(static_cast<const char*>(value), size));
  }
  std::reverse(to->xattrs.begin(), to->xattrs.end());
}

}  // namespace

TarReader::TarReader(int descriptor) : archive_(::archive_read_new()) {
  if (archive_ == nullptr) return;
  // A libarchive that was built without one of these would start a program instead: a warning, not ARCHIVE_OK.
  const bool ok = ::archive_read_support_format_tar(archive_) == ARCHIVE_OK &&
                  ::archive_read_support_filter_gzip(archive_) == ARCHIVE_OK &&
                  ::archive_read_support_filter_zstd(archive_) == ARCHIVE_OK &&
                  ::archive_read_open_fd(archive_, descriptor, kBlockBytes) == ARCHIVE_OK;
  if (!ok) Fail();
}

TarReader::~TarReader() {
  if (archive_ != nullptr) ::archive_read_free(archive_);
}

TarReader::Status TarReader::Next(TarEntry* entry) {
  if (archive_ == nullptr) return Fail();
  if (!error_.empty()) return Status::kFailed;
  ::archive_entry* header = nullptr;
  ::archive_clear_error(archive_);
  const int result = ::archive_read_next_header(archive_, &header);
  if (result == ARCHIVE_EOF) return Status::kEnd;
  if (result == ARCHIVE_WARN && IsAboutCharset(::archive_error_string(archive_))) return Convert(header, entry);
  if (result != ARCHIVE_OK) return Fail();
  return Convert(header, entry);
}

TarReader::Status TarReader::Convert(::archive_entry* from, TarEntry* to) {
  *to = {};
  to->path = Text(::archive_entry_pathname(from));
  to->mode = ::archive_entry_mode(from);
  const la_int64_t uid = ::archive_entry_uid(from);
  const la_int64_t gid = ::archive_entry_gid(from);
  // (uid_t)-1 means "leave it" to chown(2).
  if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX) {
    error_ = "entry '" + Printable(to->path) + "': owner out of range";
    return Status::kFailed;
  }
  to->uid = static_cast<uid_t>(uid);
  to->gid = static_cast<gid_t>(gid);
  to->rdev = ::archive_entry_rdev(from);
  to->size = static_cast<uint64_t>(std::max<la_int64_t>(0, ::archive_entry_size(from)));
  to->mtime = FromDecimal(::archive_entry_mtime(from), ::archive_entry_mtime_nsec(from));
  // libarchive says that an old GNU header has access time 0 when it has none.
  if (::archive_entry_atime_is_set(from) != 0 && ::archive_entry_atime(from) != 0) {
    to->atime = FromDecimal(::archive_entry_atime(from), ::archive_entry_atime_nsec(from));
  }
  if (const char* link = ::archive_entry_hardlink(from); link != nullptr) {
    to->is_hard_link = true;
    to->link = link;
  } else if (S_ISLNK(to->mode)) {
    to->link = Text(::archive_entry_symlink(from));
  }
  ReadXattrs(from, to);
  has_text_acl_ =
      ::archive_entry_acl_count(from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) > 0;
  return Status::kSome;
}

TarReader::Status TarReader::Data(std::span<const char>* bytes, uint64_t* offset) {
  const void* buffer = nullptr;
  size_t size = 0;
  la_int64_t at = 0;
  const int result = ::archive_read_data_block(archive_, &buffer, &size, &at);
  if (result == ARCHIVE_EOF) return Status::kEnd;
  if (result != ARCHIVE_OK || at < 0) return Fail();
  *bytes = {static_cast<const char*>(buffer), size};
  *offset = static_cast<uint64_t>(at);
  return Status::kSome;
}

TarReader::Status TarReader::Fail() {
  const char* const text = archive_ != nullptr ? ::archive_error_string(archive_) : "out of memory";
  error_ = text != nullptr ? text : "damaged tar";
  return Status::kFailed;
}

}  // namespace plyfs
