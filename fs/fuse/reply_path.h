// reply_path.h: the way on which a reply goes back to the kernel.
// Not here: what a reply says (reply.h).
// Thread safety: that of the class behind it; Send is called by the thread that handles the
// request.
#pragma once

#include <sys/uio.h>

#include <span>

#include "fs/base/errno.h"

namespace plyfs {

class ReplyPath {
 public:
  // The first part is the fuse_out_header, the others are the argument. ENOENT when the kernel no
  // longer waits for this reply, ENODEV when there is no connection any more.
  virtual Errno Send(std::span<const iovec> parts) = 0;

 protected:
  ~ReplyPath() = default;
};

}  // namespace plyfs
