// remove.cc: see remove.h.
#include "fs/overlay/remove.h"

#include "fs/base/log.h"
#include "fs/layer/override_stat.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/listing.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

// A descriptor keeps an unlinked file for nothing, but there are only so many.
bool Hold(Core& core, Node& node, const ObjectRef& at) {
  if (core.held_orphans.fetch_add(1, std::memory_order_relaxed) < core.max_held_orphans) {
    Result<UniqueFd> fd = OpenPath(at);
    if (fd.ok()) {
      node.MutableRare().held = std::move(fd).value();
      return true;
    }
  }
  core.held_orphans.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

// One name less in the lowers that leads to an indexed file. The last name of all takes the index entry with it.
Errno CountIndexedName(Core& core, Node& node, bool was_lower_name) {
  RareState& rare = *node.rare;
  const std::string name = rare.index_name;
  const ObjectRef entry{.dir = core.work().index(), .name = name.c_str()};
  if (was_lower_name && rare.index_remaining > 0) {
    --rare.index_remaining;
    RETURN_IF_ERROR(WriteIndexMark(core, entry, {.name = name, .remaining = rare.index_remaining}));
  }
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(entry));
  if (stat.stx_nlink > 1 || rare.index_remaining > 0) return kOk;
  RecordInodeGone(core, DiskInodeOf(stat));
  DropIndexMark(core, name, stat);
  const std::string orphan = WorkDir::OrphanName(node.id);
  RETURN_IF_ERROR(core.upper().Rename(entry, {.dir = core.work().orphans(), .name = orphan.c_str()}, 0));
  rare.index_name.clear();
  rare.in_orphans = true;
  return kOk;
}

// The upper's entry, if it has one, goes, and a whiteout comes where a lower would show the name otherwise.
Errno RemoveEntry(Core& core, const NodeRef& parent, Name name, Node& node, const ObjectRef& at, bool in_upper, bool whiteout) {
  if (!in_upper) return whiteout ? core.upper().PlaceWhiteout(at) : Errno(ENOENT);
  RETURN_IF_ERROR(KeepReachable(core, node, parent, name, at));
  if (!whiteout) return core.upper().Unlink(at);
  TempEntry away(core.work());
  return core.upper().ReplaceByWhiteout(at, away.ref(), core.work());
}

Errno RemoveUpperDirectory(Core& core, const ObjectRef& at, bool whiteout) {
  if (!whiteout) {
    const Errno error = core.upper().RemoveDirectory(at);
    if (!(error == ENOTEMPTY || error == EEXIST)) return error;
  }
  // It holds whiteouts, or must leave one.
  TempEntry away(core.work());
  if (whiteout) return core.upper().ReplaceByWhiteout(at, away.ref(), core.work());
  return core.upper().Rename(at, away.ref(), 0);
}

Errno CountGoneName(Core& core, Node& node, const GoingLink& going) {
  if (node.indexed()) return CountIndexedName(core, node, going.upper() == nullptr);
  if (going.upper() != nullptr) {
    if (going.upper()->stx_nlink == 1) RecordInodeGone(core, DiskInodeOf(*going.upper()));
  } else if (const std::optional<DiskInode>& lower = going.counted_lower()) {
    RecordLinksRemoved(core, *lower, core.link_counts.AddRemoved(*lower));
  } else {
    node.MutableRare().gone = true;
  }
  return kOk;
}

}  // namespace

Errno KeepReachable(Core& core, Node& node, const NodeRef& parent, Name name, const ObjectRef& at) {
  if (node.is_directory() || node.layer != LayerIndex::kUpper || node.indexed() || node.orphaned()) return kOk;
  if (core.nodes.HasOtherName(node, *parent, name.view())) return kOk;
  if (Hold(core, node, at)) return kOk;
  const std::string orphan = WorkDir::OrphanName(node.id);
  RETURN_IF_ERROR(core.upper().Link(at, {.dir = core.work().orphans(), .name = orphan.c_str()}));
  node.MutableRare().in_orphans = true;
  return kOk;
}

void NameHasGone(Core& core, Node& node, GoingLink& going) {
  const bool in_upper = node.layer == LayerIndex::kUpper;
  core.nodes.RemoveName(node, going.parent(), going.name().view(),
                        in_upper ? NodeTable::FirstName::kReplace : NodeTable::FirstName::kKeep);
  const Errno error = CountGoneName(core, node, going);
  if (error.ok()) return;
  going.StaysInDoubt();
  LogError("st_nlink of node %llu may be wrong from now on: errno %d", static_cast<unsigned long long>(Value(node.id)),
           error.value());
}

Errno FreezeDirectory(Core& core, Node& dir) {
  ASSIGN_OR_RETURN(const Located located, Locate(core, dir));
  ASSIGN_OR_RETURN(struct statx stat, StatObject(located.ref()));
  // Nothing can be asked of the object later, so an owner kept in an attribute becomes part of what is remembered.
  const Layer& layer = core.layer(dir.dir->parts.front().layer);
  ASSIGN_OR_RETURN(const std::optional<OverriddenStat> overridden, ReadOverrideStat(located.ref(), layer.override_stat()));
  if (overridden) {
    stat.stx_uid = overridden->uid;
    stat.stx_gid = overridden->gid;
    stat.stx_mode = static_cast<uint16_t>(S_IFDIR | overridden->mode);
  }
  dir.dir->removed_stat = std::make_unique<struct statx>(stat);
  return kOk;
}

void DirectoryHasGone(Core& core, Node& dir, const Node& parent, Name name) {
  dir.dir->removed = true;
  ++dir.dir->version;
  core.nodes.RemoveName(dir, parent, name.view(), NodeTable::FirstName::kKeep);
  for (const DirPart& part : dir.dir->parts) core.directories.Erase(Core::DirKey(dir.id, part.layer));
  core.listings.Erase(dir.id);
}

Errno UnlinkName(Core& core, const NodeRef& parent, Name name) {
  RETURN_IF_ERROR(EnsureUpperDirectory(core, parent));
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock parent_lock(&parent->mutex);
  ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core, parent, name));
  if (!found.node) return ENOENT;
  if (found.node->is_directory()) return EISDIR;
  absl::MutexLock lock(&found.node->mutex);
  ASSIGN_OR_RETURN(const LayerEntry entry, LookupUpper(core, *parent, name));
  ASSIGN_OR_RETURN(const bool whiteout, ShownByLowers(core, *parent, name));
  ASSIGN_OR_RETURN(const FdRef parent_fd, DirFd(core, *parent, LayerIndex::kUpper));
  const ObjectRef at{.dir = parent_fd->fd.get(), .name = name.c_str()};
  const bool in_upper = entry.kind == LayerEntry::kPresent;
  const struct statx* const upper = in_upper ? &entry.stat : nullptr;
  RecordTouchOf(core, *parent, name.view(), *found.node, upper);
  GoingLink going(core, *parent, name);
  RETURN_IF_ERROR(going.Announce(*found.node, upper));
  RETURN_IF_ERROR(RemoveEntry(core, parent, name, *found.node, at, in_upper, whiteout));
  ++parent->dir->version;
  NameHasGone(core, *found.node, going);
  RecordGone(core, {.parent = *parent,
                    .name = name,
                    .below = whiteout,
                    .upper_inode = in_upper ? uint64_t{entry.stat.stx_ino} : 0});
  return kOk;
}

Errno RemoveDirectoryName(Core& core, const NodeRef& parent, Name name) {
  RETURN_IF_ERROR(EnsureUpperDirectory(core, parent));
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock parent_lock(&parent->mutex);
  ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core, parent, name));
  if (!found.node) return ENOENT;
  Node& dir = *found.node;
  if (!dir.is_directory()) return ENOTDIR;
  absl::MutexLock lock(&dir.mutex);
  ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(core, dir));
  if (!empty) return ENOTEMPTY;
  RETURN_IF_ERROR(FreezeDirectory(core, dir));
  ASSIGN_OR_RETURN(const bool whiteout, ShownByLowers(core, *parent, name));
  ASSIGN_OR_RETURN(const FdRef parent_fd, DirFd(core, *parent, LayerIndex::kUpper));
  const ObjectRef at{.dir = parent_fd->fd.get(), .name = name.c_str()};
  RecordTouchOf(core, *parent, name.view(), dir, nullptr);
  if (dir.dir->has_upper()) {
    RETURN_IF_ERROR(RemoveUpperDirectory(core, at, whiteout));
  } else {
    RETURN_IF_ERROR(core.upper().PlaceWhiteout(at));
  }
  ++parent->dir->version;
  DirectoryHasGone(core, dir, *parent, name);
  RecordGone(core, {.parent = *parent, .name = name, .below = whiteout, .dir = &dir});
  return kOk;
}

}  // namespace plyfs
