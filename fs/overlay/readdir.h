// readdir.h: hands a listing out, a reply at a time.
// Not here: which names there are (listing.h).
// Thread safety: any thread; called without any lock.
#pragma once

#include "fs/overlay/core.h"

namespace plyfs {

// See Overlay::Readdir.
Errno ReadDirectory(Core& core, const NodeRef& dir, uint64_t cookie, ReaddirMode mode, DirSink& sink);

}  // namespace plyfs
