// locate.h: where an object is on its layer right now, as something that a system call can be given.
// Not here: which layer that is (discover.h).
// Thread safety: any thread, with the tree lock held (shared is enough) and, for Locate, the node's mutex too.
#pragma once

#include <string>

#include "fs/overlay/core.h"

namespace plyfs {

// Keeps the descriptor open, and the name alive, for as long as it lives.
class Located {
 public:
  Located(FdRef dir, std::string name) : dir_(std::move(dir)), name_(std::move(name)) {}
  // In a directory, or with an empty name at a descriptor, that stays open by itself.
  Located(int dir, std::string name) : borrowed_(dir), name_(std::move(name)) {}

  ObjectRef ref() const { return {.dir = dir_ ? dir_->fd.get() : borrowed_, .name = name_.c_str()}; }

 private:
  FdRef dir_;
  int borrowed_ = -1;
  std::string name_;
};

// The descriptor of a directory's part in `layer`, from the cache or opened by its path below the layer's root.
Result<FdRef> DirFd(Core& core, const Node& dir, LayerIndex layer);
// The object itself; for a directory its topmost part.
Result<Located> Locate(Core& core, const Node& node);
// The path of a directory's part from the root of its layer, "" for the root itself.
std::string LayerPath(const Node& dir, LayerIndex layer);

}  // namespace plyfs
