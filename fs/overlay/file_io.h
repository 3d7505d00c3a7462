// file_io.h: descriptors of regular files' data.
// Not here: reading and writing (data_path.cc).
// Thread safety: any thread.
#pragma once

#include "fs/overlay/core.h"

namespace plyfs {

enum class DataAccess { kRead, kWrite };

// The node's data, from the cache or opened. kWrite needs the node to be in the upper. EISDIR for a directory, EINVAL for
// anything else that is no regular file. Takes the tree lock and the node's mutex, both shared.
Result<FdRef> DataFd(Core& core, const NodeRef& node, DataAccess access);
// The same for callers that hold both locks.
Result<FdRef> DataFdLocked(Core& core, const Node& node, DataAccess access);
// The node's data is this descriptor from now on. Needs the node's mutex exclusively.
void ReplaceDataFd(Core& core, const Node& node, FdRef fd);

}  // namespace plyfs
