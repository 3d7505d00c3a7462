// attr.cc: see attr.h.
#include "fs/overlay/attr.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "fs/layer/file_time.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/file_io.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

// UTIME_NOW resolved here: no file remembers this time.
statx_timestamp Remembered(timespec time) {
  if (time.tv_nsec == UTIME_NOW) ::clock_gettime(CLOCK_REALTIME, &time);
  return ToStatxTime(time);
}

uint32_t ShownLinks(const Core& core, const Node& node, const struct statx& stat) {
  if (node.is_directory()) {
    if (node.dir->removed) return 0;
    // The sub-directories of all layers would have to be counted; 1 tells find(1) and others not to rely on it, as the
    // kernel's overlayfs does.
    return core.config.static_nlink || node.dir->merged() ? 1 : stat.stx_nlink;
  }
  uint32_t links = stat.stx_nlink;
  if (node.layer != LayerIndex::kUpper) {
    if (node.rare && node.rare->gone) return 0;
    return links > 1 ? links - std::min(links, core.link_counts.Removed(DiskInodeOf(stat))) : links;
  }
  if (!node.rare) return links;
  if (node.indexed()) links += node.rare->index_remaining - 1;
  if (node.rare->in_orphans) --links;
  return links;
}

// The upper's own form of an owner that a caller asked for.
Result<std::optional<uid_t>> DiskUid(const Core& core, std::optional<uid_t> shown) {
  if (!shown) return std::optional<uid_t>();
  const std::optional<uid_t> uid = core.ids().DiskUid(*shown);
  if (!uid) return Errno(EINVAL);
  return uid;
}

Result<std::optional<gid_t>> DiskGid(const Core& core, std::optional<gid_t> shown) {
  if (!shown) return std::optional<gid_t>();
  const std::optional<gid_t> gid = core.ids().DiskGid(*shown);
  if (!gid) return Errno(EINVAL);
  return gid;
}

// chmod and chown where the upper keeps them in an attribute.
Errno ChangeOverride(Core& core, const ObjectRef& object, const AttrChange& change) {
  const UpperLayer& upper = core.upper();
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(object));
  ASSIGN_OR_RETURN(std::optional<OverriddenStat> now, ReadOverrideStat(object, upper.override_stat()));
  if (!now) now = OverriddenStat{.uid = stat.stx_uid, .gid = stat.stx_gid, .mode = stat.stx_mode & 07777u};
  ASSIGN_OR_RETURN(const std::optional<uid_t> uid, DiskUid(core, change.uid));
  ASSIGN_OR_RETURN(const std::optional<gid_t> gid, DiskGid(core, change.gid));
  const bool is_directory = S_ISDIR(now->type.value_or(stat.stx_mode & S_IFMT));
  if ((uid || gid || change.kill_suidgid) && !is_directory) now->mode = WithoutSetIds(now->mode);
  if (uid) now->uid = *uid;
  if (gid) now->gid = *gid;
  if (change.mode) now->mode = *change.mode & 07777;
  return WriteOverrideStat(object, upper.override_stat(), *now);
}

// Whether owner and mode of this object in the upper are kept in an attribute.
Result<bool> KeepsOwnerInAttribute(const Core& core, const Node& node, const ObjectRef& object) {
  const OverrideStat kind = core.upper().override_stat();
  if (kind == OverrideStat::kNone || S_ISLNK(node.type)) return false;
  if (kind == OverrideStat::kPrivileged) return true;
  // Only files and directories can hold user. attributes. What we make ourselves is one of these, whatever it stands for; a
  // FIFO, socket or device that was in the upper before keeps its own owner, as a symlink does.
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(object));
  return S_ISREG(stat.stx_mode) || S_ISDIR(stat.stx_mode);
}

Errno ChangeOwnerAndMode(Core& core, const Node& node, const ObjectRef& object, const AttrChange& change) {
  const bool owner = change.uid || change.gid;
  const bool kill = change.kill_suidgid && !node.is_directory();
  if (!owner && !change.mode && !kill) return kOk;
  ASSIGN_OR_RETURN(const bool in_attribute, KeepsOwnerInAttribute(core, node, object));
  if (in_attribute) return ChangeOverride(core, object, change);
  const UpperLayer& upper = core.upper();
  if (owner) {
    ASSIGN_OR_RETURN(const std::optional<uid_t> uid, DiskUid(core, change.uid));
    ASSIGN_OR_RETURN(const std::optional<gid_t> gid, DiskGid(core, change.gid));
    RETURN_IF_ERROR(upper.SetOwner(object, uid, gid));
  }
  if (change.mode) return upper.SetMode(object, *change.mode);
  return kill ? KillSetIds(core, object) : kOk;
}

Errno ChangeTimes(Core& core, const ObjectRef& object, const AttrChange& change) {
  if (!change.atime && !change.mtime) return kOk;
  const timespec omit{.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  return core.upper().SetTimes(object, {change.atime.value_or(omit), change.mtime.value_or(omit)});
}

// fchmod(2) and the like on a directory that is gone: only its descriptors see them.
Errno ChangeRemoved(Core& core, Node& node, const AttrChange& change) {
  ASSIGN_OR_RETURN(const std::optional<uid_t> uid, DiskUid(core, change.uid));
  ASSIGN_OR_RETURN(const std::optional<gid_t> gid, DiskGid(core, change.gid));
  struct statx& stat = *node.dir->removed_stat;
  if (uid) stat.stx_uid = *uid;
  if (gid) stat.stx_gid = *gid;
  if (change.mode) stat.stx_mode = S_IFDIR | (*change.mode & 07777);
  if (change.atime) stat.stx_atime = Remembered(*change.atime);
  if (change.mtime) stat.stx_mtime = Remembered(*change.mtime);
  return kOk;
}

Errno ChangeLocked(Core& core, Node& node, const AttrChange& change) {
  if (node.is_directory() && node.dir->removed) return ChangeRemoved(core, node, change);
  if (node.layer != LayerIndex::kUpper && !node.is_directory()) return EIO;
  if (change.size) {
    ASSIGN_OR_RETURN(const FdRef fd, DataFdLocked(core, node, DataAccess::kWrite));
    // The copy-up may have done it; a failure now must not come after the fact.
    ASSIGN_OR_RETURN(const struct statx now, StatObject({.dir = fd->fd.get()}));
    if (now.stx_size != *change.size) RETURN_IF_ERROR(Errno::Of(::ftruncate(fd->fd.get(), *change.size)));
  }
  ASSIGN_OR_RETURN(const Located located, Locate(core, node));
  RETURN_IF_ERROR(ChangeOwnerAndMode(core, node, located.ref(), change));
  return ChangeTimes(core, located.ref(), change);
}

}  // namespace

mode_t WithoutSetIds(mode_t mode) {
  mode &= ~mode_t{S_ISUID};
  // Without group execution setgid means mandatory locking, not a group.
  if ((mode & S_IXGRP) != 0) mode &= ~mode_t{S_ISGID};
  return mode;
}

Errno KillSetIds(Core& core, const ObjectRef& object) {
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(object));
  const mode_t mode = stat.stx_mode & 07777;
  return WithoutSetIds(mode) == mode ? kOk : core.upper().SetMode(object, WithoutSetIds(mode));
}

Result<ShownStat> ReadShownStat(const Core& core, const Layer& layer, const ObjectRef& object, const struct statx& stat) {
  ShownStat shown{.mode = stat.stx_mode, .rdev = DeviceNumberOf(stat)};
  uid_t uid = stat.stx_uid;
  gid_t gid = stat.stx_gid;
  std::optional<OverriddenStat> overridden;
  if (object.dir >= 0) {
    ASSIGN_OR_RETURN(overridden, ReadOverrideStat(object, layer.override_stat()));
  }
  if (overridden) {
    uid = overridden->uid;
    gid = overridden->gid;
    shown.mode = overridden->type.value_or(stat.stx_mode & S_IFMT) | overridden->mode;
    if (overridden->type) shown.rdev = overridden->rdev;
  }
  shown.uid = core.ids().ShownUid(uid);
  shown.gid = core.ids().ShownGid(gid);
  return shown;
}

Result<Attr> ToAttr(Core& core, const Node& node, const ObjectRef& object, const struct statx& stat) {
  const LayerIndex index = node.is_directory() ? node.dir->parts.front().layer : node.layer;
  ASSIGN_OR_RETURN(const ShownStat shown, ReadShownStat(core, core.layer(index), object, stat));
  return Attr{.ino = node.ino,
              // The type is the node's: a whiteout device of a user's lies there as an empty file.
              .mode = node.type | (shown.mode & 07777),
              .nlink = ShownLinks(core, node, stat),
              .uid = shown.uid,
              .gid = shown.gid,
              .rdev = shown.rdev,
              .size = stat.stx_size,
              .blocks = stat.stx_blocks,
              .blksize = stat.stx_blksize,
              .atime = ToTimespec(stat.stx_atime),
              .mtime = ToTimespec(stat.stx_mtime),
              .ctime = ToTimespec(stat.stx_ctime),
              .btime = (stat.stx_mask & STATX_BTIME) != 0 ? ToTimespec(stat.stx_btime) : timespec{}};
}

Result<Attr> AttrOfLocked(Core& core, const Node& node, const std::optional<struct statx>& stat) {
  if (node.is_directory() && node.dir->removed) return ToAttr(core, node, {}, *node.dir->removed_stat);
  const LayerIndex layer = node.is_directory() ? node.dir->parts.front().layer : node.layer;
  // Attributes kept in xattrs are the only reason to reach the object again.
  if (stat && core.layer(layer).override_stat() == OverrideStat::kNone) return ToAttr(core, node, {}, *stat);
  ASSIGN_OR_RETURN(const Located located, Locate(core, node));
  ASSIGN_OR_RETURN(const struct statx fresh, StatObject(located.ref()));
  return ToAttr(core, node, located.ref(), fresh);
}

Result<Attr> AttrOf(Core& core, Node& node) {
  absl::ReaderMutexLock lock(&node.mutex);
  return AttrOfLocked(core, node);
}

Result<Entry> CountedEntry(Core& core, Node& node, const std::optional<struct statx>& stat) {
  absl::ReaderMutexLock lock(&node.mutex);
  ASSIGN_OR_RETURN(const Attr attr, AttrOfLocked(core, node, stat));
  core.nodes.AddLookup(node);
  return Entry{.id = node.id, .attr = attr};
}

Result<Attr> ChangeAttr(Core& core, const NodeRef& node, const AttrChange& change) {
  if (core.read_only()) return Errno(EROFS);
  if (change.size && !node->is_regular()) return Errno(node->is_directory() ? EISDIR : EINVAL);
  if (!node->is_directory()) {
    RETURN_IF_ERROR(CopyUp(core, node, {.truncate_to = change.size}));
  } else if (const Errno error = CopyUp(core, node); !error.ok() && !(error == ENOENT)) {
    return error;
  }
  const absl::Cleanup again = [&] { RecordChangeAgain(core, node); };
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock lock(&node->mutex);
  RETURN_IF_ERROR(ChangeLocked(core, *node, change));
  return AttrOfLocked(core, *node);
}

}  // namespace plyfs
