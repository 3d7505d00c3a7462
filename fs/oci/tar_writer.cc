// tar_writer.cc: see tar_writer.h.
#include "fs/oci/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <memory>

namespace plyfs {
namespace {

struct FreeEntry {
  void operator()(::archive_entry* entry) const { ::archive_entry_free(entry); }
};

// libarchive writes the two numbers with a point between them: for times before 1970, where tv_nsec counts forwards, "-2.5"
// would come of 1.5 seconds before. The half second before 1970 itself has no such form and becomes a whole one.
timespec AsDecimal(timespec time) {
  if (time.tv_sec >= 0 || time.tv_nsec == 0) return time;
  if (time.tv_sec == -1) return {.tv_sec = -1, .tv_nsec = 0};
  return {.tv_sec = time.tv_sec + 1, .tv_nsec = 1'000'000'000 - time.tv_nsec};
}

bool IsRegular(const TarEntry& entry) { return !entry.is_hard_link && S_ISREG(entry.mode); }

}  // namespace

TarWriter::TarWriter(LayerStream& out) : out_(out), archive_(::archive_write_new()) {
  const auto write = [](::archive*, void* stream, const void* bytes, size_t size) -> la_ssize_t {
    const bool ok = static_cast<LayerStream*>(stream)->Write({static_cast<const char*>(bytes), size});
    return ok ? static_cast<la_ssize_t>(size) : -1;
  };
  ok_ = archive_ != nullptr && ::archive_write_set_format_pax(archive_) == ARCHIVE_OK &&
        ::archive_write_set_options(archive_, "pax:xattrheader=SCHILY") == ARCHIVE_OK &&
        ::archive_write_add_filter_none(archive_) == ARCHIVE_OK &&
        ::archive_write_set_bytes_per_block(archive_, 1 << 16) == ARCHIVE_OK &&
        ::archive_write_set_bytes_in_last_block(archive_, 1) == ARCHIVE_OK &&
        ::archive_write_open2(archive_, &out_, nullptr, write, nullptr, nullptr) == ARCHIVE_OK;
}

TarWriter::~TarWriter() {
  if (archive_ == nullptr) return;
  // Or libarchive would write the end of the tar after an error.
  ::archive_write_fail(archive_);
  ::archive_write_free(archive_);
}

bool TarWriter::Header(const TarEntry& entry) {
  if (!ok_) return false;
  const std::unique_ptr<::archive_entry, FreeEntry> header(::archive_entry_new());
  if (header == nullptr) return ok_ = false;
  ::archive_entry_copy_pathname(header.get(), entry.path.c_str());
  ::archive_entry_set_mode(header.get(), entry.mode);
  ::archive_entry_set_uid(header.get(), entry.uid);
  ::archive_entry_set_gid(header.get(), entry.gid);
  const timespec mtime = AsDecimal(entry.mtime);
  ::archive_entry_set_mtime(header.get(), mtime.tv_sec, mtime.tv_nsec);
  if (IsRegular(entry)) ::archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.size));
  if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) ::archive_entry_set_rdev(header.get(), entry.rdev);
  if (entry.is_hard_link) {
    ::archive_entry_copy_hardlink(header.get(), entry.link.c_str());
  } else if (S_ISLNK(entry.mode)) {
    ::archive_entry_copy_symlink(header.get(), entry.link.c_str());
  }
  // libarchive's list is a stack: the last one added is written first.
  for (auto xattr = entry.xattrs.rbegin(); xattr != entry.xattrs.rend(); ++xattr) {
    ::archive_entry_xattr_add_entry(header.get(), EncodeXattrKeyword(xattr->first).c_str(), xattr->second.data(),
                                    xattr->second.size());
  }
  // The warning, the only one that can come, is for names that are not ASCII: they are written raw, as they should be.
  ok_ = ::archive_write_header(archive_, header.get()) >= ARCHIVE_WARN;
  return ok_;
}

bool TarWriter::Data(std::span<const char> bytes) {
  if (!ok_) return false;
  ok_ = ::archive_write_data(archive_, bytes.data(), bytes.size()) == static_cast<la_ssize_t>(bytes.size());
  return ok_;
}

bool TarWriter::Finish() {
  ok_ = ok_ && ::archive_write_close(archive_) == ARCHIVE_OK;
  return ok_;
}

std::string TarWriter::error() const {
  if (!out_.error().empty()) return out_.error();
  const char* const text = archive_ != nullptr ? ::archive_error_string(archive_) : nullptr;
  return text != nullptr ? text : "out of memory";
}

}  // namespace plyfs
