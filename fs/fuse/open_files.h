// open_files.h: with io=passthrough: which files are open, and whether their data goes by way of this server or straight to the upper
// filesystem. (Without it nothing is asked when a file is opened.)
// Not here: copying up (Overlay::PrepareWriting), the requests (handlers_data.cc).
// Thread safety: any thread.
//
// The kernel knows one way for all opens of an inode at a time, cached or passthrough to one backing file, and fails an open that
// does not fit the others with EIO. It takes its own count back before it sends RELEASE, and here an open is counted before
// it is answered. So what is counted here is never less than what the kernel has, and whatever is answered fits.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"
#include "fs/base/result.h"
#include "fs/fuse/attr_codec.h"
#include "fs/overlay/overlay.h"

namespace plyfs {

class OpenFiles {
 public:
  // `device`: /dev/fuse, which outlives it.
  OpenFiles(Overlay& overlay, int device) : overlay_(overlay), device_(device) {}
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  // What the kernel is answered, and what it gives back with RELEASE.
  struct Opened {
    uint64_t handle = 0;
    uint32_t flags = 0;      // FOPEN_*
    int32_t backing_id = 0;  // with abi::kOpenPassthrough
  };
  // Counts one open. A file of the upper goes to passthrough unless it is open in the other way; one that is to be written is copied up
  // first unless it is open already. Errors are those of the copy-up.
  Result<Opened> Open(NodeId node, bool writes);
  // Counts an open that is cached whatever else: of a file that nobody else can have open.
  Opened OpenCached(NodeId node);
  // Takes one back: it was closed, or the answer did not arrive.
  void Release(NodeId node, uint64_t handle);

  // Somebody may write to it past the server, so what the kernel believes of its attributes may be wrong at any time.
  bool HasWriters(NodeId node) const;
  std::vector<NodeId> Writers() const;

 private:
  struct File {
    uint32_t cached = 0;
    uint32_t passthrough = 0;
    uint32_t writers = 0;  // of those
    int32_t backing_id = 0;
  };
  struct Shard {
    mutable absl::Mutex mutex;  // a leaf; held over the calls that register a file, never over those of a layer
    absl::flat_hash_map<NodeId, File> files ABSL_GUARDED_BY(mutex);
  };
  enum class Busy { kNo, kCached, kPassthrough };

  Shard& ShardOf(NodeId node) { return shards_[Value(node) % shards_.size()]; }
  const Shard& ShardOf(NodeId node) const { return shards_[Value(node) % shards_.size()]; }
  Busy HowOpen(NodeId node) const;
  std::optional<Opened> Count(NodeId node, bool writes, bool is_prepared, const FdRef& upper);
  int32_t Register(int fd);
  void Unregister(int32_t id);
  void InvalidateAttributes(NodeId node) const;

  Overlay& overlay_;
  const int device_;
  std::array<Shard, 16> shards_;
  std::atomic<uint32_t> written_files_ = 0;  // files that have writers
  std::atomic<bool> refused_ = false;        // the kernel has refused to register one, and it was said
};

// For how long the attributes of a node may be believed; `files` may be null.
inline Validity ValidityOf(NodeId node, const OpenFiles* files, Validity validity) {
  return files != nullptr && files->HasWriters(node) ? Validity{} : validity;
}

}  // namespace plyfs
