// rename.cc: see rename.h. The order of the steps makes every state that a crash can leave show either the old names or the new.
#include "fs/overlay/rename.h"

#include <optional>
#include <string>
#include <vector>

#include "fs/layer/whiteout.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/listing.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"
#include "fs/overlay/remove.h"
#include "fs/overlay/user_device.h"

namespace plyfs {
namespace {

// Longest redirect that native overlayfs follows (OVL_REDIRECT_MAX is 256 by default, but any up to PATH_MAX is read).
constexpr size_t kMaxRedirect = 4000;

// One end, as it is under the locks.
struct End {
  const NamePosition& position;
  FdRef parent_fd;
  NodeRef node;        // null: nothing is shown there
  LayerEntry in_upper; // what the upper itself has under the name
  bool below = false;  // a lower would show the name if the upper did not hide it

  ObjectRef ref() const { return {.dir = parent_fd->fd.get(), .name = position.name.c_str()}; }
  Node& parent() const { return *position.parent; }
  bool is_directory() const { return node && node->is_directory(); }
  const struct statx* upper() const { return in_upper.kind == LayerEntry::kPresent ? &in_upper.stat : nullptr; }
};

Result<End> FindEnd(Core& core, const NamePosition& position) {
  if (position.parent->dir->removed) return Errno(ENOENT);
  End end{.position = position};
  ASSIGN_OR_RETURN(end.parent_fd, DirFd(core, *position.parent, LayerIndex::kUpper));
  ASSIGN_OR_RETURN(FoundNode found, FindOrMakeNode(core, position.parent, position.name));
  end.node = std::move(found.node);
  return end;
}

// With the node's mutex held: a link to it made meanwhile must not be missed.
Errno ReadEnd(Core& core, End* end) {
  ASSIGN_OR_RETURN(end->in_upper, LookupUpper(core, end->parent(), end->position.name));
  ASSIGN_OR_RETURN(end->below, ShownByLowers(core, end->parent(), end->position.name));
  return kOk;
}

class RenameOperation {
 public:
  RenameOperation(Core& core, End& from, End& to, unsigned flags)
      : core_(core), upper_(core.upper()), from_(from), to_(to), flags_(flags) {}

  Errno Run() {
    if (!from_.node) return ENOENT;
    const bool wh_files = upper_.capabilities().whiteouts == WhiteoutFormat::kWhFile;
    if (wh_files && (HasWhPrefix(to_.position.name.view()) || (exchange() && HasWhPrefix(from_.position.name.view())))) {
      return EPERM;
    }
    if (from_.node == to_.node) return kOk;
    RETURN_IF_ERROR(CheckTypes());
    Touch(from_);
    Touch(to_);
    RETURN_IF_ERROR(PrepareMove(from_, to_));
    if (exchange()) {
      RETURN_IF_ERROR(PrepareMove(to_, from_));
      RETURN_IF_ERROR(upper_.Rename(from_.ref(), to_.ref(), RENAME_EXCHANGE));  // COMMIT
      return PublishExchange();
    }
    RETURN_IF_ERROR(PrepareTarget());
    GoingLink going(core_, to_.parent(), to_.position.name);
    if (to_.node && !to_.is_directory()) RETURN_IF_ERROR(going.Announce(*to_.node, to_.upper()));
    RETURN_IF_ERROR(Move());
    Publish(going);
    return (flags_ & RENAME_WHITEOUT) != 0 ? LeaveUserWhiteout() : kOk;
  }

 private:
  bool exchange() const { return (flags_ & RENAME_EXCHANGE) != 0; }

  void Touch(const End& end) {
    if (!end.node) return RecordTouch(core_, end.parent(), end.position.name.view(), {});
    RecordTouchOf(core_, end.parent(), end.position.name.view(), *end.node, end.upper());
  }

  // RENAME_WHITEOUT by a user: an overlayfs stacked on us wants to see a whiteout of its own under the old name.
  Errno LeaveUserWhiteout() {
    RETURN_IF_ERROR(LetHoldDevices(core_, from_.parent()));
    TempEntry temp(core_.work());
    RETURN_IF_ERROR(MakeUserDevice(core_, temp.ref()));
    ASSIGN_OR_RETURN(const struct statx parent, StatObject({.dir = from_.parent_fd->fd.get()}));
    if ((parent.stx_mode & S_ISGID) != 0) RETURN_IF_ERROR(upper_.SetOwner(temp.ref(), std::nullopt, parent.stx_gid));
    RETURN_IF_ERROR(upper_.Rename(temp.ref(), from_.ref(), 0));
    temp.Committed();
    return kOk;
  }

  Errno CheckTypes() {
    if (exchange()) return to_.node ? kOk : Errno(ENOENT);
    if (!to_.node) return kOk;
    if ((flags_ & RENAME_NOREPLACE) != 0) return EEXIST;
    if (from_.is_directory() && !to_.is_directory()) return ENOTDIR;
    if (!from_.is_directory() && to_.is_directory()) return EISDIR;
    if (!to_.is_directory()) return kOk;
    ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(core_, *to_.node));
    return empty ? kOk : Errno(ENOTEMPTY);
  }

  // Brings what moves into the form in which it may stand under its new name.
  Errno PrepareMove(End& what, const End& where) {
    Node& node = *what.node;
    if (!node.is_directory()) {
      RETURN_IF_ERROR(EnsureUpperName(core_, node, what.parent(), what.position.name));
      if (what.in_upper.kind != LayerEntry::kPresent) {
        ASSIGN_OR_RETURN(what.in_upper, LookupUpper(core_, what.parent(), what.position.name));
      }
      RETURN_IF_ERROR(LetHoldIfDevice(core_, node, what.ref(), where.parent()));
      if (!node.is_regular() || !HasWhPrefix(where.position.name.view())) return kOk;
      return upper_.SetMark(what.ref(), kLiteralMark, "y");
    }
    if (node.dir->has_lower()) return SetRedirect(node, what.ref());
    // A directory of the upper alone must not merge with what lies below its new name.
    if (!where.below) return kOk;
    ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, node, LayerIndex::kUpper));
    return upper_.SetOpaque(fd->fd.get());
  }

  // Says where the lower parts of a directory stay while its name moves.
  Errno SetRedirect(Node& node, const ObjectRef& at) {
    const LayerIndex first_lower = node.dir->parts[node.dir->has_upper() ? 1 : 0].layer;
    const std::string redirect = "/" + LayerPath(node, first_lower);
    if (redirect.size() > kMaxRedirect) return EXDEV;
    auto paths = std::make_unique<std::map<LayerIndex, std::string>>();
    for (const DirPart& part : node.dir->parts) {
      if (part.layer != LayerIndex::kUpper) (*paths)[part.layer] = LayerPath(node, part.layer);
    }
    RETURN_IF_ERROR(upper_.SetMark(at, kRedirectMark, redirect));
    node.dir->redirects = std::move(paths);
    return kOk;
  }

  // Makes room where rename(2) itself would refuse, and keeps what is replaced reachable.
  Errno PrepareTarget() {
    if (!to_.node) return kOk;
    if (to_.is_directory()) {
      RETURN_IF_ERROR(FreezeDirectory(core_, *to_.node));
      return ClearWhiteouts();
    }
    if (to_.in_upper.kind != LayerEntry::kPresent) return kOk;
    return KeepReachable(core_, *to_.node, to_.position.parent, to_.position.name, to_.ref());
  }

  // An empty directory of the union may hold whiteouts in the upper, and rename(2) does not replace it then. Opaque it shows
  // the same without them.
  Errno ClearWhiteouts() {
    if (to_.in_upper.kind != LayerEntry::kPresent) return kOk;
    ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, *to_.node, LayerIndex::kUpper));
    std::vector<std::string> whiteouts;
    RETURN_IF_ERROR(ListDirectory(fd->fd.get(), [&](const RawDirEntry& entry) -> Errno {
      whiteouts.emplace_back(entry.name);
      return kOk;
    }));
    if (whiteouts.empty()) return kOk;
    // (An opaque file would be in the way itself; without attributes a crash here shows the lower names again.)
    if (upper_.capabilities().xattr_marks) RETURN_IF_ERROR(upper_.SetOpaque(fd->fd.get()));
    to_.node->dir->parts.resize(1);
    for (const std::string& name : whiteouts) {
      RETURN_IF_ERROR(upper_.Unlink({.dir = fd->fd.get(), .name = name.c_str()}));
    }
    return kOk;
  }

  // COMMIT: one rename(2) in the upper, leaving a whiteout where a lower would show the old name.
  Errno Move() {
    const bool over_whiteout = to_.in_upper.kind == LayerEntry::kWhiteout;
    if (over_whiteout && from_.is_directory()) return MoveDirectoryOverWhiteout();
    if (!from_.below) return upper_.Rename(from_.ref(), to_.ref(), 0);
    if (upper_.capabilities().rename_whiteout) return upper_.Rename(from_.ref(), to_.ref(), RENAME_WHITEOUT);
    if (upper_.capabilities().whiteouts == WhiteoutFormat::kWhFile) {
      RETURN_IF_ERROR(upper_.PlaceWhiteout(from_.ref()));
      return upper_.Rename(from_.ref(), to_.ref(), 0);
    }
    // Not atomic on a filesystem that has devices but no RENAME_WHITEOUT; the copy shows under both names in between.
    RETURN_IF_ERROR(upper_.Rename(from_.ref(), to_.ref(), 0));
    return upper_.PlaceWhiteout(from_.ref());
  }

  Errno MoveDirectoryOverWhiteout() {
    if (!upper_.capabilities().rename_exchange) {
      RETURN_IF_ERROR(upper_.Unlink(to_.ref()));
      RETURN_IF_ERROR(upper_.Rename(from_.ref(), to_.ref(), 0));
      return from_.below ? upper_.PlaceWhiteout(from_.ref()) : kOk;
    }
    RETURN_IF_ERROR(upper_.Rename(from_.ref(), to_.ref(), RENAME_EXCHANGE));
    // The whiteout has come to the old name, where it may be wanted.
    if (!from_.below) upper_.Unlink(from_.ref()).Ignore("a whiteout of nothing shows nothing");
    return kOk;
  }

  void Publish(GoingLink& going) {
    CountChange();
    if (to_.is_directory()) {
      DirectoryHasGone(core_, *to_.node, to_.parent(), to_.position.name);
    } else if (to_.node) {
      NameHasGone(core_, *to_.node, going);
    }
    core_.nodes.MoveName(*from_.node, from_.parent(), from_.position.name.view(), to_.position.parent,
                         to_.position.name.view());
    RecordMoved(core_, WhatMoved(), *from_.node, to_.is_directory() ? to_.node.get() : nullptr, from_.below,
                (flags_ & RENAME_WHITEOUT) != 0);
  }

  static uint64_t InodeOf(const End& end) {
    return end.upper() != nullptr ? end.upper()->stx_ino : 0;
  }

  RecordedMove WhatMoved() const {
    const bool counts = exchange() || (!to_.is_directory() && to_.in_upper.stat.stx_nlink > 1);
    return {.parent = from_.parent(),
            .name = from_.position.name,
            .new_parent = to_.parent(),
            .new_name = to_.position.name,
            .upper_inode = InodeOf(from_),
            .replaced_inode = counts ? InodeOf(to_) : 0};
  }

  Errno PublishExchange() {
    CountChange();
    core_.nodes.SwapNames({from_.position.parent, from_.position.name.view()}, {to_.position.parent, to_.position.name.view()});
    RecordExchanged(core_, WhatMoved(), *from_.node, *to_.node);
    return kOk;
  }

  void CountChange() {
    // A directory changes its place in the order of locks; what Abseil's detector has learned of the old one is void.
    if (from_.is_directory()) from_.node->mutex.ForgetDeadlockInfo();
    if (to_.is_directory()) to_.node->mutex.ForgetDeadlockInfo();
    ++from_.parent().dir->version;
    if (&from_.parent() != &to_.parent()) ++to_.parent().dir->version;
  }

  Core& core_;
  const UpperLayer& upper_;
  End& from_;
  End& to_;
  const unsigned flags_;
};

// What lies under the name, without a lock held afterwards; null if nothing does.
Result<NodeRef> Peek(Core& core, const NamePosition& position) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&position.parent->mutex);
  ASSIGN_OR_RETURN(FoundNode found, FindOrMakeNode(core, position.parent, position.name));
  return std::move(found.node);
}

// Both parents, and what moves, are in the upper afterwards. EXDEV for a directory that may not move.
Errno CopyUpMoving(Core& core, const NamePosition& position) {
  RETURN_IF_ERROR(EnsureUpperDirectory(core, position.parent));
  ASSIGN_OR_RETURN(const NodeRef node, Peek(core, position));
  if (!node) return ENOENT;
  if (node->is_directory()) {
    absl::ReaderMutexLock tree(&core.tree_mutex);
    absl::ReaderMutexLock lock(&node->mutex);
    const bool redirects = core.config.redirect_dir == RedirectDir::kOn && core.upper().capabilities().xattr_marks;
    if (node->dir->has_lower() && !redirects) return EXDEV;
  }
  return CopyUp(core, node, {.is_change = false});
}

// A rename inside one directory of something that is no directory disturbs nobody else's path.
bool IsLocal(const NamePosition& from, const NamePosition& to, const NodeRef& moving, const NodeRef& replaced) {
  return from.parent == to.parent && !moving->is_directory() && !(replaced && replaced->is_directory());
}

class OptionalNodeLock {
 public:
  explicit OptionalNodeLock(Node* node) ABSL_NO_THREAD_SAFETY_ANALYSIS : node_(node) {
    if (node_ != nullptr) node_->mutex.Lock();
  }
  ~OptionalNodeLock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (node_ != nullptr) node_->mutex.Unlock();
  }
  OptionalNodeLock(const OptionalNodeLock&) = delete;
  OptionalNodeLock& operator=(const OptionalNodeLock&) = delete;

 private:
  Node* const node_;
};

// Needs the tree lock and, unless that is held exclusively, the parents' mutexes exclusively.
Errno RenameLocked(Core& core, const NamePosition& from, const NamePosition& to, unsigned flags) {
  ASSIGN_OR_RETURN(End source, FindEnd(core, from));
  ASSIGN_OR_RETURN(End target, FindEnd(core, to));
  // Directories come here only with the tree lock held exclusively, which is enough for them.
  Node* first = source.is_directory() ? nullptr : source.node.get();
  Node* second = target.node == source.node || target.is_directory() ? nullptr : target.node.get();
  if (first != nullptr && second != nullptr && Value(second->id) < Value(first->id)) std::swap(first, second);
  const OptionalNodeLock first_lock(first);
  const OptionalNodeLock second_lock(second);
  RETURN_IF_ERROR(ReadEnd(core, &source));
  RETURN_IF_ERROR(ReadEnd(core, &target));
  // The end of a race: what was copied up has been replaced by something else since.
  for (const End* end : {&source, &target}) {
    if (!end->node || (end == &target && (flags & RENAME_EXCHANGE) == 0)) continue;
    const bool in_upper = end->is_directory() ? end->node->dir->has_upper() : end->node->layer == LayerIndex::kUpper;
    if (!in_upper) return EAGAIN;
  }
  return RenameOperation(core, source, target, flags).Run();
}

Errno TryRename(Core& core, const NamePosition& from, const NamePosition& to, unsigned flags) {
  RETURN_IF_ERROR(CopyUpMoving(core, from));
  if ((flags & RENAME_EXCHANGE) != 0) RETURN_IF_ERROR(CopyUpMoving(core, to));
  RETURN_IF_ERROR(EnsureUpperDirectory(core, to.parent));
  ASSIGN_OR_RETURN(const NodeRef moving, Peek(core, from));
  ASSIGN_OR_RETURN(const NodeRef replaced, Peek(core, to));
  if (moving && IsLocal(from, to, moving, replaced)) {
    absl::ReaderMutexLock tree(&core.tree_mutex);
    absl::MutexLock lock(&from.parent->mutex);
    return RenameLocked(core, from, to, flags);
  }
  absl::MutexLock tree(&core.tree_mutex);
  return RenameLocked(core, from, to, flags);
}

}  // namespace

Errno RenameEntry(Core& core, const NamePosition& from, const NamePosition& to, unsigned flags) {
  if (core.read_only()) return EROFS;
  constexpr unsigned kKnown = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  if ((flags & ~kKnown) != 0 || (exchange && flags != RENAME_EXCHANGE)) return EINVAL;
  for (;;) {
    const Errno error = TryRename(core, from, to, flags);
    if (!(error == EAGAIN)) return error;
  }
}

}  // namespace plyfs
