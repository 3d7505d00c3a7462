// generate_ops.cc: random operations, chosen with a look at the tree that a dry run of the model
// keeps, so that most of them succeed.

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <memory>

#include "tests/model/generate.h"

namespace plyfs::model {
namespace {

constexpr size_t kMaxDepth = 6;
constexpr size_t kMaxSubtree = 15;  // what "rm -r" may take at once
constexpr size_t kRecent = 4;
constexpr off_t kMaxSize = 300000;

struct Weight {
  OpKind kind;
  size_t weight;
};

constexpr Weight kWeights[] = {
    {OpKind::kMkdir, 7},     {OpKind::kRmdir, 4},     {OpKind::kUnlink, 7},
    {OpKind::kRename, 13},   {OpKind::kLink, 7},      {OpKind::kSymlink, 3},
    {OpKind::kMknod, 3},     {OpKind::kChmod, 4},     {OpKind::kChown, 3},
    {OpKind::kUtimens, 4},   {OpKind::kSetXattr, 5},  {OpKind::kRemoveXattr, 3},
    {OpKind::kGetXattr, 2},  {OpKind::kTruncate, 3},  {OpKind::kStat, 7},
    {OpKind::kReadlink, 2},  {OpKind::kReaddir, 5},   {OpKind::kReadFile, 6},
    {OpKind::kOpen, 15},     {OpKind::kTmpfile, 2},   {OpKind::kLinkFd, 3},
    {OpKind::kClose, 3},     {OpKind::kPread, 7},     {OpKind::kPwrite, 11},
    {OpKind::kFtruncate, 3}, {OpKind::kFstat, 4},     {OpKind::kFchmod, 1},
    {OpKind::kFchown, 1},    {OpKind::kFsetXattr, 1}, {OpKind::kFallocate, 3},
    {OpKind::kMmapWrite, 2}, {OpKind::kMmapRead, 2},  {OpKind::kFsync, 1},
    {OpKind::kCopyRange, 2}, {OpKind::kDirOpen, 2},   {OpKind::kDirNext, 3},
    {OpKind::kDirEnd, 2},    {OpKind::kEvict, 8},     {OpKind::kCompare, 1},
    {OpKind::kRemount, 1},
};

class OpGenerator {
 public:
  OpGenerator(Random& random, const InodePtr& root, const ModelOptions& model,
              const OpParams& params)
      : random_(random), model_(root, model), params_(params) {}

  std::vector<Op> Run() {
    while (ops_.size() < params_.count) {
      paths_ = AllPaths(model_.root());
      if (Chance(random_, 2)) {
        RemoveSubtree();
      } else {
        Push(OneOp(RandomKind()));
      }
    }
    return ops_;
  }

 private:
  void Push(const Op& op) {
    if (model_.MustSkip(op)) return;
    NoteRecent(op);
    model_.Apply(op, std::nullopt);
    ops_.push_back(op);
  }

  OpKind RandomKind() {
    size_t total = 0;
    for (const Weight& weight : kWeights) total += weight.weight;
    while (true) {
      size_t roll = Below(random_, total);
      const Weight* chosen = kWeights;
      while (roll >= chosen->weight) roll -= (chosen++)->weight;
      if (params_.mount_operations || chosen->kind < OpKind::kEvict) return chosen->kind;
    }
  }

  // "rm -r", and sometimes the same directory made again: nothing old may shine through.
  void RemoveSubtree() {
    const std::string top = Existing(S_IFDIR);
    std::vector<std::string> victims;
    for (const auto& [path, inode] : paths_) {
      if (path == top || path.rfind(top + "/", 0) == 0) victims.push_back(path);
    }
    if (top.empty() || victims.size() > kMaxSubtree) return;
    std::sort(victims.rbegin(), victims.rend());
    for (const std::string& path : victims) {
      Op op;
      op.kind = paths_[path]->IsDir() ? OpKind::kRmdir : OpKind::kUnlink;
      op.path = path;
      Push(op);
    }
    if (!Chance(random_, 60)) return;
    Push(Op{.kind = OpKind::kMkdir, .path = top, .mode = 0755});
    Push(Op{.kind = OpKind::kReaddir, .path = top});
  }

  // A path that exists, of that type (0: any); "" when there is none or the root was hit.
  std::string Existing(mode_t type) {
    const auto fits = [&](const std::string& path, const InodePtr& inode) {
      return !path.empty() && (type == 0 || (inode->mode & S_IFMT) == type);
    };
    // What was used a moment ago, and other names of it, are more likely: operations that have
    // nothing to do with each other find little.
    const bool recent = Chance(random_, 40);
    std::vector<std::string> fitting;
    for (const auto& [path, inode] : paths_) {
      if (fits(path, inode) && (!recent || IsRecent(inode))) fitting.push_back(path);
    }
    if (recent && fitting.empty()) return Existing(type);
    return fitting.empty() ? "" : fitting[Below(random_, fitting.size())];
  }

  bool IsRecent(const InodePtr& inode) const {
    for (const std::weak_ptr<Inode>& used : recent_) {
      if (used.lock() == inode) return true;
    }
    return false;
  }

  void NoteRecent(const Op& op) {
    if (op.base >= 0 || op.kind >= OpKind::kEvict) return;
    for (const std::string& path : {op.path, op.path2}) {
      const auto found = paths_.find(path);
      if (!path.empty() && found != paths_.end()) recent_.push_back(found->second);
    }
    if (op.slot >= 0 && op.kind >= OpKind::kLinkFd && op.kind <= OpKind::kCopyRange &&
        model_.slot(op.slot).has_value()) {
      recent_.push_back(model_.slot(op.slot)->inode);
    }
    while (recent_.size() > kRecent) recent_.pop_front();
  }

  std::string Name() {
    return params_.name_prefix + RandomName(random_).substr(0, params_.name_max);
  }

  std::string Fresh() {
    if (!params_.name_prefix.empty()) return Name();
    std::string dir = Chance(random_, 25) ? "" : Existing(S_IFDIR);
    if (static_cast<size_t>(std::count(dir.begin(), dir.end(), '/')) + 1 >= kMaxDepth) dir = "";
    return dir.empty() ? Name() : dir + "/" + Name();
  }

  // Mostly something that is there, sometimes something odd.
  std::string Some(mode_t type = 0) {
    const size_t roll = Below(random_, 100);
    std::string path = Existing(roll < 70 ? type : 0);
    if (roll < 84 && !path.empty()) return path;
    if (roll < 92 || path.empty() || !params_.name_prefix.empty()) return Fresh();
    if (roll < 94) return path + "/" + Name();
    if (roll < 95) return std::string(256, 'X');
    if (roll < 96) return path + "/.";
    if (roll < 97) return path + "/..";
    if (roll < 98) return "./" + path;
    const std::string link = Existing(S_IFLNK);
    return link.empty() ? "missing/" + Name() : link + "/" + Name();
  }

  int Slot(bool open) {
    const bool recent = open && Chance(random_, 50);
    for (int slot = 0; recent && slot < kSlots; ++slot) {
      if (model_.slot(slot).has_value() && IsRecent(model_.slot(slot)->inode)) return slot;
    }
    for (int tries = 0; open && tries < 20; ++tries) {
      const int slot = static_cast<int>(Below(random_, kSlots));
      if (model_.slot(slot).has_value()) return slot;
    }
    return static_cast<int>(Below(random_, kSlots));
  }

  mode_t Mode() {
    return static_cast<mode_t>(Below(random_, 01000)) | (Chance(random_, 70) ? 0600 : 0);
  }

  mode_t SpecialBits() {
    if (params_.privilege == Privilege::kUserNamespace) return 0;
    return (Chance(random_, 10) ? static_cast<mode_t>(S_ISGID) : 0) |
           (Chance(random_, 8) ? static_cast<mode_t>(S_ISUID) : 0);
  }

  uid_t Id() {
    return Chance(random_, 20) ? static_cast<uid_t>(-1) : static_cast<uid_t>(Below(random_, 4000));
  }

  off_t SizeOfSlot(int slot) {
    if (!model_.slot(slot).has_value()) return 0;
    return static_cast<off_t>(model_.slot(slot)->inode->data.size());
  }

  off_t Offset(int slot) {
    const off_t size = SizeOfSlot(slot);
    off_t offset = static_cast<off_t>(Below(random_, static_cast<size_t>(size) + 1));
    if (Chance(random_, 20)) offset = size;
    if (Chance(random_, 15)) offset = size + static_cast<off_t>(Below(random_, 20000));
    if (Chance(random_, 25)) offset = offset / 4096 * 4096;
    return std::min(offset, kMaxSize);
  }

  off_t Length() {
    if (Chance(random_, 4)) return static_cast<off_t>(Below(random_, 140000));
    if (Chance(random_, 20)) return static_cast<off_t>(4096 * (1 + Below(random_, 4)));
    return static_cast<off_t>(Below(random_, 400));
  }

  void ChooseNameOp(Op* op) {
    op->mode = Mode();
    switch (op->kind) {
      case OpKind::kMkdir:
        op->path = params_.name_prefix.empty() || Chance(random_, 20) ? Fresh() : Name();
        if (Chance(random_, 15)) op->path = Some();
        op->mode |= 0700 | SpecialBits();
        break;
      case OpKind::kRmdir:
        op->path = Some(S_IFDIR);
        break;
      case OpKind::kUnlink:
        op->path = Some(S_IFREG);
        break;
      case OpKind::kRename:
        op->path = Some(Chance(random_, 30) ? S_IFDIR : S_IFREG);
        op->path2 = Chance(random_, 45) ? Some(Chance(random_, 40) ? S_IFDIR : 0) : Fresh();
        op->flags = Chance(random_, 60) ? 0 : Chance(random_, 50) ? 1 : 2;
        if (Chance(random_, 5) && params_.privilege == Privilege::kRoot) op->flags |= 4;
        break;
      case OpKind::kLink:
        op->path = Some(S_IFREG);
        op->path2 = Chance(random_, 85) ? Fresh() : Some();
        op->follow = Chance(random_, 20);
        break;
      case OpKind::kSymlink:
        op->path = Chance(random_, 85) ? Fresh() : Some();
        op->data = Chance(random_, 60) ? Name() : Some();
        if (Chance(random_, 10)) op->data = "/no/such/place";
        if (Chance(random_, 5)) op->data = std::string(3000, 's');
        break;
      default:
        ChooseMknod(op);
    }
  }

  void ChooseMknod(Op* op) {
    const mode_t types[] = {S_IFIFO, S_IFSOCK, S_IFREG, S_IFCHR, S_IFBLK};
    const mode_t type = types[Below(random_, params_.privilege == Privilege::kRoot ? 5 : 3)];
    op->path = Chance(random_, 85) ? Fresh() : Some();
    op->mode |= type | SpecialBits();
    if (type == S_IFCHR || type == S_IFBLK) {
      op->rdev = makedev(Below(random_, 200), Below(random_, 300));
      if (Chance(random_, 15)) op->rdev = 0;
    }
  }

  void ChooseAttrOp(Op* op) {
    op->path = Some(op->kind == OpKind::kTruncate ? S_IFREG : 0);
    op->follow = Chance(random_, 30);
    op->mode = Mode() | SpecialBits();
    if (op->kind == OpKind::kChmod && Chance(random_, 80)) op->mode |= 0700;
    op->uid = Id();
    op->gid = op->uid == static_cast<uid_t>(-1) ? 7 : Id();
    op->length = Chance(random_, 40) ? 0 : Length() * static_cast<off_t>(1 + Below(random_, 4));
    op->mtime = RandomTime(random_);
    if (Chance(random_, 10)) op->mtime.tv_nsec = UTIME_NOW;
    if (Chance(random_, 5)) op->mtime.tv_nsec = UTIME_OMIT;
    ChooseXattr(op, paths_.count(op->path) > 0 ? paths_[op->path] : nullptr);
  }

  void ChooseXattr(Op* op, const InodePtr& inode) {
    op->name = RandomXattrName(random_, inode != nullptr ? inode->mode : 0, params_.privilege);
    // A user's own, which a union must keep apart from its marks.
    if (Chance(random_, 5) && params_.privilege == Privilege::kRoot) {
      op->name = "trusted.overlay.mine";
    }
    if (inode != nullptr && !inode->xattrs.empty() && Chance(random_, 50)) {
      op->name =
          std::next(inode->xattrs.begin(), static_cast<long>(Below(random_, inode->xattrs.size())))
              ->first;
    }
    op->data = RandomXattrValue(random_, op->name);
    if (op->kind == OpKind::kSetXattr || op->kind == OpKind::kFsetXattr) {
      op->flags = Chance(random_, 60) ? 0 : Chance(random_, 50) ? XATTR_CREATE : XATTR_REPLACE;
    }
  }

  void ChooseOpen(Op* op) {
    op->slot = Slot(false);
    op->mode = Mode() | SpecialBits();
    op->flags = static_cast<int>(Below(random_, 3));
    if (Chance(random_, 12)) {
      op->path = Some(S_IFDIR);
      op->flags = O_RDONLY | O_DIRECTORY;
      return;
    }
    const bool fresh = Chance(random_, 35);
    op->path = fresh ? Fresh() : Some(S_IFREG);
    if (fresh || Chance(random_, 15)) op->flags |= O_CREAT;
    if (Chance(random_, 10)) op->flags |= O_EXCL & (op->flags & O_CREAT ? ~0 : 0);
    if (Chance(random_, 15)) op->flags |= O_TRUNC;
    if (Chance(random_, 12)) op->flags |= O_APPEND;
    if (Chance(random_, 10)) op->flags |= O_NOFOLLOW;
  }

  void ChooseFdOp(Op* op) {
    op->slot = Slot(true);
    op->slot2 = Slot(true);
    op->fill = static_cast<uint32_t>(random_() % 100000);
    op->mode = Mode() | SpecialBits() | 0600;
    op->uid = Id();
    op->gid = 5;
    op->offset = Offset(op->slot);
    op->offset2 = Offset(op->slot2);
    op->length = Length();
    if (op->kind == OpKind::kFtruncate) op->length = Chance(random_, 30) ? 0 : Offset(op->slot);
    if (op->kind == OpKind::kFallocate) {
      const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                           FALLOC_FL_ZERO_RANGE};
      op->flags = modes[Below(random_, 4)];
      ++op->length;
    }
    if (op->kind == OpKind::kLinkFd) op->path = Chance(random_, 85) ? Fresh() : Some();
    if (op->kind == OpKind::kTmpfile) {
      op->slot = Slot(false);
      op->path = params_.name_prefix.empty() ? Some(S_IFDIR) : ".";
      op->flags = (Chance(random_, 80) ? O_RDWR : O_WRONLY) | (Chance(random_, 15) ? O_EXCL : 0);
    }
    if (op->kind == OpKind::kFsetXattr) {
      ChooseXattr(op, model_.slot(op->slot) ? model_.slot(op->slot)->inode : nullptr);
    }
  }

  Op OneOp(OpKind kind) {
    Op op;
    op.kind = kind;
    if (kind <= OpKind::kMknod) {
      ChooseNameOp(&op);
    } else if (kind <= OpKind::kTruncate) {
      ChooseAttrOp(&op);
    } else if (kind <= OpKind::kReadFile) {
      const mode_t types[] = {0, S_IFLNK, S_IFDIR, S_IFREG};
      op.path = Some(types[static_cast<int>(kind) - static_cast<int>(OpKind::kStat)]);
      op.follow = Chance(random_, 40);
    } else if (kind == OpKind::kOpen) {
      ChooseOpen(&op);
    } else if (kind <= OpKind::kCopyRange) {
      ChooseFdOp(&op);
    } else if (kind <= OpKind::kDirEnd) {
      op.slot = static_cast<int>(Below(random_, kDirSlots));
      op.path = Chance(random_, 30) || !params_.name_prefix.empty() ? "." : Some(S_IFDIR);
      op.length = static_cast<off_t>(1 + Below(random_, 6));
    } else if (kind == OpKind::kEvict) {
      op.flags = Chance(random_, 10) && params_.privilege == Privilege::kRoot ? 1 : 0;
    }
    MaybeUseBase(&op);
    return op;
  }

  // Sometimes the path starts at a directory descriptor that is already open.
  void MaybeUseBase(Op* op) {
    if (op->path.empty() || op->kind >= OpKind::kTmpfile || !Chance(random_, 8)) return;
    if (!params_.name_prefix.empty()) return;
    for (int slot = 0; slot < kSlots; ++slot) {
      if (!model_.slot(slot).has_value() || !model_.slot(slot)->inode->IsDir()) continue;
      if (op->kind == OpKind::kOpen && op->slot == slot) continue;
      op->base = slot;
      op->path = Chance(random_, 10) ? "." : Name();
      return;
    }
  }

  Random& random_;
  Model model_;
  const OpParams& params_;
  std::vector<Op> ops_;
  std::map<std::string, InodePtr> paths_;
  std::deque<std::weak_ptr<Inode>> recent_;
};

}  // namespace

std::vector<Op> GenerateOps(Random& random, const InodePtr& root, const ModelOptions& model,
                            const OpParams& params) {
  return OpGenerator(random, root, model, params).Run();
}

}  // namespace plyfs::model
