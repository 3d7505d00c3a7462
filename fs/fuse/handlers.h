// handlers.h: one function for each opcode: decode, call the Overlay once, reply.
// Not here: the table that leads here and the catch around it (dispatcher.cc), union semantics
// (fs/overlay). Thread safety: any thread; all state is in the Call, which belongs to one thread.
#pragma once

#include <string>

#include "fs/fuse/attr_codec.h"
#include "fs/fuse/capabilities.h"
#include "fs/fuse/open_files.h"
#include "fs/fuse/reply.h"
#include "fs/fuse/request.h"
#include "fs/fuse/request_buffer.h"
#include "fs/overlay/overlay.h"

namespace plyfs {

// All that a handler works with.
struct Call {
  Request& request;
  Reply& reply;
  Overlay& overlay;
  RequestBuffer& buffer;  // the request lies in it; room for large replies
  const Capabilities& agreed;
  const Validity validity;
  const std::string& control_text;
  OpenFiles* open_files;  // null: files are opened without asking

  // Of the attributes of a node.
  Validity ValidityOf(NodeId node) const { return plyfs::ValidityOf(node, open_files, validity); }
};

// Success, or the errno of a request that failed before it was answered; the dispatcher answers
// with it then.
using Handler = Errno (*)(Call& call);

// Answers with an entry. It was counted once for the kernel; if the reply does not arrive the count
// is taken back.
Errno ReplyEntry(Call& call, const Result<Entry>& entry);

// Names: handlers_names.cc
Errno OnLookup(Call& call);
Errno OnForget(Call& call);
Errno OnBatchForget(Call& call);
Errno OnMknod(Call& call);
Errno OnMkdir(Call& call);
Errno OnSymlink(Call& call);
Errno OnLink(Call& call);
Errno OnTmpfile(Call& call);
Errno OnUnlink(Call& call);
Errno OnRmdir(Call& call);
Errno OnRename(Call& call);
Errno OnRename2(Call& call);
Errno OnReaddir(Call& call);
Errno OnReaddirPlus(Call& call);

// Attributes: handlers_attr.cc
Errno OnGetattr(Call& call);
Errno OnSetattr(Call& call);
Errno OnStatx(Call& call);
Errno OnReadlink(Call& call);
Errno OnStatfs(Call& call);

// Extended attributes: handlers_xattr.cc
Errno OnSetxattr(Call& call);
Errno OnGetxattr(Call& call);
Errno OnListxattr(Call& call);
Errno OnRemovexattr(Call& call);

// Data: handlers_data.cc
Errno OnOpen(Call& call);
Errno OnOpendir(Call& call);
Errno OnRelease(Call& call);
Errno OnRead(Call& call);
Errno OnWrite(Call& call);
Errno OnFallocate(Call& call);
Errno OnLseek(Call& call);
Errno OnCopyFileRange(Call& call);
Errno OnCopyFileRange64(Call& call);
Errno OnFsync(Call& call);
Errno OnSyncfs(Call& call);

// chattr(1) flags, and where the control socket is: handlers_ioctl.cc
Errno OnIoctl(Call& call);

}  // namespace plyfs
