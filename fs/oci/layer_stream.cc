// layer_stream.cc: see layer_stream.h.
#include "fs/oci/layer_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <cstring>

#include "fs/base/errno.h"

namespace plyfs {
namespace {

// Frames of zstd and deflate do not depend on it, only the number of system calls does.
constexpr int kBlockBytes = 1 << 16;

}  // namespace

LayerStream::LayerStream(int out, LayerCompression compression) : out_(out) {
  if (compression != LayerCompression::kNone) Open(compression);
}

LayerStream::~LayerStream() {
  if (compressor_ != nullptr) ::archive_write_free(compressor_);
}

bool LayerStream::Open(LayerCompression compression) {
  compressor_ = ::archive_write_new();
  if (compressor_ == nullptr) return Fail("out of memory");
  // "raw" is libarchive's name for one stream of bytes without an archive around it.
  int result = ::archive_write_set_format_raw(compressor_);
  if (result == ARCHIVE_OK && compression == LayerCompression::kGzip) {
    result = ::archive_write_add_filter_gzip(compressor_);
    if (result == ARCHIVE_OK) result = ::archive_write_set_options(compressor_, "gzip:!timestamp");
  } else if (result == ARCHIVE_OK) {
    result = ::archive_write_add_filter_zstd(compressor_);
  }
  if (result != ARCHIVE_OK) return FailFromArchive();  // a libarchive that was built without it would start a program
  ::archive_write_set_bytes_per_block(compressor_, kBlockBytes);
  ::archive_write_set_bytes_in_last_block(compressor_, 1);
  const auto write = [](::archive*, void* self, const void* bytes, size_t size) -> la_ssize_t {
    const bool ok = static_cast<LayerStream*>(self)->WriteOut({static_cast<const char*>(bytes), size});
    return ok ? static_cast<la_ssize_t>(size) : -1;
  };
  if (::archive_write_open2(compressor_, this, nullptr, write, nullptr, nullptr) != ARCHIVE_OK) return FailFromArchive();
  ::archive_entry* const entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  result = ::archive_write_header(compressor_, entry);
  ::archive_entry_free(entry);
  return result == ARCHIVE_OK || FailFromArchive();
}

bool LayerStream::Write(std::span<const char> bytes) {
  if (!error_.empty()) return false;
  before_.Add(bytes);
  tar_bytes_ += bytes.size();
  if (compressor_ == nullptr) return WriteOut(bytes);
  const la_ssize_t written = ::archive_write_data(compressor_, bytes.data(), bytes.size());
  return written == static_cast<la_ssize_t>(bytes.size()) || FailFromArchive();
}

bool LayerStream::Finish() {
  if (error_.empty() && compressor_ != nullptr && ::archive_write_close(compressor_) != ARCHIVE_OK) FailFromArchive();
  if (!error_.empty()) return false;
  diff_id_ = before_.Finish();
  digest_ = compressor_ == nullptr ? diff_id_ : after_.Finish();
  return (!diff_id_.empty() && !digest_.empty()) || Fail("OpenSSL offers no SHA-256");
}

bool LayerStream::WriteOut(std::span<const char> bytes) {
  if (compressor_ != nullptr) after_.Add(bytes);
  written_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t put = ::write(out_, bytes.data(), bytes.size());
    if (const Errno error = Errno::Of(put); !error.ok()) {
      if (error == EINTR) continue;
      return Fail(std::string("writing the layer: ") + std::strerror(error.value()));
    }
    bytes = bytes.subspan(put);
  }
  return true;
}

bool LayerStream::Fail(std::string message) {
  if (error_.empty()) error_ = std::move(message);
  return false;
}

bool LayerStream::FailFromArchive() {
  const char* const text = ::archive_error_string(compressor_);
  return Fail(std::string("compressing the layer: ") + (text != nullptr ? text : "libarchive failed"));
}

}  // namespace plyfs
