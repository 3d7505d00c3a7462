// layer_stream.h: where a layer's bytes go: digest, compression, digest, descriptor.
// Not here: the bytes of the tar (tar_writer.h).
// Thread safety: one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "fs/oci/layer_types.h"
#include "fs/oci/sha256.h"

struct archive;  // libarchive

namespace plyfs {

class LayerStream {
 public:
  // Compresses in this thread, without the time or a name in gzip's header.
  LayerStream(int out, LayerCompression compression);
  ~LayerStream();
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  // False after an error, then and ever after; see error().
  bool Write(std::span<const char> bytes);
  // Writes what is buffered. False if anything went wrong since the start.
  bool Finish();
  const std::string& error() const { return error_; }

  // Valid after Finish.
  const std::string& diff_id() const { return diff_id_; }
  const std::string& digest() const { return digest_; }
  uint64_t tar_bytes() const { return tar_bytes_; }
  uint64_t written_bytes() const { return written_bytes_; }

 private:
  bool Fail(std::string message);
  bool FailFromArchive();
  bool Open(LayerCompression compression);
  bool WriteOut(std::span<const char> bytes);

  const int out_;
  ::archive* compressor_ = nullptr;  // null without compression
  Sha256 before_;
  Sha256 after_;
  uint64_t tar_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  std::string diff_id_;
  std::string digest_;
  std::string error_;
};

}  // namespace plyfs
