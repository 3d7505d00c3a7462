// ino.h: the inode numbers that the union shows.
// Not here: keeping them over a remount (the journal's work).
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"
#include "fs/layer/layer_stack.h"

namespace plyfs {

enum class InoWidth { k64, k32 };

// Layers on one device show their own numbers. With several devices, the device's position among them goes into the high bits
// (as the kernel's xino). A file that was copied up keeps the number of the lower file it came from.
class InodeNumbers {
 public:
  InodeNumbers(const LayerStack& layers, InoWidth width);

  // The number of an inode of a layer, as it would be shown had it never been copied up.
  Ino FromDisk(const DiskInode& inode) const;
  // The number of an upper file: that of its origin if it was copied up.
  Ino FromUpper(const DiskInode& inode) const;

  // An upper file shows `ino` from now on, until its inode is gone.
  void SetOrigin(const DiskInode& upper, Ino ino);
  void DropOrigin(const DiskInode& upper);

 private:
  std::vector<uint64_t> devices_;  // distinct, in the order of the layers
  const InoWidth width_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, uint64_t> origins_ ABSL_GUARDED_BY(mutex_);  // upper inode -> number shown
};

}  // namespace plyfs
