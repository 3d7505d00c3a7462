// discover.h: what a name is in the union: the search through the layers.
// Not here: counting for the kernel, attributes (attr.h).
// Thread safety: any thread; needs the tree lock and the parent's mutex, shared.
#pragma once

#include <optional>

#include "fs/overlay/core.h"

namespace plyfs {

// What lies under a name, before there is a node for it.
struct Discovered {
  bool present = false;
  struct statx stat {};   // of the topmost object
  NodeTable::Init init;   // what its node is to be made from
  NodeRef existing;       // not null: a further name of a node that is known already
};
// EIO where a layer's marks are corrupt: the name is then neither shown nor hidden by guessing.
// `top`: the topmost layer that shows the name, where a listing has just told; the layers above are not asked again.
Result<Discovered> Discover(Core& core, const Node& parent, Name name, LayerIndex top = LayerIndex::kUpper);

// The node of a name, and its attributes on disk if they had to be read for that.
struct FoundNode {
  NodeRef node;  // null: the name does not exist
  std::optional<struct statx> stat;
};
Result<FoundNode> FindOrMakeNode(Core& core, const NodeRef& parent, Name name, LayerIndex top = LayerIndex::kUpper);

// Whether a lower layer would show `name` in `parent` if the upper did not hide it. Decides whether a whiteout is needed.
Result<bool> ShownByLowers(Core& core, const Node& parent, Name name);
// What the upper itself has under the name; absent if the parent has no part there.
Result<LayerEntry> LookupUpper(Core& core, const Node& parent, Name name);

// The root's parts: every layer.
std::unique_ptr<DirState> DiscoverRoot(Core& core);

}  // namespace plyfs
