// xattr_ops.h: extended attributes as users see them.
// Not here: which names are private (fs/layer/overlay_xattr.h).
// Thread safety: any thread; called without any lock.
#pragma once

#include <span>
#include <string>

#include "fs/overlay/core.h"

namespace plyfs {

// See the methods of Overlay.
Result<std::string> ReadXattr(Core& core, const NodeRef& node, const std::string& name);
Result<std::string> ReadXattrNames(Core& core, const NodeRef& node, const Caller& caller);

struct XattrChange {
  std::string name;
  std::span<const char> value;
  int flags = 0;           // 0, XATTR_CREATE or XATTR_REPLACE
  bool kill_sgid = false;  // the caller is not in the owning group and sets an access ACL
};
Errno ChangeXattr(Core& core, const NodeRef& node, const XattrChange& change);
Errno DropXattr(Core& core, const NodeRef& node, const std::string& name);

}  // namespace plyfs
