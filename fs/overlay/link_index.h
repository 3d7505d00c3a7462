// link_index.h: hard links of lower files: their upper copy is found from every name (WORKDIR/plyfs/index), and st_nlink
// counts the names that the union shows.
// Not here: making the copy (copy_up.h).
// Thread safety: any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/base/call_once.h"
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
  // `load` is called once, before the first count is asked for: it tells what an earlier mount left, through Load.
  explicit LinkCounts(std::function<void()> load) : load_(std::move(load)) {}
  uint32_t Removed(const DiskInode& lower) const;
  // How many it is then.
  uint32_t AddRemoved(const DiskInode& lower);
  // As an earlier mount left it.
  void Load(const DiskInode& lower, uint32_t removed);

 private:
  const std::function<void()> load_;
  mutable absl::once_flag loaded_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<DiskInode, uint32_t> removed_ ABSL_GUARDED_BY(mutex_);
};

// Rootless, a symlink, fifo or socket cannot carry a mark: then it is a symlink beside the index entry, NAME.n, whose target is the
// count, and this table leads from the upper inode to NAME.
class UnmarkedInodes {
 public:
  void Add(uint64_t upper_inode, std::string index_name);
  void Remove(uint64_t upper_inode);
  // Empty if there is none.
  std::string Find(uint64_t upper_inode) const;

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, std::string> names_ ABSL_GUARDED_BY(mutex_);
};

// What the mark on an indexed upper file says.
struct IndexMark {
  std::string name;        // in WORKDIR/plyfs/index
  uint32_t remaining = 0;  // names in the lowers that are still shown and lead to this file
};

// What WorkDir::IndexName was made of.
std::optional<DiskInode> LowerOfIndexName(const std::string& name);
// The upper copy of a lower file, if it has one.
Result<std::optional<struct statx>> FindInIndex(const Core& core, const DiskInode& lower);
Result<std::optional<IndexMark>> ReadIndexMark(const Core& core, const ObjectRef& object, const struct statx& stat);
Errno WriteIndexMark(Core& core, const ObjectRef& object, const IndexMark& mark);
// Whether a name in the index is such a count, and no file.
bool IsCountBeside(std::string_view name);
// The index entry `name` is leaving.
void DropIndexMark(Core& core, const std::string& name, const struct statx& stat);
// Which numbers the indexed upper files show; the index alone says it.
void LoadIndexOrigins(Core& core);

}  // namespace plyfs
