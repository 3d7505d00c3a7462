// dispatcher.cc: the table of contents by opcode. See dispatcher.h.
#include "fs/fuse/dispatcher.h"

#include <sys/uio.h>

#include <array>
#include <cstring>
#include <exception>

#include "fs/base/log.h"
#include "fs/fuse/handlers.h"
#include "fs/fuse/monotonic.h"
#include "fs/fuse/reply.h"
#include "fs/fuse/request.h"

namespace plyfs {
namespace {

Errno OnSuccess(Call& call) {
  call.reply.Ok().Ignore("nothing hangs on it");
  return kOk;
}

Errno OnSilence(Call& call) {
  call.reply.None();
  return kOk;
}

// Opcodes that are not here are answered with ENOSYS, which the kernel remembers:
// CREATE (it then uses MKNOD), FLUSH, ACCESS (default_permissions decides), POLL, BMAP, GETLK,
// SETLK, SETLKW (locks are kept by the kernel), INTERRUPT (no request waits for anything that could
// be interrupted), SETUPMAPPING.
constexpr std::array<Handler, abi::kOpcodeEnd> kHandlers = [] {
  std::array<Handler, abi::kOpcodeEnd> table{};
  table[FUSE_LOOKUP] = OnLookup;
  table[FUSE_FORGET] = OnForget;
  table[FUSE_BATCH_FORGET] = OnBatchForget;
  table[FUSE_MKNOD] = OnMknod;
  table[FUSE_MKDIR] = OnMkdir;
  table[FUSE_SYMLINK] = OnSymlink;
  table[FUSE_LINK] = OnLink;
  table[FUSE_TMPFILE] = OnTmpfile;
  table[FUSE_UNLINK] = OnUnlink;
  table[FUSE_RMDIR] = OnRmdir;
  table[FUSE_RENAME] = OnRename;
  table[FUSE_RENAME2] = OnRename2;
  table[FUSE_READDIR] = OnReaddir;
  table[FUSE_READDIRPLUS] = OnReaddirPlus;

  table[FUSE_GETATTR] = OnGetattr;
  table[FUSE_SETATTR] = OnSetattr;
  table[abi::kStatx] = OnStatx;
  table[FUSE_READLINK] = OnReadlink;
  table[FUSE_STATFS] = OnStatfs;

  table[FUSE_SETXATTR] = OnSetxattr;
  table[FUSE_GETXATTR] = OnGetxattr;
  table[FUSE_LISTXATTR] = OnListxattr;
  table[FUSE_REMOVEXATTR] = OnRemovexattr;

  table[FUSE_OPEN] = OnOpen;
  table[FUSE_OPENDIR] = OnOpendir;
  table[FUSE_RELEASE] = OnRelease;  // without passthrough only of a file made by TMPFILE before the first OPEN
  table[FUSE_RELEASEDIR] = OnSuccess;
  table[FUSE_READ] = OnRead;
  table[FUSE_WRITE] = OnWrite;
  table[FUSE_FALLOCATE] = OnFallocate;
  table[FUSE_LSEEK] = OnLseek;
  table[FUSE_COPY_FILE_RANGE] = OnCopyFileRange;
  table[abi::kCopyFileRange64] = OnCopyFileRange64;
  table[FUSE_FSYNC] = OnFsync;
  table[FUSE_FSYNCDIR] = OnFsync;
  table[FUSE_SYNCFS] = OnSyncfs;
  table[FUSE_IOCTL] = OnIoctl;

  table[FUSE_DESTROY] = OnSuccess;
  table[FUSE_NOTIFY_REPLY] = OnSilence;
  return table;
}();

}  // namespace

uint64_t Dispatcher::Dispatch(const Arrival& arrival, RequestCounters& counters) {
  const uint64_t start = MonotonicNs();
  arrival.buffer.Touched(arrival.message.size());
  Result<Request> request = Request::Parse(arrival.message);
  if (!request.ok()) {
    // Without a whole header there is no number that a reply could carry.
    LogError("a message of %zu bytes from the kernel is not a request",
             arrival.message.size());
    return 0;
  }
  // The buffer may be overwritten by the reply.
  const uint32_t opcode = request->opcode();
  const uint64_t node = Value(request->node());
  Reply reply(arrival.reply_path, request->unique());
  Handle(*request, reply, arrival.buffer);
  const uint64_t end = reply.sent_at() != 0 ? reply.sent_at() : MonotonicNs();
  const uint64_t took = end - start;
  counters.Add(opcode, took);
  if (options_.debug) {
    LogDebug("%s node %llu: %s", OpcodeName(opcode), static_cast<unsigned long long>(node),
             reply.result() == 0 ? "ok" : ::strerrorname_np(reply.result()));
  }
  return took;
}

// The only place that catches: one bad file must not end the server.
void Dispatcher::Handle(Request& request, Reply& reply, RequestBuffer& buffer) {
  const uint32_t opcode = request.opcode();
  const auto node = static_cast<unsigned long long>(request.node());
  Errno error = ENOSYS;
  try {
    if (opcode == FUSE_INIT) {
      error = OnInit(request, reply);
    } else if (opcode < kHandlers.size() && kHandlers[opcode] != nullptr) {
      Call call{request, reply, overlay_, buffer, agreed_, options_.validity, options_.control_text,
                agreed_.has(abi::kPassthrough) ? options_.open_files : nullptr};
      error = kHandlers[opcode](call);
    }
  } catch (const std::exception& exception) {
    LogError("%s of node %llu failed: %s", OpcodeName(opcode), node, exception.what());
    error = EIO;
  } catch (...) {
    LogError("%s of node %llu failed with an unknown exception", OpcodeName(opcode), node);
    error = EIO;
  }
  if (!reply.sent()) reply.Error(error).Ignore("the caller is gone");
}

Errno Dispatcher::OnInit(Request& request, Reply& reply) {
  ASSIGN_OR_RETURN(const InitOffer offer, InitOffer::Decode(request));
  if (offer.major < FUSE_KERNEL_VERSION) {
    LogError("the kernel speaks FUSE %u.%u, which is too old", offer.major, offer.minor);
    return EPROTO;
  }
  agreed_ = ChooseCapabilities(offer, options_.capabilities);
  RETURN_IF_ERROR(reply.Struct(EncodeInit(offer, agreed_, options_.capabilities)));
  // A kernel with a newer major version asks again with ours.
  if (offer.major == FUSE_KERNEL_VERSION) initialised_.store(true, std::memory_order_release);
  LogDebug("INIT: kernel %u.%u, offered %#llx, agreed %#llx", offer.major, offer.minor,
           static_cast<unsigned long long>(offer.flags),
           static_cast<unsigned long long>(agreed_.flags));
  return kOk;
}

}  // namespace plyfs
