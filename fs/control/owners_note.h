// owners_note.h: how a mount shows owners (options uidmapping, gidmapping, squash_to_*, xattr_permissions), left in the work directory
// for tools that work on the union while it is not mounted. Where owners are those on disk there is no note.
// Not here: the same of a live mount (union_info.h).
// Thread safety: one thread.
#pragma once

#include "fs/base/errno.h"
#include "fs/layer/layer_stack.h"

namespace plyfs {

Errno LeaveOwnersNote(const WorkDir& work, const LayerStackOptions& layers);
// Into `ids` and `override_stat`, which stay as they are without a note. EPROTO: the note cannot be understood.
Errno ReadOwnersNote(const WorkDir& work, LayerStackOptions* layers);

}  // namespace plyfs
