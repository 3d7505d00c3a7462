// handlers_names.cc: requests that find, make, move, remove and list names.
#include "fs/fuse/dir_reply.h"
#include "fs/fuse/handlers.h"

#include <algorithm>

namespace plyfs {
namespace {

Errno Rename(Call& call, uint64_t new_parent, unsigned flags) {
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  ASSIGN_OR_RETURN(const Name new_name, call.request.TakeName());
  return call.reply.Error(
      call.overlay.Rename(call.request.node(), name, NodeId{new_parent}, new_name, flags));
}

Errno List(Call& call, ReaddirMode mode) {
  ASSIGN_OR_RETURN(const fuse_read_in* const in, call.request.Take<fuse_read_in>());
  const std::span<char> room = call.buffer.reply_data();
  DirReply listing(room.first(std::min<size_t>(in->size, room.size())), mode, call.validity, call.open_files);
  const Errno error = call.overlay.Readdir(call.request.node(), in->offset, mode, listing);
  call.buffer.Touched(listing.bytes().size());
  // What was counted in a listing that does not arrive must be forgotten.
  const Errno lost = error.ok() ? call.reply.Bytes(listing.bytes()) : call.reply.Error(error);
  if (!error.ok() || !lost.ok()) {
    listing.ForEachCounted([&](NodeId id) { call.overlay.Forget(id, 1); });
  }
  return kOk;
}

}  // namespace

Errno ReplyEntry(Call& call, const Result<Entry>& entry) {
  if (!entry.ok()) return entry.error();
  const Errno lost = call.reply.Struct(EncodeEntry(*entry, call.validity, call.ValidityOf(entry->id)));
  if (!lost.ok() && entry->id != NodeId::kNone) call.overlay.Forget(entry->id, 1);
  return kOk;
}

Errno OnLookup(Call& call) {
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  return ReplyEntry(call, call.overlay.Lookup(call.request.node(), name));
}

Errno OnForget(Call& call) {
  call.reply.None();
  ASSIGN_OR_RETURN(const fuse_forget_in* const in, call.request.Take<fuse_forget_in>());
  call.overlay.Forget(call.request.node(), in->nlookup);
  return kOk;
}

Errno OnBatchForget(Call& call) {
  call.reply.None();
  ASSIGN_OR_RETURN(const fuse_batch_forget_in* const in, call.request.Take<fuse_batch_forget_in>());
  for (uint32_t i = 0; i < in->count; ++i) {
    ASSIGN_OR_RETURN(const fuse_forget_one* const one, call.request.Take<fuse_forget_one>());
    call.overlay.Forget(NodeId{one->nodeid}, one->nlookup);
  }
  return kOk;
}

Errno OnMknod(Call& call) {
  ASSIGN_OR_RETURN(const fuse_mknod_in* const in, call.request.Take<fuse_mknod_in>());
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  const CreateOptions options{.mode = in->mode, .rdev = DecodeDevice(in->rdev)};
  return ReplyEntry(
      call, call.overlay.Mknod(call.request.node(), name, options, call.request.caller(in->umask)));
}

Errno OnMkdir(Call& call) {
  ASSIGN_OR_RETURN(const fuse_mkdir_in* const in, call.request.Take<fuse_mkdir_in>());
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  return ReplyEntry(call, call.overlay.Mkdir(call.request.node(), name, {.mode = in->mode},
                                             call.request.caller(in->umask)));
}

Errno OnSymlink(Call& call) {
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  ASSIGN_OR_RETURN(const std::string_view target, call.request.TakeString());
  return ReplyEntry(call, call.overlay.Symlink(call.request.node(), name, std::string(target),
                                               call.request.caller()));
}

Errno OnLink(Call& call) {
  ASSIGN_OR_RETURN(const fuse_link_in* const in, call.request.Take<fuse_link_in>());
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  return ReplyEntry(call, call.overlay.Link(NodeId{in->oldnodeid}, call.request.node(), name));
}

// The name that comes along means nothing.
Errno OnTmpfile(Call& call) {
  ASSIGN_OR_RETURN(const fuse_create_in* const in, call.request.Take<fuse_create_in>());
  const Result<Entry> entry =
      call.overlay.Tmpfile(call.request.node(), {.mode = in->mode}, call.request.caller(in->umask));
  if (!entry.ok()) return entry.error();
  struct {
    fuse_entry_out entry;
    fuse_open_out open;
  } out{EncodeEntry(*entry, call.validity, call.validity), {.open_flags = FOPEN_KEEP_CACHE}};
  if (call.open_files != nullptr) {
    const OpenFiles::Opened opened = call.open_files->OpenCached(entry->id);
    out.open = {.fh = opened.handle, .open_flags = opened.flags};
  }
  if (call.reply.Struct(out).ok()) return kOk;
  if (call.open_files != nullptr) call.open_files->Release(entry->id, out.open.fh);
  call.overlay.Forget(entry->id, 1);
  return kOk;
}

Errno OnUnlink(Call& call) {
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  return call.reply.Error(call.overlay.Unlink(call.request.node(), name));
}

Errno OnRmdir(Call& call) {
  ASSIGN_OR_RETURN(const Name name, call.request.TakeName());
  return call.reply.Error(call.overlay.Rmdir(call.request.node(), name));
}

Errno OnRename(Call& call) {
  ASSIGN_OR_RETURN(const fuse_rename_in* const in, call.request.Take<fuse_rename_in>());
  return Rename(call, in->newdir, 0);
}

Errno OnRename2(Call& call) {
  ASSIGN_OR_RETURN(const fuse_rename2_in* const in, call.request.Take<fuse_rename2_in>());
  return Rename(call, in->newdir, in->flags);
}

Errno OnReaddir(Call& call) { return List(call, ReaddirMode::kNames); }
Errno OnReaddirPlus(Call& call) { return List(call, ReaddirMode::kPlus); }

}  // namespace plyfs
