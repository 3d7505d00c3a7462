// rename.h: renames, within a directory and between two, of everything over everything.
// Not here: what becomes of what was replaced (remove.h).
// Thread safety: any thread; called without any lock.
#pragma once

#include "fs/overlay/core.h"

namespace plyfs {

// One end of a rename.
struct NamePosition {
  NodeRef parent;
  Name name;
};

// See Overlay::Rename.
Errno RenameEntry(Core& core, const NamePosition& from, const NamePosition& to, unsigned flags);

}  // namespace plyfs
