// tar_writer.h: entries and their content as the bytes of a pax tar, the same bytes for the same entries always.
// Not here: what to write (layer_writer.h), compression (layer_stream.h).
// Thread safety: one owner; used by the thread that made it.
//
// libarchive makes the headers. Attributes are SCHILY.xattr records only; names that are not ASCII are raw bytes under
// hdrcharset=BINARY, which Go's and Python's readers, GNU tar and libarchive take as they are.
#pragma once

#include <span>
#include <string>

#include "fs/oci/c_locale.h"
#include "fs/oci/layer_stream.h"
#include "fs/oci/tar_entry.h"

namespace plyfs {

class TarWriter {
 public:
  explicit TarWriter(LayerStream& out);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  // Then exactly entry.size bytes must follow in Data, in any number of pieces, for a regular file that is no hard link.
  bool Header(const TarEntry& entry);
  bool Data(std::span<const char> bytes);
  // The end of the archive; the stream is still to be finished.
  bool Finish();
  // Why one of the above was false.
  std::string error() const;

 private:
  const CLocale locale_;
  LayerStream& out_;
  ::archive* const archive_;
  bool ok_;
};

}  // namespace plyfs
