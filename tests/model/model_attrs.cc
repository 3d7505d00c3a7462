// model_attrs.cc: attributes by path, and operations that only look.

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/model/inode_change.h"
#include "tests/model/model.h"

namespace plyfs::model {
namespace {

Expected Fails(int error) { return Expected{.error = error}; }

Expected Skips() { return Expected{.skip = true}; }

Expected Apply1(const Op& op, const InodePtr& inode) {
  switch (op.kind) {
    case OpKind::kChmod:
      return Fails(ChangeMode(inode, op.mode));
    case OpKind::kChown:
      return Fails(ChangeOwner(inode, op.uid, op.gid));
    case OpKind::kUtimens:
      return Fails(ChangeMtime(inode, op.mtime));
    case OpKind::kSetXattr:
      return Fails(SetXattr(inode, {.name = op.name, .value = op.data, .flags = op.flags}));
    case OpKind::kRemoveXattr:
      return Fails(RemoveXattr(inode, op.name));
    case OpKind::kGetXattr: {
      const auto found = inode->xattrs.find(op.name);
      if (found == inode->xattrs.end()) return Fails(ENODATA);
      return Expected{.data = found->second};
    }
    default:
      return Fails(TruncateInode(inode, op.length));
  }
}

}  // namespace

Expected Model::ApplyAttrOp(const Op& op) {
  const bool xattr = op.kind == OpKind::kSetXattr || op.kind == OpKind::kRemoveXattr ||
                     op.kind == OpKind::kGetXattr;
  const bool always_follows = op.kind == OpKind::kChmod || op.kind == OpKind::kTruncate;
  const bool follow = always_follows || (op.follow && !xattr);
  const Walk walk = Resolve(op, follow ? FinalSymlink::kFollow : FinalSymlink::kKeep);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (walk.node == nullptr) return Fails(ENOENT);
  return Apply1(op, walk.node);
}

Expected Model::ApplyLookOp(const Op& op) {
  const bool keep = op.kind == OpKind::kReadlink || !op.follow;
  const Walk walk = Resolve(op, keep ? FinalSymlink::kKeep : FinalSymlink::kFollow);
  if (walk.leaves) return Skips();
  if (walk.error != 0) return Fails(walk.error);
  if (walk.node == nullptr) return Fails(ENOENT);
  const InodePtr& node = walk.node;
  switch (op.kind) {
    case OpKind::kStat:
      return Expected{.inode = node};
    case OpKind::kReadlink:
      return node->IsLink() ? Expected{.data = node->data} : Fails(EINVAL);
    case OpKind::kReaddir:
      if (!node->IsDir()) return Fails(ENOTDIR);
      if (node->dead) return Fails(ENOENT);
      return Expected{.inode = node, .entries = node->children};
    default:  // kReadFile
      if (node->IsLink()) return Fails(ELOOP);
      if (node->IsDir()) return Fails(EISDIR);
      return node->IsReg() ? Expected{.data = node->data} : Skips();
  }
}

Expected Model::ApplyStreamOp(const Op& op) {
  auto& stream = streams_[op.slot];
  if (op.kind == OpKind::kDirOpen) {
    stream.reset();
    const Walk walk = Resolve(op, FinalSymlink::kFollow);
    if (walk.leaves) return Skips();
    if (walk.error != 0) return Fails(walk.error);
    if (walk.node == nullptr) return Fails(ENOENT);
    if (!walk.node->IsDir()) return Fails(ENOTDIR);
    stream = DirStream{.dir = walk.node, .lasting = {}, .possible = {}};
    for (const auto& [name, child] : walk.node->children) {
      stream->possible.insert(name);
      if (walk.node->made_after_that.count(name) == 0) stream->lasting.insert(name);
    }
    return {};
  }
  if (!stream.has_value()) return Fails(EBADF);
  Expected expected;
  // The listing of a removed directory ends at once, with or without ENOENT.
  if (stream->dir->dead) expected.other_error = ENOENT;
  stream->dir->partly_listed = true;
  if (op.kind == OpKind::kDirNext) return expected;
  expected.lasting = stream->lasting;
  expected.possible = stream->possible;
  stream.reset();
  return expected;
}

}  // namespace plyfs::model
