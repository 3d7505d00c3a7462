// attr.h: attributes: from a layer's to the union's, and changing them.
// Not here: extended attributes (xattr_ops.h).
// Thread safety: any thread.
#pragma once

#include <optional>

#include "fs/layer/override_stat.h"
#include "fs/overlay/core.h"

namespace plyfs {

// Owner, mode, type and device as the union shows them, before they are put back into a layer's form.
struct ShownStat {
  mode_t mode = 0;  // type and permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t rdev = 0;
};
// Ids mapped and squashed, override_stat attributes read where the layer uses them. An empty `object`: `stat` says it all.
Result<ShownStat> ReadShownStat(const Core& core, const Layer& layer, const ObjectRef& object, const struct statx& stat);

// Attributes of a node from `stat`, just read from its layer at `object`. Needs the node's mutex, shared.
Result<Attr> ToAttr(Core& core, const Node& node, const ObjectRef& object, const struct statx& stat);
// Reads them, unless `stat` was read just now. Needs the tree lock shared; AttrOf takes the node's mutex, AttrOfLocked needs it.
Result<Attr> AttrOf(Core& core, Node& node);
Result<Attr> AttrOfLocked(Core& core, const Node& node, const std::optional<struct statx>& stat = std::nullopt);

// The attributes, counted once for the kernel; the same locks as AttrOf.
Result<Entry> CountedEntry(Core& core, Node& node, const std::optional<struct statx>& stat);

// chmod, chown, truncate, utimes; see Overlay::SetAttr.
Result<Attr> ChangeAttr(Core& core, const NodeRef& node, const AttrChange& change);

// Clears setuid, and setgid where it stands for execution, as the kernel does for a writer without CAP_FSETID.
mode_t WithoutSetIds(mode_t mode);
// The same on the upper object. Needs the node's mutex, shared.
Errno KillSetIds(Core& core, const ObjectRef& object);

}  // namespace plyfs
