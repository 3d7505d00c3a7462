// ino.h: the inode numbers that the union shows.
// Not here: where they are kept over a remount (fs/journal).
// Thread safety: any thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/base/call_once.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"
#include "fs/layer/file_time.h"
#include "fs/layer/layer_stack.h"

namespace plyfs {

enum class InoWidth { k64, k32 };

// The number that an upper file shows because it was copied up.
struct InodeOrigin {
  uint64_t upper_inode = 0;
  int64_t birth_ns = 0;  // of the upper inode: one that was deleted and reused has another
  uint64_t shown = 0;
};

// Layers on one device show their own numbers. With several devices, the device's position among them goes into the high bits
// (as the kernel's xino). A file that was copied up keeps the number of the lower file it came from.
class InodeNumbers {
 public:
  // `load` is called once, before the first upper file is looked at: it tells what an earlier mount left, through LoadOrigin.
  InodeNumbers(const LayerStack& layers, InoWidth width, std::function<void()> load);

  // What an earlier mount left is known afterwards, of links too (Core::LoadIdentity).
  void EnsureLoaded() { absl::call_once(loaded_, load_); }
  // The number of an inode of a layer, as it would be shown had it never been copied up.
  Ino FromDisk(const DiskInode& inode) const;
  // The number of an upper file: that of its origin if it was copied up.
  Ino FromUpper(const struct statx& stat);
  // The same where only the inode is known; nullopt if that is not enough to be sure.
  std::optional<Ino> FromUpper(const DiskInode& inode);

  // An upper file shows `ino` from now on, until its inode is gone.
  void SetOrigin(const struct statx& upper, Ino ino);
  // False if it showed its own number.
  bool DropOrigin(const DiskInode& upper);

  // As an earlier mount left it; believed once the inode has been seen with this birth time.
  void LoadOrigin(const InodeOrigin& origin);
  void UnloadOrigin(uint64_t upper_inode);

 private:
  struct Origin {
    uint64_t shown;
    int64_t birth_ns;
    bool checked;  // not only read from the journal
  };

  std::vector<uint64_t> devices_;  // distinct, in the order of the layers
  const InoWidth width_;
  const std::function<void()> load_;
  absl::once_flag loaded_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Origin> origins_ ABSL_GUARDED_BY(mutex_);  // by upper inode
};

}  // namespace plyfs
