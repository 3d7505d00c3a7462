// apply_target.h: the directory that a layer is unpacked into: its directories by path, what the layer has made in it, removal.
// Not here: what an entry means (apply.cc).
// Thread safety: one owner.
#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "fs/layer/layer.h"
#include "fs/layer/upper_layer.h"
#include "fs/oci/apply.h"

namespace plyfs {

class ApplyTarget {
 public:
  // Locks the directory against mounts that would use it as their upper, and finds out what its filesystem can do. Null and
  // `error` filled if it cannot be written.
  static std::unique_ptr<ApplyTarget> Open(int directory, WhiteoutChoice whiteouts, LayerError* error);

  const UpperLayer& layer() const { return layer_; }
  int root() const { return layer_.root(); }

  // The directory `path` ("" is the root), made with its parents where it is not there (0755); where a whiteout is, the directory
  // is opaque. ELOOP for a path through a symlink, ENOTDIR through anything else. Valid until the next call of a method.
  Result<int> Directory(const std::string& path);
  // Of the last Directory: objects made in it get an ACL from it.
  bool directory_has_default_acl() const { return has_default_acl_; }

  // Makes the directory `at` (a free name) for its owner to write in.
  Errno MakeDirectory(const ObjectRef& at, mode_t mode);
  // The object at `at` has been made by the layer.
  Errno NoteMade(const ObjectRef& at);
  bool IsMade(const struct statx& stat) const { return made_.contains(DiskInodeOf(stat)); }

  // Removes what is at `path`, whatever it is and holds. Not an error if it is not there.
  Errno Remove(const std::string& path);
  // Removes what was below the directory `path` before the layer came. `emptied`: nothing is left.
  Errno RemoveOlder(const std::string& path, bool* emptied);

 private:
  enum class Removal { kAll, kOlder };

  ApplyTarget(UniqueFd root, UpperCapabilities capabilities);
  Result<UniqueFd> OpenOrMake(int dir, const std::string& name);
  Errno RemoveBelow(const std::string& path, Removal removal);
  Errno RemoveEntries(const std::string& path, Removal removal, std::vector<std::string>* directories);
  void ForgetDirectory();

  const UpperLayer layer_;
  // Inodes rather than names: a number that is free again can only come back for something that is made here.
  absl::flat_hash_set<DiskInode> made_;
  // The last Directory.
  UniqueFd directory_;
  std::string directory_path_;
  bool has_default_acl_ = false;
};

}  // namespace plyfs
