// model.cc: dispatch, and the operations that make, move and remove names.

#include "tests/model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <utility>

namespace plyfs::model {
namespace {

constexpr int kNoReplace = 1;
constexpr int kExchange = 2;
constexpr int kWhiteout = 4;
constexpr size_t kTargetMax = 4095;

Expected Fails(int error) { return Expected{.error = error}; }

Expected Skips() { return Expected{.skip = true}; }

}  // namespace

Model::Model(InodePtr root, ModelOptions options) : root_(std::move(root)), options_(options) {}

Expected Model::Apply(const Op& op, std::optional<int> seen) {
  if (op.kind <= OpKind::kMknod) return ApplyNameOp(op, seen);
  if (op.kind <= OpKind::kTruncate) return ApplyAttrOp(op);
  if (op.kind <= OpKind::kReadFile) return ApplyLookOp(op);
  if (op.kind <= OpKind::kCopyRange) return ApplyFdOp(op);
  if (op.kind <= OpKind::kDirEnd) return ApplyStreamOp(op);
  if (op.kind == OpKind::kRemount) CloseAll();
  return {};
}

void Model::CloseAll() {
  for (auto& slot : slots_) slot.reset();
  for (auto& stream : streams_) stream.reset();
  for (const auto& [path, inode] : AllPaths(root_)) {
    if (inode->mtime_may_be_stale) inode->mtime.reset();
    inode->mtime_may_be_stale = false;
    inode->partly_listed = false;
    inode->made_after_that.clear();
  }
}

Expected Model::ApplyNameOp(const Op& op, std::optional<int> seen) {
  switch (op.kind) {
    case OpKind::kMkdir:
      return Mkdir(op);
    case OpKind::kRmdir:
      return Rmdir(op);
    case OpKind::kUnlink:
      return Unlink(op);
    case OpKind::kRename:
      return Rename(op, seen);
    case OpKind::kLink:
      return Link(op);
    case OpKind::kSymlink:
      return Symlink(op);
    default:
      return Mknod(op);
  }
}

Walk Model::Resolve(const Op& op, FinalSymlink final_symlink) const {
  if (op.base < 0) return WalkPath(root_, op.path, final_symlink);
  Walk walk;
  walk.error = slots_[op.base].has_value() ? 0 : EBADF;
  if (walk.error != 0) return walk;
  return WalkPath(slots_[op.base]->inode, op.path, final_symlink);
}

Walk Model::ResolveNew(const InodePtr& base, const std::string& path) const {
  Walk walk = WalkPath(base, path, FinalSymlink::kKeep);
  if (walk.error != 0 || walk.leaves) return walk;
  if (walk.dots || walk.node != nullptr) {
    walk.error = EEXIST;
  } else if (walk.parent->dead) {
    walk.error = ENOENT;
  }
  return walk;
}

void Model::NoteName(const InodePtr& parent, const std::string& name, bool present) {
  if (present && options_.fuse_client && (parent->partly_listed || options_.others_look)) {
    parent->made_after_that.insert(name);
  }
  for (auto& stream : streams_) {
    if (!stream.has_value() || stream->dir != parent) continue;
    stream->lasting.erase(name);
    if (present) stream->possible.insert(name);
  }
}

void Model::PutName(const InodePtr& parent, const std::string& name, const InodePtr& inode) {
  AddChild(parent, name, inode);
  parent->mtime.reset();
  NoteName(parent, name, true);
}

void Model::DropName(const InodePtr& parent, const std::string& name) {
  const InodePtr inode = parent->children[name];
  parent->children.erase(name);
  parent->mtime.reset();
  NoteName(parent, name, false);
  if (inode->IsDir()) {
    inode->dead = true;
    inode->mtime.reset();
  } else {
    --inode->nlink;
  }
}

InodePtr Model::Create(const Walk& where, mode_t mode) {
  const InodePtr inode = NewInode(mode);
  if (where.parent->mode & S_ISGID) {
    inode->gid = where.parent->gid;
    if (inode->IsDir()) inode->mode |= S_ISGID;
  }
  PutName(where.parent, where.last, inode);
  return inode;
}

Expected Model::Mkdir(const Op& op) {
  if (op.base >= 0 && !slots_[op.base]) return Fails(EBADF);
  const Walk walk = ResolveNew(op.base < 0 ? root_ : slots_[op.base]->inode, op.path);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  Create(walk, S_IFDIR | (op.mode & 01777 & ~options_.umask));
  return {};
}

Expected Model::Symlink(const Op& op) {
  if (op.data.empty()) return Fails(ENOENT);
  if (op.data.size() > kTargetMax) return Fails(ENAMETOOLONG);
  if (op.base >= 0 && !slots_[op.base]) return Fails(EBADF);
  const Walk walk = ResolveNew(op.base < 0 ? root_ : slots_[op.base]->inode, op.path);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  Create(walk, S_IFLNK | 0777)->data = op.data;
  return {};
}

Expected Model::Mknod(const Op& op) {
  if (op.base >= 0 && !slots_[op.base]) return Fails(EBADF);
  const Walk walk = ResolveNew(op.base < 0 ? root_ : slots_[op.base]->inode, op.path);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (options_.kernel_overlay && S_ISCHR(op.mode) && op.rdev == 0) return Fails(EPERM);
  Create(walk, op.mode & ~options_.umask)->rdev = op.rdev;
  return {};
}

Expected Model::Rmdir(const Op& op) {
  const Walk walk = Resolve(op, FinalSymlink::kKeep);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (walk.dots) return Fails(walk.last == "." ? EINVAL : ENOTEMPTY);
  if (walk.node == nullptr) return Fails(ENOENT);
  if (!walk.node->IsDir()) return Fails(ENOTDIR);
  if (!walk.node->children.empty()) return Fails(ENOTEMPTY);
  DropName(walk.parent, walk.last);
  return {};
}

Expected Model::Unlink(const Op& op) {
  const Walk walk = Resolve(op, FinalSymlink::kKeep);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (walk.dots) return Fails(EISDIR);
  if (walk.node == nullptr) return Fails(ENOENT);
  if (walk.node->IsDir()) return Fails(EISDIR);
  DropName(walk.parent, walk.last);
  return {};
}

// The checks in the order of do_renameat2() and vfs_rename(); ENOTEMPTY comes last, from the
// filesystem itself.
int Model::RenameError(const Op& op, const Walk& from, const Walk& to) const {
  if (from.error != 0 && !from.in_last) return from.error;
  if (to.error != 0 && !to.in_last) return to.error;
  if (from.dots) return EBUSY;
  if (to.dots) return op.flags & kNoReplace ? EEXIST : EBUSY;
  if (from.error != 0) return from.error;
  if (from.node == nullptr) return ENOENT;
  if (to.error != 0) return to.error;
  if (to.node != nullptr && (op.flags & kNoReplace)) return EEXIST;
  if (to.node == nullptr && (op.flags & kExchange)) return ENOENT;
  if (from.node->IsDir() && IsBelow(from.node, to.parent)) return EINVAL;
  if (to.node != nullptr && to.node->IsDir() && IsBelow(to.node, from.parent)) {
    return op.flags & kExchange ? EINVAL : ENOTEMPTY;
  }
  if (from.node == to.node) return 0;
  if (to.node == nullptr) return to.parent->dead ? ENOENT : 0;
  if (op.flags & kExchange) return 0;
  if (from.node->IsDir() && !to.node->IsDir()) return ENOTDIR;
  if (!from.node->IsDir() && to.node->IsDir()) return EISDIR;
  return 0;
}

Expected Model::Rename(const Op& op, std::optional<int> seen) {
  if (op.base >= 0 && !slots_[op.base].has_value()) return Fails(EBADF);
  if ((op.flags & kExchange) && (op.flags & (kNoReplace | kWhiteout))) return Fails(EINVAL);
  const Walk from = Resolve(op, FinalSymlink::kKeep);
  const Walk to = WalkPath(root_, op.path2, FinalSymlink::kKeep);
  if (from.leaves || (from.error == 0 && to.leaves)) return Skips();
  int error = RenameError(op, from, to);
  if (error != 0) return Fails(error);
  if (from.node == to.node) return {};
  if (options_.kernel_overlay && (op.flags & kWhiteout)) return Fails(EINVAL);
  if (!(op.flags & kExchange) && to.node != nullptr && !to.node->children.empty()) {
    error = ENOTEMPTY;
    if (options_.kernel_overlay) from.parent->mtime.reset();
  }
  Expected expected = Fails(error);
  const auto is_lower_dir = [](const InodePtr& inode) {
    return inode->IsDir() && inode->has_lower;
  };
  if (options_.directory_rename_exdev &&
      (is_lower_dir(from.node) || ((op.flags & kExchange) && is_lower_dir(to.node)))) {
    expected.other_error = EXDEV;
    if (seen.value_or(EXDEV) == EXDEV) return expected;
  }
  if (error != 0) return expected;
  const InodePtr moved = from.node;
  const InodePtr replaced = to.node;
  if (replaced != nullptr && !(op.flags & kExchange)) DropName(to.parent, to.last);
  from.parent->children.erase(from.last);
  from.parent->mtime.reset();
  NoteName(from.parent, from.last, false);
  PutName(to.parent, to.last, moved);
  if (op.flags & kExchange) PutName(from.parent, from.last, replaced);
  if (op.flags & kWhiteout) Create({.parent = from.parent, .last = from.last}, S_IFCHR);
  return expected;
}

Expected Model::LinkInode(const InodePtr& inode, const std::string& new_path) {
  const Walk walk = ResolveNew(root_, new_path);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (inode->IsDir()) return Fails(EPERM);
  if (inode->nlink == 0 && inode->hidden > 0) return Skips();
  if (inode->nlink == 0 && !inode->linkable) return Fails(ENOENT);
  inode->linkable = false;
  ++inode->nlink;
  PutName(walk.parent, walk.last, inode);
  return {};
}

Expected Model::Link(const Op& op) {
  const Walk walk = Resolve(op, op.follow ? FinalSymlink::kFollow : FinalSymlink::kKeep);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (walk.node == nullptr) return Fails(ENOENT);
  return LinkInode(walk.node, op.path2);
}

Expected Model::LinkFd(const Op& op) {
  if (!slots_[op.slot].has_value()) return Fails(EBADF);
  return LinkInode(slots_[op.slot]->inode, op.path);
}

}  // namespace plyfs::model
