// remove.h: names that go, and what becomes of the objects that the kernel still refers to.
// Not here: rename (rename.h), though it uses this.
// Thread safety: any thread; UnlinkName and RemoveDirectoryName are called without any lock.
#pragma once

#include "fs/overlay/core.h"
#include "fs/overlay/going_link.h"

namespace plyfs {

// See Overlay::Unlink and Overlay::Rmdir.
Errno UnlinkName(Core& core, const NodeRef& parent, Name name);
Errno RemoveDirectoryName(Core& core, const NodeRef& parent, Name name);

// What follows needs the tree lock and the mutexes of the parent and of the node exclusively.

// Before the upper entry `at` of a file goes: if no other name is known, the file stays reachable by a descriptor or by a name
// among the orphans until the kernel forgets it. `at` itself stays.
Errno KeepReachable(Core& core, Node& node, const NodeRef& parent, Name name, const ObjectRef& at);
// After the name that `going` has announced has gone from the union, which can no longer fail: what goes wrong here is logged.
void NameHasGone(Core& core, Node& node, GoingLink& going);
// Before a directory's name goes: what stat(2) on an open descriptor of it will show.
Errno FreezeDirectory(Core& core, Node& dir);
// After it has gone.
void DirectoryHasGone(Core& core, Node& dir, const Node& parent, Name name);

}  // namespace plyfs
