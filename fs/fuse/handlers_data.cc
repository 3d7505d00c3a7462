// handlers_data.cc: requests that open, read, write and sync files.
#include <fcntl.h>

#include "fs/fuse/handlers.h"

namespace plyfs {
namespace {

// The kernel remembers ENOSYS and opens without asking from then on. Kernels that cannot
// (before 3.15 and 5.1) get a handle that says nothing.
Errno ReplyOpen(Call& call, uint64_t zero_message_flag, uint32_t open_flags) {
  if (call.agreed.has(zero_message_flag)) return ENOSYS;
  return call.reply.Struct(fuse_open_out{.open_flags = open_flags});
}

// The kernel asks us to take setuid bits off (HANDLE_KILLPRIV_V2), but these requests carry no flag
// for it. A caller other than root rarely holds CAP_FSETID, and taking the bits off too often is
// the safe mistake.
bool MustKillSuidGid(const Call& call) { return call.request.caller().uid != 0; }

Result<size_t> CopyRange(Call& call) {
  ASSIGN_OR_RETURN(const fuse_copy_file_range_in* const in,
                   call.request.Take<fuse_copy_file_range_in>());
  if (in->flags != 0) return Errno(EINVAL);
  return call.overlay.CopyFileRange(call.request.node(), in->off_in, NodeId{in->nodeid_out},
                                    in->off_out, in->len, {.kill_suidgid = MustKillSuidGid(call)});
}

}  // namespace

Errno OnOpen(Call& call) {
  if (call.open_files == nullptr) return ReplyOpen(call, FUSE_NO_OPEN_SUPPORT, FOPEN_KEEP_CACHE);
  ASSIGN_OR_RETURN(const fuse_open_in* const in, call.request.Take<fuse_open_in>());
  const NodeId node = call.request.node();
  ASSIGN_OR_RETURN(const OpenFiles::Opened opened, call.open_files->Open(node, (in->flags & O_ACCMODE) != O_RDONLY));
  const Errno lost = call.reply.Struct(fuse_open_out{
      .fh = opened.handle, .open_flags = opened.flags, .padding = static_cast<uint32_t>(opened.backing_id)});
  if (!lost.ok()) call.open_files->Release(node, opened.handle);
  return kOk;
}

Errno OnRelease(Call& call) {
  if (call.open_files != nullptr) {
    ASSIGN_OR_RETURN(const fuse_release_in* const in, call.request.Take<fuse_release_in>());
    call.open_files->Release(call.request.node(), in->fh);
  }
  call.reply.Ok().Ignore("nothing hangs on it");
  return kOk;
}

Errno OnOpendir(Call& call) {
  return ReplyOpen(call, FUSE_NO_OPENDIR_SUPPORT, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
}

Errno OnRead(Call& call) {
  ASSIGN_OR_RETURN(const fuse_read_in* const in, call.request.Take<fuse_read_in>());
  const std::span<char> room = call.buffer.reply_data();
  // Never: max_pages bounds it. A short answer would be taken for the end of the file.
  if (in->size > room.size()) return EIO;
  call.buffer.Touched(in->size);
  ASSIGN_OR_RETURN(const size_t length,
                   call.overlay.Read(call.request.node(), room.first(in->size), in->offset));
  return call.reply.Bytes(room.first(length));
}

Errno OnWrite(Call& call) {
  ASSIGN_OR_RETURN(const fuse_write_in* const in, call.request.Take<fuse_write_in>());
  ASSIGN_OR_RETURN(const std::span<const char> data, call.request.TakeBytes(in->size));
  const WriteOptions options{.kill_suidgid = (in->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0};
  ASSIGN_OR_RETURN(const size_t written,
                   call.overlay.Write(call.request.node(), data, in->offset, options));
  return call.reply.Struct(fuse_write_out{.size = static_cast<uint32_t>(written)});
}

Errno OnFallocate(Call& call) {
  ASSIGN_OR_RETURN(const fuse_fallocate_in* const in, call.request.Take<fuse_fallocate_in>());
  return call.reply.Error(call.overlay.Fallocate(call.request.node(), static_cast<int>(in->mode),
                                                 in->offset, in->length, MustKillSuidGid(call)));
}

Errno OnLseek(Call& call) {
  ASSIGN_OR_RETURN(const fuse_lseek_in* const in, call.request.Take<fuse_lseek_in>());
  ASSIGN_OR_RETURN(const uint64_t offset, call.overlay.Seek(call.request.node(), in->offset,
                                                            static_cast<int>(in->whence)));
  return call.reply.Struct(fuse_lseek_out{.offset = offset});
}

Errno OnCopyFileRange(Call& call) {
  ASSIGN_OR_RETURN(const size_t copied, CopyRange(call));
  return call.reply.Struct(fuse_write_out{.size = static_cast<uint32_t>(copied)});
}

Errno OnCopyFileRange64(Call& call) {
  ASSIGN_OR_RETURN(const size_t copied, CopyRange(call));
  return call.reply.Struct(abi::CopyFileRangeOut{.bytes_copied = copied});
}

Errno OnFsync(Call& call) {
  ASSIGN_OR_RETURN(const fuse_fsync_in* const in, call.request.Take<fuse_fsync_in>());
  const bool data_only = (in->fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
  return call.reply.Error(call.overlay.Fsync(call.request.node(), data_only));
}

Errno OnSyncfs(Call& call) { return call.reply.Error(call.overlay.SyncFs()); }

}  // namespace plyfs
