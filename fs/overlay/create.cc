// create.cc: see create.h.
//
// An object is made directly under its final name where one system call gives it its final owner, mode and ACL (the thread
// takes on the caller's ids). Otherwise - a whiteout is in the way, the owner is kept in an attribute, a mark is needed - it is
// completed in the work directory and renamed into place.
#include "fs/overlay/create.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fs/layer/acl.h"
#include "fs/layer/file_time.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/whiteout.h"
#include "fs/overlay/attr.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/file_io.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"
#include "fs/overlay/user_device.h"

namespace plyfs {
namespace {

// A caller outside of the mapping owns what it makes as the overflow id, as with fuse-overlayfs: podman, as the host's root,
// prepares the root of a container with other ids.
CreateAs CreatorOnDisk(const Core& core, const Caller& caller) {
  return {.uid = core.ids().DiskUid(caller.uid).value_or(kOverflowId),
          .gid = core.ids().DiskGid(caller.gid).value_or(kOverflowId),
          .umask = caller.umask};
}

// The bare system call. A regular file's descriptor stays open: a write nearly always follows.
Errno MakeBare(const UpperLayer& upper, const ObjectRef& at, const NewObject& object, UniqueFd* fd) {
  switch (object.mode & S_IFMT) {
    case S_IFDIR: return upper.MakeDirectory(at, object.mode);
    case S_IFLNK: return upper.MakeSymlink(at, object.target);
    case S_IFREG: {
      ASSIGN_OR_RETURN(*fd, upper.MakeFile(at, object.mode));
      return kOk;
    }
    default: return upper.MakeNode(at, object.mode, object.rdev);
  }
}

// Completes new objects in the work directory.
class Staging {
 public:
  Staging(Core& core, int parent, const CreateAs& creator) : core_(core), parent_(parent), as_(creator) {}

  // `hides_lower`: a directory must not merge with what is below its name.
  Errno Make(const NewObject& object, std::string_view final_name, bool hides_lower, const ObjectRef& at, UniqueFd* fd) {
    RETURN_IF_ERROR(Inherit(object.mode));
    NewObject bare = object;
    bare.mode = (object.mode & S_IFMT) | (S_ISDIR(object.mode) ? 0700 : 0600);
    const bool overrides = core_.upper().override_stat() != OverrideStat::kNone && !S_ISLNK(object.mode);
    const bool user_device = IsUserDevice(object.mode, object.rdev);
    if (user_device || (overrides && !S_ISDIR(object.mode))) bare.mode = S_IFREG | 0600;
    RETURN_IF_ERROR(MakeBare(core_.upper(), at, bare, fd));
    if (user_device && !overrides) RETURN_IF_ERROR(core_.upper().SetMark(at, kDeviceMark, "0:0"));
    RETURN_IF_ERROR(overrides ? SetOverride(object, at) : SetAttributes(object, at));
    if (access_acl_) RETURN_IF_ERROR(SetXattr(at, kAclAccess, *access_acl_, 0));
    if (S_ISDIR(object.mode) && default_acl_) RETURN_IF_ERROR(SetXattr(at, kAclDefault, *default_acl_, 0));
    if (S_ISREG(object.mode) && HasWhPrefix(final_name)) RETURN_IF_ERROR(core_.upper().SetMark(at, kLiteralMark, "y"));
    if (S_ISDIR(object.mode) && hides_lower) {
      ASSIGN_OR_RETURN(const UniqueFd dir, OpenDirectory(at));
      return core_.upper().SetOpaque(dir.get());
    }
    return kOk;
  }

 private:
  // What the parent passes on: its group if it is setgid, its default ACL, else the caller's umask.
  Errno Inherit(mode_t wanted) {
    mode_ = wanted & 07777;
    const ObjectRef parent{.dir = parent_};
    ASSIGN_OR_RETURN(const struct statx stat, StatObject(parent));
    ASSIGN_OR_RETURN(const std::optional<OverriddenStat> overridden,
                     ReadOverrideStat(parent, core_.upper().override_stat()));
    const mode_t parent_mode = overridden ? overridden->mode : stat.stx_mode & 07777;
    if ((parent_mode & S_ISGID) != 0) {
      as_.gid = overridden ? overridden->gid : stat.stx_gid;
      if (S_ISDIR(wanted)) mode_ |= S_ISGID;
    }
    if (S_ISLNK(wanted)) return kOk;
    const Result<std::string> acl = core_.config.acl ? GetXattr(parent, kAclDefault) : Errno(ENODATA);
    if (!acl.ok()) {
      mode_ &= ~as_.umask;
      return kOk;
    }
    default_acl_ = *acl;
    ASSIGN_OR_RETURN(InheritedAcl inherited, InheritAcl(*acl, mode_));
    mode_ = inherited.mode;
    access_acl_ = std::move(inherited.access);
    return kOk;
  }

  Errno SetAttributes(const NewObject& object, const ObjectRef& at) const {
    const Errno error = core_.upper().SetOwner(at, as_.uid, as_.gid);
    const bool owner_is_elsewhere = core_.upper().override_stat() != OverrideStat::kNone;
    if (!error.ok() && !owner_is_elsewhere) return error;
    return S_ISLNK(object.mode) ? kOk : core_.upper().SetMode(at, mode_);
  }

  Errno SetOverride(const NewObject& object, const ObjectRef& at) const {
    RETURN_IF_ERROR(core_.upper().SetMode(at, mode_ | (S_ISDIR(object.mode) ? 0700 : 0600)));
    return WriteOverrideStat(at, core_.upper().override_stat(),
                             {.uid = as_.uid, .gid = as_.gid, .mode = mode_, .type = object.mode & S_IFMT, .rdev = object.rdev});
  }

  Core& core_;
  const int parent_;
  CreateAs as_;
  mode_t mode_ = 0;
  std::optional<std::string> access_acl_;
  std::optional<std::string> default_acl_;
};

// Under the final name at once. EEXIST if anything is there, a whiteout too; ENOTSUP if this cannot be done in one step.
Errno MakeDirectly(Core& core, const ObjectRef& at, const NewObject& object, const CreateAs& creator, UniqueFd* fd) {
  const bool needs_mark = S_ISREG(object.mode) && HasWhPrefix(at.name);
  if (needs_mark || IsUserDevice(object.mode, object.rdev) || core.upper().override_stat() != OverrideStat::kNone || !core.config.acl) return ENOTSUP;
  const CallerScope scope(creator);
  if (!scope.owner_taken()) return ENOTSUP;
  return MakeBare(core.upper(), at, object, fd);
}

// A completed object takes the place of a whiteout, or of nothing.
Errno PutInPlace(const UpperLayer& upper, TempEntry& temp, const ObjectRef& at, const NewObject& object, bool over_whiteout) {
  if (over_whiteout && S_ISDIR(object.mode)) {
    // rename(2) does not put a directory over a device.
    if (upper.capabilities().rename_exchange) return upper.Rename(temp.ref(), at, RENAME_EXCHANGE);  // COMMIT
    RETURN_IF_ERROR(upper.Unlink(at));
  }
  RETURN_IF_ERROR(upper.Rename(temp.ref(), at, over_whiteout ? 0 : RENAME_NOREPLACE));  // COMMIT
  temp.Committed();
  return kOk;
}

Errno MakeStaged(Core& core, Node& parent, int parent_fd, Name name, const NewObject& object, const CreateAs& creator,
                 UniqueFd* fd) {
  ASSIGN_OR_RETURN(const LayerEntry there, LookupUpper(core, parent, name));
  if (there.kind == LayerEntry::kPresent) return EEXIST;
  const bool over_whiteout = there.kind == LayerEntry::kWhiteout;
  TempEntry temp(core.work());
  Staging staging(core, parent_fd, creator);
  RETURN_IF_ERROR(staging.Make(object, name.view(), over_whiteout, temp.ref(), fd));
  const bool overrides = core.upper().override_stat() != OverrideStat::kNone;
  if (IsUserDevice(object.mode, object.rdev) && !overrides) RETURN_IF_ERROR(LetHoldDevices(core, parent));
  return PutInPlace(core.upper(), temp, {.dir = parent_fd, .name = name.c_str()}, object, over_whiteout);
}

std::unique_ptr<DirState> UpperOnly(const struct statx& stat) {
  auto dir = std::make_unique<DirState>();
  dir->upper_inode = stat.stx_ino;
  dir->upper_birth_ns = BirthNsOf(stat);
  dir->parts.push_back({.layer = LayerIndex::kUpper});
  return dir;
}

// The node of an object that has just been made, counted for the kernel. `at` is where it is.
Result<Entry> EntryOfNew(Core& core, const NodeRef& parent, std::string_view name, const ObjectRef& at, const NewObject& object,
                         UniqueFd fd) {
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(at));
  const NodeRef node = core.nodes.Insert(parent, name,
                                         {.type = object.mode & S_IFMT,
                                          .layer = LayerIndex::kUpper,
                                          .ino = core.numbers.FromUpper(stat),
                                          .dir = S_ISDIR(object.mode) ? UpperOnly(stat) : nullptr});
  absl::MutexLock lock(&node->mutex);
  if (fd.valid() && node->is_regular()) {
    ReplaceDataFd(core, *node, std::make_shared<const CachedFd>(CachedFd{.fd = std::move(fd), .writable = true}));
  }
  ASSIGN_OR_RETURN(const Attr attr, ToAttr(core, *node, at, stat));
  core.nodes.AddLookup(*node);
  return Entry{.id = node->id, .attr = attr};
}

bool MayHaveName(const Core& core, Name name) {
  return core.upper().capabilities().whiteouts == WhiteoutFormat::kDevice || !HasWhPrefix(name.view());
}

}  // namespace

Result<Entry> CreateObject(Core& core, const NodeRef& parent, Name name, const NewObject& object, const Caller& caller) {
  if (core.read_only()) return Errno(EROFS);
  // As the kernel's overlayfs refuses it; but one that is stacked on us, as root, needs it for its whiteouts.
  if (IsUserDevice(object.mode, object.rdev) && caller.uid != 0) return Errno(EPERM);
  if (!MayHaveName(core, name)) return Errno(EPERM);
  const CreateAs creator = CreatorOnDisk(core, caller);
  RETURN_IF_ERROR(EnsureUpperDirectory(core, parent));

  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock lock(&parent->mutex);
  if (parent->dir->removed) return Errno(ENOENT);
  ASSIGN_OR_RETURN(const FdRef parent_fd, DirFd(core, *parent, LayerIndex::kUpper));
  const ObjectRef at{.dir = parent_fd->fd.get(), .name = name.c_str()};
  RecordTouch(core, *parent, name.view(), {});
  UniqueFd fd;
  Errno error = MakeDirectly(core, at, object, creator, &fd);
  if (error == ENOTSUP || error == EEXIST) {
    error = MakeStaged(core, *parent, parent_fd->fd.get(), name, object, creator, &fd);
  }
  RETURN_IF_ERROR(error);
  ++parent->dir->version;
  ASSIGN_OR_RETURN(const Entry entry, EntryOfNew(core, parent, name.view(), at, object, std::move(fd)));
  if (const NodeRef node = core.nodes.Find(entry.id)) RecordCreated(core, *parent, name, *node);
  return entry;
}

Result<Entry> CreateUnnamed(Core& core, const NodeRef& parent, mode_t mode, const Caller& caller) {
  if (core.read_only()) return Errno(EROFS);
  const CreateAs creator = CreatorOnDisk(core, caller);
  RETURN_IF_ERROR(EnsureUpperDirectory(core, parent));

  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&parent->mutex);
  if (parent->dir->removed) return Errno(ENOENT);
  ASSIGN_OR_RETURN(const FdRef parent_fd, DirFd(core, *parent, LayerIndex::kUpper));
  const NewObject object{.mode = S_IFREG | (mode & 07777)};
  TempEntry temp(core.work());
  UniqueFd fd;
  Staging staging(core, parent_fd->fd.get(), creator);
  RETURN_IF_ERROR(staging.Make(object, "", false, temp.ref(), &fd));
  ASSIGN_OR_RETURN(Entry entry, EntryOfNew(core, parent, "", temp.ref(), object, std::move(fd)));
  const NodeRef node = core.nodes.Find(entry.id);
  const std::string orphan = WorkDir::OrphanName(entry.id);
  const Errno error = core.upper().Rename(temp.ref(), {.dir = core.work().orphans(), .name = orphan.c_str()}, 0);
  if (!error.ok()) {
    core.nodes.Forget(entry.id, 1);
    return error;
  }
  temp.Committed();
  absl::MutexLock node_lock(&node->mutex);
  node->MutableRare().in_orphans = true;
  entry.attr.nlink = 0;
  return entry;
}

Result<Entry> CreateLink(Core& core, const NodeRef& node, const NodeRef& parent, Name name) {
  if (core.read_only()) return Errno(EROFS);
  if (node->is_directory() || !MayHaveName(core, name)) return Errno(EPERM);
  RETURN_IF_ERROR(CopyUp(core, node, {.is_change = false}));
  RETURN_IF_ERROR(EnsureUpperDirectory(core, parent));

  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock parent_lock(&parent->mutex);
  absl::MutexLock lock(&node->mutex);
  if (parent->dir->removed) return Errno(ENOENT);
  ASSIGN_OR_RETURN(const LayerEntry there, LookupUpper(core, *parent, name));
  if (there.kind == LayerEntry::kPresent) return Errno(EEXIST);
  ASSIGN_OR_RETURN(const FdRef parent_fd, DirFd(core, *parent, LayerIndex::kUpper));
  ASSIGN_OR_RETURN(const Located located, Locate(core, *node));
  if (node->is_regular() && HasWhPrefix(name.view())) {
    RETURN_IF_ERROR(core.upper().SetMark(located.ref(), kLiteralMark, "y"));
  }
  RETURN_IF_ERROR(LetHoldIfDevice(core, *node, located.ref(), *parent));
  const ObjectRef at{.dir = parent_fd->fd.get(), .name = name.c_str()};
  RecordTouch(core, *parent, name.view(), {});
  if (there.kind == LayerEntry::kWhiteout) {
    TempEntry temp(core.work());
    RETURN_IF_ERROR(core.upper().Link(located.ref(), temp.ref()));
    RETURN_IF_ERROR(core.upper().Rename(temp.ref(), at, 0));  // COMMIT
    temp.Committed();
  } else {
    RETURN_IF_ERROR(core.upper().Link(located.ref(), at));  // COMMIT
  }
  ++parent->dir->version;

  core.nodes.AddName(*node, parent, name.view(), NodeTable::FirstName::kReplace);
  if (node->rare && node->rare->in_orphans) {
    // It was an O_TMPFILE; now it has a name of its own.
    const std::string orphan = WorkDir::OrphanName(node->id);
    core.upper().Unlink({.dir = core.work().orphans(), .name = orphan.c_str()}).Ignore("orphans/ is swept at the next mount");
    node->rare->in_orphans = false;
  }
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(at));
  if (stat.stx_nlink > 1) core.nodes.RegisterInode(*node, DiskInodeOf(stat));
  RecordLinked(core, *parent, name, *node, stat.stx_ino);
  ASSIGN_OR_RETURN(const Attr attr, ToAttr(core, *node, at, stat));
  core.nodes.AddLookup(*node);
  return Entry{.id = node->id, .attr = attr};
}

}  // namespace plyfs
