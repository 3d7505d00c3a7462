// create.h: new objects and new names.
// Not here: rename (rename.h).
// Thread safety: any thread; called without any lock.
#pragma once

#include <string>

#include "fs/overlay/core.h"

namespace plyfs {

// What to make.
struct NewObject {
  mode_t mode = 0;  // type and permission bits, umask not yet applied
  dev_t rdev = 0;
  std::string target;  // of a symlink
};

// See Overlay::Mknod, Mkdir, Symlink, Link and Tmpfile.
Result<Entry> CreateObject(Core& core, const NodeRef& parent, Name name, const NewObject& object, const Caller& caller);
Result<Entry> CreateUnnamed(Core& core, const NodeRef& parent, mode_t mode, const Caller& caller);
Result<Entry> CreateLink(Core& core, const NodeRef& node, const NodeRef& parent, Name name);

}  // namespace plyfs
