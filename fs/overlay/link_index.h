// link_index.h: hard links of lower files: their upper copy is found from every name (WORKDIR/plyfs/index), and st_nlink
// counts the names that the union shows.
// Not here: making the copy (copy_up.h).
// Thread safety: any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"
#include "fs/layer/upper_layer.h"
#include "fs/node/node.h"

namespace plyfs {

struct Core;

// How many names of a lower file, not copied up, the union has removed. Only for files that have several.
class LinkCounts {
 public:
  uint32_t Removed(const DiskInode& lower) const;
  void AddRemoved(const DiskInode& lower);
  // For identity_file.h.
  void Load(const DiskInode& lower, uint32_t removed);
  void ForEach(const std::function<void(const DiskInode&, uint32_t)>& visit) const;

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<DiskInode, uint32_t> removed_ ABSL_GUARDED_BY(mutex_);
};

// What the mark on an indexed upper file says.
struct IndexMark {
  std::string name;        // in WORKDIR/plyfs/index
  uint32_t remaining = 0;  // names in the lowers that are still shown and lead to this file
};

// The upper copy of a lower file, if it has one.
Result<std::optional<struct statx>> FindInIndex(const Core& core, const DiskInode& lower);
Result<std::optional<IndexMark>> ReadIndexMark(const ObjectRef& object);
Errno WriteIndexMark(const Core& core, const ObjectRef& object, const IndexMark& mark);
// At mount: which numbers the indexed upper files show.
void LoadIndexOrigins(Core& core);

}  // namespace plyfs
