// model_files.cc: opening, and operations on open descriptors.

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/model/inode_change.h"
#include "tests/model/model.h"

namespace plyfs::model {
namespace {

Expected Fails(int error) { return Expected{.error = error}; }

Expected Skips() { return Expected{.skip = true}; }

// How much of [offset, offset + length) lies within the file.
off_t Clip(const Inode& inode, off_t offset, off_t length) {
  return std::clamp<off_t>(static_cast<off_t>(inode.data.size()) - offset, 0, length);
}

std::string Slice(const Inode& inode, off_t offset, off_t length) {
  const off_t count = Clip(inode, offset, length);
  return count == 0 ? ""
                    : inode.data.substr(static_cast<size_t>(offset), static_cast<size_t>(count));
}

int OpenExistingError(const Op& op, const Walk& walk) {
  const Inode& inode = *walk.node;
  if ((op.flags & O_CREAT) && (op.flags & O_EXCL)) return EEXIST;
  if ((op.flags & O_CREAT) && inode.IsDir()) return EISDIR;
  if ((op.flags & O_DIRECTORY) && !inode.IsDir()) return ENOTDIR;
  if (inode.IsLink()) return ELOOP;
  const bool writes = (op.flags & O_ACCMODE) != O_RDONLY || (op.flags & O_TRUNC);
  return inode.IsDir() && writes ? EISDIR : 0;
}

}  // namespace

Expected Model::Open(const Op& op) {
  slots_[op.slot].reset();
  if ((op.flags & O_CREAT) && (op.flags & O_DIRECTORY)) return Fails(EINVAL);
  const bool keep = (op.flags & O_NOFOLLOW) || ((op.flags & O_CREAT) && (op.flags & O_EXCL));
  const Walk walk = Resolve(op, keep ? FinalSymlink::kKeep : FinalSymlink::kFollow);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  InodePtr inode = walk.node;
  if (inode == nullptr) {
    if (!(op.flags & O_CREAT) || walk.parent->dead) return Fails(ENOENT);
    inode = Create(walk, S_IFREG | (op.mode & 07777 & ~options_.umask));
  } else {
    const int error = OpenExistingError(op, walk);
    if (error != 0) return Fails(error);
    if ((op.flags & O_TRUNC) && inode->IsReg()) TruncateInode(inode, 0);
  }
  slots_[op.slot] = OpenFile{.inode = inode, .flags = op.flags};
  return Expected{.inode = inode};
}

Expected Model::Tmpfile(const Op& op) {
  slots_[op.slot].reset();
  if ((op.flags & O_ACCMODE) == O_RDONLY) return Fails(EINVAL);
  const Walk walk = Resolve(op, FinalSymlink::kFollow);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (walk.node == nullptr) return Fails(ENOENT);
  if (!walk.node->IsDir()) return Fails(ENOTDIR);
  const InodePtr inode = NewInode(S_IFREG | (op.mode & 07777 & ~options_.umask));
  if (walk.node->mode & S_ISGID) inode->gid = walk.node->gid;
  inode->nlink = 0;
  inode->linkable = !(op.flags & O_EXCL);
  slots_[op.slot] = OpenFile{.inode = inode, .flags = op.flags};
  return Expected{.inode = inode};
}

Expected Model::Pwrite(const Op& op, const OpenFile& file) {
  if (!file.CanWrite()) return Fails(EBADF);
  const off_t offset =
      file.flags & O_APPEND ? static_cast<off_t>(file.inode->data.size()) : op.offset;
  WriteBytes(file.inode, offset, Pattern(op.fill, static_cast<size_t>(op.length)));
  return Expected{.value = op.length};
}

// After these the client asks for attributes again, but a reply that is on its way counts as one.
void Model::NoteStaleMtime(const Op& op, const InodePtr& inode) const {
  const bool is_such = op.kind == OpKind::kMmapWrite || (op.flags & FALLOC_FL_KEEP_SIZE) != 0;
  inode->mtime_may_be_stale = is_such && options_.fuse_client && options_.others_look;
}

Expected Model::Fallocate(const Op& op, const OpenFile& file) {
  if (op.offset < 0 || op.length <= 0) return Fails(EINVAL);
  if (!file.CanWrite()) return Fails(EBADF);
  const InodePtr& inode = file.inode;
  const off_t end = op.offset + op.length;
  const off_t size = static_cast<off_t>(inode->data.size());
  const bool extends = !(op.flags & FALLOC_FL_KEEP_SIZE) && end > size;
  if (extends) inode->data.resize(static_cast<size_t>(end), '\0');
  if (op.flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
    const off_t count = Clip(*inode, op.offset, op.length);
    std::fill_n(inode->data.begin() + (count > 0 ? op.offset : 0), count, '\0');
  }
  MarkWritten(inode);
  NoteStaleMtime(op, inode);
  return {};
}

Expected Model::CopyRange(const Op& op, const OpenFile& from, const OpenFile& to) {
  if (from.inode->IsDir() || to.inode->IsDir()) return Fails(EISDIR);
  if (!from.CanRead() || !to.CanWrite() || (to.flags & O_APPEND)) return Fails(EBADF);
  const off_t count = Clip(*from.inode, op.offset, op.length);
  if (from.inode == to.inode && op.offset2 + count > op.offset && op.offset2 < op.offset + count) {
    return Fails(EINVAL);
  }
  WriteBytes(to.inode, op.offset2, Slice(*from.inode, op.offset, count));
  return Expected{.value = count};
}

Expected Model::ApplyFdOp(const Op& op) {
  if (op.kind == OpKind::kOpen) return Open(op);
  if (op.kind == OpKind::kTmpfile) return Tmpfile(op);
  if (op.kind == OpKind::kLinkFd) return LinkFd(op);
  if (!slots_[op.slot].has_value()) return Fails(EBADF);
  const OpenFile file = *slots_[op.slot];
  const InodePtr& inode = file.inode;
  switch (op.kind) {
    case OpKind::kClose:
      slots_[op.slot].reset();
      return {};
    case OpKind::kPread:
      if (!file.CanRead()) return Fails(EBADF);
      if (inode->IsDir()) return Fails(EISDIR);
      return Expected{.data = Slice(*inode, op.offset, op.length)};
    case OpKind::kPwrite:
      return Pwrite(op, file);
    case OpKind::kFtruncate:
      if (!file.CanWrite() || !inode->IsReg()) return Fails(EINVAL);
      return Fails(TruncateInode(inode, op.length));
    case OpKind::kFstat:
      return Expected{.inode = inode};
    case OpKind::kFchmod:
      return Fails(ChangeMode(inode, op.mode));
    case OpKind::kFchown:
      return Fails(ChangeOwner(inode, op.uid, op.gid));
    case OpKind::kFsetXattr:
      return Fails(SetXattr(inode, {.name = op.name, .value = op.data, .flags = op.flags}));
    case OpKind::kFallocate:
      return Fallocate(op, file);
    case OpKind::kFsync:
      return {};
    case OpKind::kCopyRange:
      if (!slots_[op.slot2].has_value()) return Fails(EBADF);
      return CopyRange(op, file, *slots_[op.slot2]);
    default:
      break;
  }
  // kMmapRead and kMmapWrite; the executor looks at type and size before it maps.
  if (!inode->IsReg()) return Fails(ENODEV);
  const off_t count = Clip(*inode, op.offset, op.length);
  if (count == 0) return {};
  if (!file.CanRead()) return Fails(EACCES);
  if (op.kind == OpKind::kMmapRead) return Expected{.data = Slice(*inode, op.offset, count)};
  if (!file.CanWrite()) return Fails(EACCES);
  const std::string bytes = Pattern(op.fill, static_cast<size_t>(op.length));
  WriteBytes(inode, op.offset, bytes.substr(0, static_cast<size_t>(count)));
  NoteStaleMtime(op, inode);
  return Expected{.value = count};
}

}  // namespace plyfs::model
