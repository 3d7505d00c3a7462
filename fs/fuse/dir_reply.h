// dir_reply.h: a listing in the format of READDIR or READDIRPLUS.
// Not here: which names there are (Overlay::Readdir).
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

#include "fs/fuse/attr_codec.h"
#include "fs/fuse/kernel_abi.h"
#include "fs/fuse/open_files.h"
#include "fs/overlay/types.h"

namespace plyfs {

// Fills a buffer with records, each aligned to 8 bytes.
class DirReply final : public DirSink {
 public:
  // `buffer` must be aligned to 8 bytes; `mode` is that of the request. `open_files`: those whose attributes are not to be
  // believed for long, or null.
  DirReply(std::span<char> buffer, ReaddirMode mode, Validity validity, const OpenFiles* open_files = nullptr)
      : buffer_(buffer), mode_(mode), validity_(validity), open_files_(open_files) {}

  bool Fits(size_t name_length) const override;
  // An entry that does not fit is dropped: the caller has asked Fits first.
  void Add(std::string_view name, Ino ino, uint8_t type, uint64_t cookie,
           const Entry* entry) override;

  std::span<const char> bytes() const { return buffer_.first(used_); }

  // Calls `visit` for each node that READDIRPLUS counted once for the kernel, to give the
  // references back if the reply did not arrive.
  void ForEachCounted(const std::function<void(NodeId)>& visit) const;

 private:
  size_t RecordSize(size_t name_length) const;

  std::span<char> buffer_;
  const ReaddirMode mode_;
  const Validity validity_;
  const OpenFiles* const open_files_;
  size_t used_ = 0;
};

}  // namespace plyfs
