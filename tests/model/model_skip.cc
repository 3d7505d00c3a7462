// model_skip.cc: operations that are not run: their answer cannot be said, or is known to differ.

#include <sys/stat.h>

#include "tests/model/model.h"

namespace plyfs::model {
namespace {

constexpr char kCapability[] = "security.capability";

}  // namespace

bool Model::MustSkip(const Op& op) const {
  const auto leaves = [&](const std::string& path, const InodePtr& base) {
    return !path.empty() && (WalkPath(base, path, FinalSymlink::kKeep).leaves ||
                             WalkPath(base, path, FinalSymlink::kFollow).leaves);
  };
  InodePtr base = root_;
  if (op.base >= 0 && slots_[op.base].has_value()) base = slots_[op.base]->inode;
  if (leaves(op.path, base)) return true;
  if (!op.path2.empty() && leaves(op.path2, root_)) return true;
  if (op.kind == OpKind::kLinkFd && slots_[op.slot].has_value()) {
    const InodePtr inode = slots_[op.slot]->inode;
    if (inode->nlink == 0 && inode->hidden > 0) return true;
  }
  if (op.kind == OpKind::kOpen || op.kind == OpKind::kReadFile) {
    const Walk walk = Resolve(op, FinalSymlink::kFollow);
    return walk.error == 0 && walk.node != nullptr && !walk.node->IsReg() && !walk.node->IsDir() &&
           !walk.node->IsLink();
  }
  if (op.name == kCapability && op.kind == OpKind::kSetXattr) {
    const Walk walk = Resolve(op, FinalSymlink::kKeep);
    return walk.node != nullptr && !walk.node->IsReg();
  }
  if (op.kind == OpKind::kMmapWrite && slots_[op.slot].has_value()) {
    // A local filesystem keeps the capability; where a server does the write, it is lost.
    return slots_[op.slot]->inode->xattrs.count(kCapability) > 0;
  }
  if (options_.kernel_overlay && KernelDiffers(op)) return true;
  if (options_.is_union && ChangesDeadDirectory(op)) return true;
  return op.kind == OpKind::kTmpfile && !options_.has_tmpfile;
}

// Attributes of a directory that was removed while open: a union has no place for them.
bool Model::ChangesDeadDirectory(const Op& op) const {
  const auto dead = [&](int slot) {
    return slot >= 0 && slots_[slot].has_value() && slots_[slot]->inode->dead;
  };
  if (op.kind >= OpKind::kChmod && op.kind <= OpKind::kTruncate) return dead(op.base);
  const bool by_descriptor =
      op.kind == OpKind::kFchmod || op.kind == OpKind::kFchown || op.kind == OpKind::kFsetXattr;
  return by_descriptor && dead(op.slot);
}

bool Model::KernelDiffers(const Op& op) const {
  if (op.kind == OpKind::kMmapRead) return true;
  const bool attributes = op.kind == OpKind::kFchmod || op.kind == OpKind::kFchown ||
                          op.kind == OpKind::kFsetXattr || op.kind == OpKind::kFstat;
  InodePtr inode;
  if (attributes && slots_[op.slot].has_value()) inode = slots_[op.slot]->inode;
  if (op.base >= 0 && slots_[op.base].has_value()) inode = slots_[op.base]->inode;
  return inode != nullptr && inode->has_lower && (inode->nlink == 0 || inode->dead);
}

}  // namespace plyfs::model
