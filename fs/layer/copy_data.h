// copy_data.h: a file's bytes from one descriptor to another, by the cheapest means the filesystems offer.
// Not here: attributes and the commit (fs/overlay/copy_up.h).
// Thread safety: any thread; what a pair of filesystems cannot do is remembered.
#pragma once

#include <atomic>
#include <cstdint>

#include "fs/base/result.h"

namespace plyfs {

// Reflink, then copy_file_range, then sendfile, then read and write; holes stay holes.
class DataCopier {
 public:
  // Copies the first `size` bytes of `from` into the empty file `to`. `allocated` is the source's st_blocks * 512: with fewer
  // bytes allocated than `size` the source has holes. ENOSPC, EIO, … as the filesystems say; then `to` is to be thrown away.
  Errno Copy(int from, int to, uint64_t size, uint64_t allocated);

 private:
  Errno CopyRange(int from, int to, uint64_t offset, uint64_t length);

  std::atomic<bool> reflink_works_ = true;
  std::atomic<bool> copy_file_range_works_ = true;
  std::atomic<bool> sendfile_works_ = true;
};

}  // namespace plyfs
