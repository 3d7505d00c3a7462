// apply_attributes.h: owners, modes, attributes and times of what a layer brings, as far as the caller may set them.
// Not here: the objects themselves (apply.cc).
// Thread safety: one owner.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "fs/oci/apply_target.h"
#include "fs/oci/tar_entry.h"

namespace plyfs {

class ApplyAttributes {
 public:
  ApplyAttributes(ApplyTarget& target, OnLayerWarning warning) : target_(target), warning_(std::move(warning)) {}

  // "", or why the entry's attributes are refused: too many, too long, or names that would forge owners. `stored` are the names
  // as they are kept, overlay marks escaped.
  std::string Translate(const TarEntry& entry, std::vector<TarXattr>* stored) const;

  // All of an object that is no directory. `acl_inherited`: it may have got an ACL of its directory, which goes.
  Errno Set(const ObjectRef& at, const TarEntry& entry, const std::vector<TarXattr>& stored, bool acl_inherited);

  // What a directory can have while it is being filled; the rest is kept for FinishDirectories. Attributes that it had before and
  // that are not in `stored` go, but for overlay marks.
  Errno SetDirectory(const ObjectRef& at, const std::string& path, const TarEntry& entry, const std::vector<TarXattr>& stored);
  // Modes, default ACLs and times, children before parents.
  Errno FinishDirectories();

  // Once a kind.
  void Warn(const char* kind, const std::string& text);

 private:
  struct Deferred {
    std::string path;
    DiskInode inode;  // what is there now may be another directory
    mode_t mode = 0;
    timespec atime{};
    timespec mtime{};
    std::string default_acl;  // empty: none
  };

  Result<mode_t> SetOwner(const ObjectRef& at, const TarEntry& entry);
  Errno SetXattrs(const ObjectRef& at, const std::vector<TarXattr>& stored);
  Errno RemoveOtherXattrs(const ObjectRef& at, const std::vector<TarXattr>& stored);
  Errno Finish(const Deferred& directory);

  ApplyTarget& target_;
  const OnLayerWarning warning_;
  std::set<std::string> warned_;
  std::vector<Deferred> deferred_;
};

}  // namespace plyfs
