// copy_up.h: brings an object from a lower into the upper: built in the work directory, then one rename shows it.
// Not here: how bytes are copied (fs/layer/copy_data.h).
// Thread safety: any thread; called without any lock, since copying may take long. What was read under a lock is checked again
// at the commit.
#pragma once

#include <cstdint>
#include <optional>

#include "fs/overlay/core.h"

namespace plyfs {

struct CopyUpOptions {
  // The size that a regular file is to have from the commit on (truncate(2) of a lower file): one step, so that no failure
  // leaves it cut.
  std::optional<uint64_t> truncate_to;
  // False: nothing about the object itself is going to change (it gets another name).
  bool is_change = true;
};

// Afterwards the node (any type) is in the upper, and so are its parents. EROFS in a read-only union, ENOSPC, EIO, EDQUOT, … as
// the upper says, then the union is as it was; EPERM for a lower file that is immutable or append-only.
Errno CopyUp(Core& core, const NodeRef& node, const CopyUpOptions& options = {});
// The same for a directory, without its content. ENOENT if it has been removed.
Errno EnsureUpperDirectory(Core& core, const NodeRef& dir);

// Gives a node, which is in the upper, its name (parent, name) there if only a lower has that name yet (a hard link whose
// other name was copied up). Needs the tree lock shared and both mutexes exclusively.
Errno EnsureUpperName(Core& core, Node& node, const Node& parent, Name name);

}  // namespace plyfs
