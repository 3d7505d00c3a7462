// copy_up.cc: see copy_up.h.
#include "fs/overlay/copy_up.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "fs/layer/file_time.h"
#include "fs/layer/override_stat.h"
#include "fs/overlay/file_io.h"
#include "fs/overlay/going_link.h"
#include "fs/overlay/link_index.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"
#include "fs/overlay/user_device.h"

namespace plyfs {
namespace {

// What is copied: a lower object (or a native metacopy in the upper), which nobody changes meanwhile.
struct Source {
  Located located;
  LayerIndex layer;
  struct statx stat {};
  OverriddenStat attributes;  // as on disk, override_stat applied
  FdRef data;                 // of a regular file
};

bool NeedsNoCopy(const Node& node) { return node.layer == LayerIndex::kUpper && !node.metacopy(); }

// Needs the tree lock and the node's mutex, shared.
Result<Source> OpenSource(Core& core, const Node& node) {
  const LayerIndex layer = node.is_directory() ? node.dir->parts.front().layer : node.layer;
  ASSIGN_OR_RETURN(Located located, Locate(core, node));
  Source source{.located = std::move(located), .layer = layer};
  const ObjectRef object = source.located.ref();
  ASSIGN_OR_RETURN(source.stat, StatObject(object));
  if ((source.stat.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0) return Errno(EPERM);
  ASSIGN_OR_RETURN(const std::optional<OverriddenStat> overridden,
                   ReadOverrideStat(object, core.layer(layer).override_stat()));
  source.attributes = overridden.value_or(OverriddenStat{.uid = source.stat.stx_uid,
                                                         .gid = source.stat.stx_gid,
                                                         .mode = source.stat.stx_mode & 07777u,
                                                         .rdev = DeviceNumberOf(source.stat)});
  source.attributes.type = node.type;
  if (node.is_regular()) {
    ASSIGN_OR_RETURN(source.data, DataFdLocked(core, node, DataAccess::kRead));
  }
  return source;
}

// A refusal that does not lose anything that users could rely on; follows ovl_copy_xattr() of the kernel.
bool MayBeLeftOut(std::string_view name, Errno error) {
  return error == EOPNOTSUPP && !name.starts_with("security.") && !name.starts_with("system.posix_acl_");
}

Errno CopyXattrs(const ObjectRef& from, const ObjectRef& to) {
  ASSIGN_OR_RETURN(const std::string names, ListXattr(from));
  return ForEachXattrName(names, [&](const char* name) -> Errno {
    // SELinux labels a new object by policy; the old label may not even be allowed there.
    if (IsPrivateXattr(name) || std::string_view(name) == "security.selinux") return kOk;
    ASSIGN_OR_RETURN(const std::string value, GetXattr(from, name));
    const Errno error = SetXattr(to, name, value, 0);
    return MayBeLeftOut(name, error) ? kOk : error;
  });
}

Errno MakeObject(Core& core, const Node& node, const Source& source, const CopyUpOptions& options, const ObjectRef& to,
                 UniqueFd* fd) {
  const UpperLayer& upper = core.upper();
  if (node.is_directory()) return upper.MakeDirectory(to, 0700);
  if (S_ISLNK(node.type)) {
    ASSIGN_OR_RETURN(const std::string target, ReadLinkObject(source.located.ref()));
    return upper.MakeSymlink(to, target);
  }
  if (!node.is_regular() && upper.override_stat() == OverrideStat::kNone) {
    if (IsUserDevice(node.type, source.attributes.rdev)) return MakeUserDevice(core, to);
    return upper.MakeNode(to, node.type | 0600, source.attributes.rdev);
  }
  ASSIGN_OR_RETURN(*fd, upper.MakeFile(to, 0600));
  if (!node.is_regular()) return kOk;
  const uint64_t size = std::min<uint64_t>(source.stat.stx_size, options.truncate_to.value_or(source.stat.stx_size));
  ASSIGN_OR_RETURN(const struct statx data, StatObject({.dir = source.data->fd.get()}));
  RETURN_IF_ERROR(core.copier.Copy(source.data->fd.get(), fd->get(), size, data.stx_blocks * 512));
  // Its old size for now; the truncation comes after the times, and changes them as it should.
  if (size < source.stat.stx_size) RETURN_IF_ERROR(Errno::Of(::ftruncate(fd->get(), source.stat.stx_size)));
  core.copied_up_bytes.fetch_add(size, std::memory_order_relaxed);
  return kOk;
}

Errno CopyAttributes(const Core& core, const Node& node, const Source& source, const ObjectRef& to) {
  const UpperLayer& upper = core.upper();
  const OverriddenStat& attributes = source.attributes;
  const bool is_symlink = S_ISLNK(node.type);
  if (upper.override_stat() != OverrideStat::kNone && !is_symlink) {
    RETURN_IF_ERROR(upper.SetMode(to, attributes.mode | (node.is_directory() ? 0700 : 0600)));
    RETURN_IF_ERROR(WriteOverrideStat(to, upper.override_stat(), attributes));
  } else {
    // Owner, then mode, then xattrs: chown(2) clears setuid bits and file capabilities, even for root.
    RETURN_IF_ERROR(upper.SetOwner(to, attributes.uid, attributes.gid));
    if (!is_symlink) RETURN_IF_ERROR(upper.SetMode(to, attributes.mode));
  }
  RETURN_IF_ERROR(CopyXattrs(source.located.ref(), to));
  return upper.SetTimes(to, {ToTimespec(source.stat.stx_atime), ToTimespec(source.stat.stx_mtime)});
}

// Everything but the name; no lock is held.
Errno Build(Core& core, const Node& node, const Source& source, const CopyUpOptions& options, const ObjectRef& to,
            UniqueFd* fd) {
  RETURN_IF_ERROR(MakeObject(core, node, source, options, to, fd));
  RETURN_IF_ERROR(CopyAttributes(core, node, source, to));
  if (options.truncate_to && node.is_regular()) RETURN_IF_ERROR(Errno::Of(::ftruncate(fd->get(), *options.truncate_to)));
  // Or a power failure after the rename leaves an empty file under the old name.
  if (core.syncs() && node.is_regular()) return Errno::Of(::fsync(fd->get()));
  return kOk;
}

// The rename must not show in the parent: its content has not changed. Needs the parent's mutex exclusively, so that no
// change of somebody else is set back with it.
Errno RenameKeepingTimes(Core& core, const ObjectRef& from, int parent, const std::string& name) {
  const UpperLayer& upper = core.upper();
  ASSIGN_OR_RETURN(const struct statx stat, StatObject({.dir = parent}));
  RETURN_IF_ERROR(upper.Rename(from, {.dir = parent, .name = name.c_str()}, 0));  // COMMIT
  upper.SetTimes({.dir = parent}, {ToTimespec(stat.stx_atime), ToTimespec(stat.stx_mtime)})
      .Ignore("the copy is complete; a time is no reason to fail it");
  return kOk;
}

// A second name in the index for the copy of a file with several names, so that all of them lead to it.
// `remaining`: how many names stay in the lowers.
Errno PutIntoIndex(Core& core, const Source& source, uint32_t remaining, const ObjectRef& temp, RareState* rare) {
  const IndexMark mark{.name = WorkDir::IndexName(DiskInodeOf(source.stat)), .remaining = remaining};
  RETURN_IF_ERROR(WriteIndexMark(core, temp, mark));
  const ObjectRef entry{.dir = core.work().index(), .name = mark.name.c_str()};
  // One that is there already is left from an upper that has been thrown away: no name led to it.
  core.upper().Unlink(entry).Ignore("usually there is none");
  RETURN_IF_ERROR(core.upper().Link(temp, entry));
  rare->index_name = mark.name;
  rare->index_remaining = mark.remaining;
  return kOk;
}

// How many names of a lower file with several of them the union shows still.
uint32_t ShownNames(const Core& core, const Source& source) {
  const uint32_t links = source.stat.stx_nlink;
  return links - std::min(links, core.link_counts.Removed(DiskInodeOf(source.stat)));
}

// The node is the copy from now on. Needs its mutex exclusively.
void SwitchToCopy(Core& core, Node& node, const struct statx& copy, UniqueFd fd) {
  node.layer = LayerIndex::kUpper;
  if (node.rare) node.rare->data_path.clear();
  core.numbers.SetOrigin(copy, node.ino);
  if (node.indexed()) core.nodes.RegisterInode(node, DiskInodeOf(copy));
  if (fd.valid()) {
    ReplaceDataFd(core, node, std::make_shared<const CachedFd>(CachedFd{.fd = std::move(fd), .writable = true}));
  }
  core.copied_up_files.fetch_add(1, std::memory_order_relaxed);
}

// `name`'s parent is the name's, or null for an object that has no name left. EAGAIN if the name has gone meanwhile.
Errno CommitFile(Core& core, const NodeRef& node, const NodeTable::NamePlace& place, const Source& source,
                 const ObjectRef& temp, UniqueFd fd) {
  const bool several_names = source.stat.stx_nlink > 1 && source.layer != LayerIndex::kUpper;
  absl::ReaderMutexLock tree(&core.tree_mutex);
  if (!place.parent) {
    absl::MutexLock lock(&node->mutex);
    if (core.nodes.PlaceOf(*node).parent) return EAGAIN;
    ASSIGN_OR_RETURN(const struct statx copy, StatObject(temp));
    RecordOrigin(core, copy, node->ino);
    if (const uint32_t hidden = several_names ? ShownNames(core, source) : 0; hidden > 0) {
      // No name of it is known, yet there are some: they must find the copy.
      RETURN_IF_ERROR(PutIntoIndex(core, source, hidden, temp, &node->MutableRare()));  // COMMIT
      core.upper().Unlink(temp).Ignore("tmp/ is swept at the next mount");
      SwitchToCopy(core, *node, copy, std::move(fd));
      return kOk;
    }
    const std::string orphan = WorkDir::OrphanName(node->id);
    RETURN_IF_ERROR(core.upper().Rename(temp, {.dir = core.work().orphans(), .name = orphan.c_str()}, 0));  // COMMIT
    node->MutableRare().in_orphans = true;
    SwitchToCopy(core, *node, copy, std::move(fd));
    return kOk;
  }

  absl::MutexLock parent_lock(&place.parent->mutex);
  absl::MutexLock lock(&node->mutex);
  if (!(core.nodes.FindChild(*place.parent, place.text) == node) || !place.parent->dir->has_upper()) return EAGAIN;
  ASSIGN_OR_RETURN(const FdRef parent, DirFd(core, *place.parent, LayerIndex::kUpper));
  ASSIGN_OR_RETURN(const struct statx copy, StatObject(temp));
  RecordOrigin(core, copy, node->ino);
  RETURN_IF_ERROR(LetHoldIfDevice(core, *node, temp, *place.parent));
  GoingLink going(core, *place.parent, Name::Trusted(place.text));
  if (several_names) {
    const uint32_t shown = std::max(ShownNames(core, source), 1u);
    going.AnnounceCopy(DiskInodeOf(source.stat), shown);
    RETURN_IF_ERROR(PutIntoIndex(core, source, shown - 1, temp, &node->MutableRare()));
  }
  const Errno error = RenameKeepingTimes(core, temp, parent->fd.get(), place.text);
  if (!error.ok()) {
    if (several_names) {
      core.upper().Unlink({.dir = core.work().index(), .name = node->rare->index_name.c_str()}).Ignore("replaced next time");
      node->rare->index_name.clear();
    }
    return error;
  }
  SwitchToCopy(core, *node, copy, std::move(fd));
  ++place.parent->dir->version;
  return kOk;
}

Errno CommitDirectory(Core& core, const NodeRef& dir, const ObjectRef& temp) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  const NodeRef parent = dir->name.parent;
  absl::MutexLock parent_lock(&parent->mutex);
  absl::MutexLock lock(&dir->mutex);
  if (dir->dir->removed || !parent->dir->has_upper()) return ENOENT;
  ASSIGN_OR_RETURN(const FdRef parent_fd, DirFd(core, *parent, LayerIndex::kUpper));
  ASSIGN_OR_RETURN(const struct statx copy, StatObject(temp));
  RETURN_IF_ERROR(RenameKeepingTimes(core, temp, parent_fd->fd.get(), dir->name.text));
  dir->dir->upper_inode = copy.stx_ino;
  dir->dir->upper_birth_ns = BirthNsOf(copy);
  dir->dir->parts.insert(dir->dir->parts.begin(), DirPart{.layer = LayerIndex::kUpper});
  dir->layer = LayerIndex::kUpper;
  ++parent->dir->version;
  return kOk;
}

Errno CopyUpDirectory(Core& core, const NodeRef& dir) {
  const CopyUpGate::Pass pass(core.copy_up_gate, dir->id);
  std::optional<Source> source;
  {
    absl::ReaderMutexLock tree(&core.tree_mutex);
    absl::ReaderMutexLock lock(&dir->mutex);
    if (dir->dir->removed) return ENOENT;
    if (dir->dir->has_upper()) return kOk;
    ASSIGN_OR_RETURN(source, OpenSource(core, *dir));
  }
  TempEntry temp(core.work());
  UniqueFd fd;
  RETURN_IF_ERROR(Build(core, *dir, *source, {}, temp.ref(), &fd));
  RETURN_IF_ERROR(CommitDirectory(core, dir, temp.ref()));
  temp.Committed();
  return kOk;
}

ChangeEvents EventsOf(const CopyUpOptions& options) {
  return options.is_change ? ChangeEvents::kModify : ChangeEvents::kNone;
}

// One attempt; EAGAIN if the object's name has changed under it.
Errno TryCopyUp(Core& core, const NodeRef& node, const CopyUpOptions& options) {
  const NodeTable::NamePlace place = core.nodes.PlaceOf(*node);
  if (place.parent) {
    // The parent can have been removed only together with this name: then look again.
    const Errno error = EnsureUpperDirectory(core, place.parent);
    if (!error.ok()) return error == ENOENT ? Errno(EAGAIN) : error;
  }
  RecordChange(core, node, EventsOf(options));
  std::optional<Source> source;
  {
    absl::ReaderMutexLock tree(&core.tree_mutex);
    absl::ReaderMutexLock lock(&node->mutex);
    if (NeedsNoCopy(*node)) return kOk;
    ASSIGN_OR_RETURN(source, OpenSource(core, *node));
  }
  TempEntry temp(core.work());
  UniqueFd fd;
  RETURN_IF_ERROR(Build(core, *node, *source, options, temp.ref(), &fd));
  RETURN_IF_ERROR(CommitFile(core, node, place, *source, temp.ref(), std::move(fd)));
  temp.Committed();
  return kOk;
}

bool IsInUpper(const NodeRef& node) {
  absl::ReaderMutexLock lock(&node->mutex);
  return NeedsNoCopy(*node);
}

}  // namespace

Errno CopyUp(Core& core, const NodeRef& node, const CopyUpOptions& options) {
  if (core.read_only()) return EROFS;
  if (node->is_directory()) {
    RETURN_IF_ERROR(EnsureUpperDirectory(core, node));
    RecordChange(core, node, EventsOf(options));
    return kOk;
  }
  if (IsInUpper(node)) {
    RecordChange(core, node, EventsOf(options));
    return kOk;
  }
  const CopyUpGate::Pass pass(core.copy_up_gate, node->id);
  for (;;) {
    if (IsInUpper(node)) return kOk;
    const Errno error = TryCopyUp(core, node, options);
    if (!(error == EAGAIN)) return error;
  }
}

Errno EnsureUpperDirectory(Core& core, const NodeRef& dir) {
  if (core.read_only()) return EROFS;
  std::vector<NodeRef> missing;  // the deepest first
  {
    absl::ReaderMutexLock tree(&core.tree_mutex);
    for (NodeRef at = dir; at; at = NodeRef(at->name.parent)) {
      absl::ReaderMutexLock lock(&at->mutex);
      if (at->dir->removed) return ENOENT;
      if (at->dir->has_upper()) break;
      missing.push_back(at);
    }
  }
  // A server that dies before the first record must not leave an upper that is not empty and has no journal.
  if (!missing.empty() && core.journal) core.journal->Begin();
  for (size_t i = missing.size(); i-- > 0;) RETURN_IF_ERROR(CopyUpDirectory(core, missing[i]));
  return kOk;
}

Errno EnsureUpperName(Core& core, Node& node, const Node& parent, Name name) {
  ASSIGN_OR_RETURN(const FdRef fd, DirFd(core, parent, LayerIndex::kUpper));
  const ObjectRef entry{.dir = fd->fd.get(), .name = name.c_str()};
  const Result<struct statx> stat = StatObject(entry);
  if (stat.ok() || !MeansAbsent(stat.error())) return stat.error();
  ASSIGN_OR_RETURN(const Located located, Locate(core, node));
  GoingLink going(core, parent, name);
  if (node.indexed()) RETURN_IF_ERROR(going.Announce(node, nullptr));
  RETURN_IF_ERROR(core.upper().Link(located.ref(), entry));
  if (!node.indexed() || node.rare->index_remaining == 0) return kOk;
  --node.rare->index_remaining;
  const Errno error = WriteIndexMark(core, entry, {.name = node.rare->index_name, .remaining = node.rare->index_remaining});
  if (!error.ok()) going.StaysInDoubt();
  return error;
}

}  // namespace plyfs
