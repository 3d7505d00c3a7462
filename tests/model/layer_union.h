// layer_union.h: what a stack of layers shows: the merge rules of overlayfs, written down once
// more and independently of fs/overlay.
// Not here: layers on disk (layer_spec.h).
// Thread safety: a pure function.
#pragma once

#include "tests/model/inode_tree.h"
#include "tests/model/layer_spec.h"

namespace plyfs::model {

/// The tree that the union of these layers shows, topmost first, the first one being the upper.
InodePtr UnionOf(const LayerStackSpec& layers);

}  // namespace plyfs::model
