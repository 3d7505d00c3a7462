// user_device.h: character devices 0:0 that users make. The kernel's overlayfs, stacked on us, uses them as its whiteouts; a
// real one in our upper would be a whiteout of ours. So an empty file with a mark stands for it, in a directory with a mark.
// Not here: how they are recognised (fs/layer/layer.h).
// Thread safety: any thread; needs the mutex of the directory exclusively, or the tree lock.
#pragma once

#include "fs/overlay/core.h"

namespace plyfs {

inline bool IsUserDevice(mode_t type, dev_t rdev) { return S_ISCHR(type) && rdev == 0; }

// Before such an object comes into `parent`: its entries must be looked at from now on.
Errno LetHoldDevices(Core& core, Node& parent);
// The same if `node`, now at `at`, is such an object.
Errno LetHoldIfDevice(Core& core, const Node& node, const ObjectRef& at, Node& parent);
// Makes one at `at` (a free name), mode 0 and ours.
Errno MakeUserDevice(Core& core, const ObjectRef& at);

}  // namespace plyfs
