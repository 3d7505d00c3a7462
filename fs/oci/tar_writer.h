// tar_writer.h: entries and their content as the bytes of a pax tar, the same bytes for the same entries always.
// Follows POSIX pax(1), "pax Interchange Format", in the way of Go's archive/tar, which every container engine reads with.
// Not here: what to write (layer_writer.h), compression (layer_stream.h).
// Thread safety: one owner.
//
// Not libarchive: its writer mangles names of attributes that are not ASCII, puts times before 1970 a second off, makes headers
// depend on the locale, and may make others in its next version, which would change the digest of every layer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "fs/oci/layer_stream.h"
#include "fs/oci/tar_entry.h"

namespace plyfs {

class TarWriter {
 public:
  explicit TarWriter(LayerStream& out) : out_(out) {}

  // Then exactly entry.size bytes must follow in Data, in any number of pieces, for a regular file that is no hard link.
  bool Header(const TarEntry& entry);
  bool Data(std::span<const char> bytes);
  // The end of the archive; the stream is still to be finished.
  bool Finish();
  // Why one of the above was false.
  const std::string& error() const { return out_.error(); }

 private:
  bool Pad(uint64_t written);

  LayerStream& out_;
  uint64_t size_ = 0;       // of the entry's content
  uint64_t remaining_ = 0;  // of it
};

}  // namespace plyfs
