// tar_reader.h: a tar from anybody as entries and their content.
// Not here: what is safe to unpack (layer_path.h, apply.h).
// Thread safety: one owner; used by the thread that made it.
//
// libarchive reads ustar, pax, GNU and old tar, plain or compressed with gzip or zstd, and refuses headers over 1 MiB. Everything
// that it only warns of is an error here, but for names that are not ASCII (see c_locale.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "fs/oci/c_locale.h"
#include "fs/oci/tar_entry.h"

struct archive;
struct archive_entry;

namespace plyfs {

class TarReader {
 public:
  enum class Status { kSome, kEnd, kFailed };

  // Reads `descriptor` from where it stands.
  explicit TarReader(int descriptor);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // kEnd after the last one. The content of the entry before, if it has not been read, is skipped.
  Status Next(TarEntry* entry);
  // The next piece of the entry's content and where in the file it belongs; holes of sparse files are left out. The piece is valid
  // until the next call. kEnd after the last one.
  Status Data(std::span<const char>* bytes, uint64_t* offset);
  // The entry has an ACL in the form of text, which names users: it is not among the attributes.
  bool has_text_acl() const { return has_text_acl_; }
  // Why one of the above was kFailed.
  const std::string& error() const { return error_; }

 private:
  Status Fail();
  Status Convert(::archive_entry* from, TarEntry* to);

  const CLocale locale_;
  ::archive* const archive_;
  bool has_text_acl_ = false;
  std::string error_;
};

}  // namespace plyfs
