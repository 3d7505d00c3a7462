// data_path.cc: see data_path.h.
#include "fs/overlay/data_path.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/overlay/attr.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/file_io.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

// Whether the journal need not be told of a change of the node.
bool IsRecorded(const Core& core, const Node& node) { return !core.journal || node.recorded(core.journal->stamp()); }

Errno CheckWritable(const Core& core, const Node& node) {
  if (core.read_only()) return EROFS;
  if (!node.is_regular()) return node.is_directory() ? EISDIR : EINVAL;
  return kOk;
}

// A descriptor for writing: of the upper copy, made now if this is the first change.
Result<FdRef> WritableFd(Core& core, const NodeRef& node) {
  RETURN_IF_ERROR(CheckWritable(core, *node));
  if (FdRef cached = core.files.Get(Value(node->id)); cached && cached->writable && IsRecorded(core, *node)) return cached;
  RETURN_IF_ERROR(CopyUp(core, node));
  return DataFd(core, node, DataAccess::kWrite);
}

Errno ClearSetIdsAfterWrite(Core& core, const NodeRef& node, const FdRef& fd) {
  const UpperLayer& upper = core.upper();
  if (upper.override_stat() == OverrideStat::kNone) return KillSetIds(core, {.dir = fd->fd.get()});
  return ChangeAttr(core, node, {.kill_suidgid = true}).error();
}

// The kernel does not know that the file is append-only, so it has let everybody open it.
Errno CheckAtEnd(const FdRef& fd, uint64_t offset) {
  ASSIGN_OR_RETURN(const struct statx stat, StatObject({.dir = fd->fd.get()}));
  return offset == stat.stx_size ? kOk : Errno(EPERM);
}

bool WritesFlags(unsigned long command) { return command == FS_IOC_SETFLAGS || command == FS_IOC_FSSETXATTR; }

// Something that ioctl(2) can be called on.
Result<FdRef> FlagsFd(Core& core, const NodeRef& node) {
  if (!node->is_directory()) return DataFd(core, node, DataAccess::kRead);
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&node->mutex);
  if (node->dir->removed) return Errno(ENOENT);
  return DirFd(core, *node, node->dir->parts.front().layer);
}

}  // namespace

Result<size_t> ReadData(Core& core, const NodeRef& node, std::span<char> buffer, uint64_t offset) {
  FdRef fd = core.files.Get(Value(node->id));
  if (!fd) {
    ASSIGN_OR_RETURN(fd, DataFd(core, node, DataAccess::kRead));
  }
  size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::pread(fd->fd.get(), buffer.data() + done, buffer.size() - done, offset + done);
    if (got < 0) return Errno::Last();
    if (got == 0) break;
    done += got;
  }
  return done;
}

Errno PrepareToWrite(Core& core, const NodeRef& node) {
  RETURN_IF_ERROR(CheckWritable(core, *node));
  return CopyUp(core, node);
}

Result<UpperFile> FindUpperFile(Core& core, Node& node, bool writes) {
  if (core.read_only() || !node.is_regular()) return UpperFile();
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&node.mutex);
  if (node.layer != LayerIndex::kUpper || node.metacopy()) return UpperFile();
  if (core.upper().override_stat() != OverrideStat::kNone) return UpperFile{.in_upper = true};
  const Result<FdRef> fd = DataFdLocked(core, node, writes ? DataAccess::kWrite : DataAccess::kRead);
  // Opening it once more, the kernel would not ask whether it is immutable or append-only.
  if (writes && (fd.error() == EPERM || (fd.ok() && (*fd)->append_only))) return UpperFile{.in_upper = true};
  RETURN_IF_ERROR(fd.error());
  if (!writes) return UpperFile{.in_upper = true, .fd = *fd};
  // Whether a write takes these away depends on who writes.
  ASSIGN_OR_RETURN(const struct statx stat, StatObject({.dir = (*fd)->fd.get()}));
  const bool may_lose_bits = (stat.stx_mode & (S_ISUID | S_ISGID)) != 0;
  return UpperFile{.in_upper = true, .fd = may_lose_bits ? FdRef() : *fd};
}

Result<size_t> WriteData(Core& core, const NodeRef& node, std::span<const char> data, uint64_t offset,
                         const WriteOptions& options) {
  ASSIGN_OR_RETURN(const FdRef fd, WritableFd(core, node));
  if (fd->append_only) RETURN_IF_ERROR(CheckAtEnd(fd, offset));
  if (options.kill_suidgid) RETURN_IF_ERROR(ClearSetIdsAfterWrite(core, node, fd));
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t put = ::pwrite(fd->fd.get(), data.data() + done, data.size() - done, offset + done);
    if (put < 0) {
      // As write(2): what has been written counts, and the error comes with the next call.
      if (done > 0) break;
      return Errno::Last();
    }
    done += put;
  }
  RecordChangeAgain(core, node);
  return done;
}

Errno AllocateData(Core& core, const NodeRef& node, int mode, const Extent& extent, const WriteOptions& options) {
  ASSIGN_OR_RETURN(const FdRef fd, WritableFd(core, node));
  if (options.kill_suidgid) RETURN_IF_ERROR(ClearSetIdsAfterWrite(core, node, fd));
  const Errno error = Errno::Of(::fallocate(fd->fd.get(), mode, extent.offset, extent.length));
  RecordChangeAgain(core, node);
  return error;
}

Result<uint64_t> SeekData(Core& core, const NodeRef& node, uint64_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return Errno(EINVAL);
  ASSIGN_OR_RETURN(const FdRef fd, DataFd(core, node, DataAccess::kRead));
  const off_t found = ::lseek(fd->fd.get(), offset, whence);
  if (found < 0) return Errno::Last();
  return static_cast<uint64_t>(found);
}

Result<size_t> CopyData(Core& core, const DataPosition& from, const DataPosition& to, size_t length,
                        const WriteOptions& options) {
  ASSIGN_OR_RETURN(const FdRef out, WritableFd(core, to.node));
  ASSIGN_OR_RETURN(const FdRef in, DataFd(core, from.node, DataAccess::kRead));
  if (options.kill_suidgid) RETURN_IF_ERROR(ClearSetIdsAfterWrite(core, to.node, out));
  off_t in_offset = from.offset;
  off_t out_offset = to.offset;
  const ssize_t copied = ::copy_file_range(in->fd.get(), &in_offset, out->fd.get(), &out_offset, length, 0);
  if (copied < 0) return Errno::Last();
  RecordChangeAgain(core, to.node);
  return static_cast<size_t>(copied);
}

Errno SyncNode(Core& core, const NodeRef& node, bool data_only) {
  if (core.read_only() || !core.syncs()) return kOk;
  if (!node->is_directory()) {
    {
      absl::ReaderMutexLock lock(&node->mutex);
      if (node->layer != LayerIndex::kUpper || node->metacopy()) return kOk;
    }
    ASSIGN_OR_RETURN(const FdRef fd, DataFd(core, node, DataAccess::kRead));
    return Errno::Of(data_only ? ::fdatasync(fd->fd.get()) : ::fsync(fd->fd.get()));
  }
  FdRef fd;
  {
    absl::ReaderMutexLock tree(&core.tree_mutex);
    absl::ReaderMutexLock lock(&node->mutex);
    if (node->dir->removed || !node->dir->has_upper()) return kOk;
    ASSIGN_OR_RETURN(fd, DirFd(core, *node, LayerIndex::kUpper));
  }
  const Errno error = Errno::Of(::fsync(fd->fd.get()));
  return error == EBADF ? kOk : error;  // O_PATH: a directory that we may not read
}

Errno FileFlagsIoctl(Core& core, const NodeRef& node, unsigned long command, std::span<char> data) {
  if (!node->is_regular() && !node->is_directory()) return ENOTTY;
  if (WritesFlags(command)) {
    RETURN_IF_ERROR(CopyUp(core, node));
  }
  ASSIGN_OR_RETURN(const FdRef fd, FlagsFd(core, node));
  // The kernel's own argument is an int although the number says long (ioctl_iflags(2)).
  if (data.size() < (command == FS_IOC_GETFLAGS || command == FS_IOC_SETFLAGS ? sizeof(int) : sizeof(fsxattr))) return EINVAL;
  const Errno error = Errno::Of(::ioctl(fd->fd.get(), command, data.data()));
  // A descriptor from before may do what the file now forbids (chattr +a, +i).
  if (error.ok() && WritesFlags(command)) core.files.Erase(Value(node->id));
  return error == EBADF ? Errno(ENOTTY) : error;
}

}  // namespace plyfs
