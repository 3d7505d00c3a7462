// overlay.cc: a table of contents: find the node, call the file of the concern.
#include "fs/overlay/overlay.h"

#include <linux/magic.h>
#include <malloc.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs/overlay/attr.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/core.h"
#include "fs/overlay/create.h"
#include "fs/overlay/data_path.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/readdir.h"
#include "fs/overlay/remove.h"
#include "fs/overlay/rename.h"
#include "fs/overlay/xattr_ops.h"

namespace plyfs {

Overlay::Overlay(OverlayConfig config) : state_(std::make_unique<Core>(std::move(config))) {}
Overlay::~Overlay() = default;

Core& Overlay::core() { return *state_; }

Result<Entry> Overlay::Lookup(NodeId parent, Name name) {
  Core& core = *state_;
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(core, parent));
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&dir->mutex);
  ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core, dir, name));
  if (!found.node) return Entry();
  return CountedEntry(core, *found.node, found.stat);
}

void Overlay::Forget(NodeId id, uint64_t count) { state_->nodes.Forget(id, count); }

Result<Entry> Overlay::Mknod(NodeId parent, Name name, const CreateOptions& options, const Caller& caller) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, parent));
  const mode_t type = (options.mode & S_IFMT) != 0 ? 0 : S_IFREG;
  return CreateObject(*state_, dir, name, {.mode = options.mode | type, .rdev = options.rdev}, caller);
}

Result<Entry> Overlay::Mkdir(NodeId parent, Name name, const CreateOptions& options, const Caller& caller) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, parent));
  return CreateObject(*state_, dir, name, {.mode = S_IFDIR | (options.mode & 07777)}, caller);
}

Result<Entry> Overlay::Symlink(NodeId parent, Name name, const std::string& target, const Caller& caller) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, parent));
  return CreateObject(*state_, dir, name, {.mode = S_IFLNK | 0777, .target = target}, caller);
}

Result<Entry> Overlay::Link(NodeId id, NodeId new_parent, Name new_name) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, new_parent));
  return CreateLink(*state_, node, dir, new_name);
}

Result<Entry> Overlay::Tmpfile(NodeId parent, const CreateOptions& options, const Caller& caller) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, parent));
  return CreateUnnamed(*state_, dir, options.mode, caller);
}

Errno Overlay::Unlink(NodeId parent, Name name) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, parent));
  return UnlinkName(*state_, dir, name);
}

Errno Overlay::Rmdir(NodeId parent, Name name) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, parent));
  return RemoveDirectoryName(*state_, dir, name);
}

Errno Overlay::Rename(NodeId parent, Name name, NodeId new_parent, Name new_name, unsigned flags) {
  ASSIGN_OR_RETURN(NodeRef from, FindDirectory(*state_, parent));
  ASSIGN_OR_RETURN(NodeRef to, FindDirectory(*state_, new_parent));
  return RenameEntry(*state_, {std::move(from), name}, {std::move(to), new_name}, flags);
}

Errno Overlay::Readdir(NodeId id, uint64_t cookie, ReaddirMode mode, DirSink& sink) {
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectory(*state_, id));
  return ReadDirectory(*state_, dir, cookie, mode, sink);
}

Result<Attr> Overlay::GetAttr(NodeId id) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  absl::ReaderMutexLock tree(&state_->tree_mutex);
  return AttrOf(*state_, *node);
}

Result<Attr> Overlay::SetAttr(NodeId id, const AttrChange& change, const Caller& /*caller*/) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return ChangeAttr(*state_, node, change);
}

Result<std::string> Overlay::ReadLink(NodeId id) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  if (!S_ISLNK(node->type)) return Errno(EINVAL);
  absl::ReaderMutexLock tree(&state_->tree_mutex);
  absl::ReaderMutexLock lock(&node->mutex);
  ASSIGN_OR_RETURN(const Located located, Locate(*state_, *node));
  return ReadLinkObject(located.ref());
}

Result<struct statvfs> Overlay::StatFs() {
  const Core& core = *state_;
  struct statvfs stat;
  // Free space is the upper's; without one, what the topmost layer says.
  const Layer& layer = core.read_only() ? core.layer(LayerIndex{1}) : core.upper();
  if (::fstatvfs(layer.root(), &stat) != 0) return Errno::Last();
  if (!core.read_only() && core.upper().capabilities().whiteouts == WhiteoutFormat::kWhFile) {
    stat.f_namemax -= 4;  // a longer name could not be hidden by ".wh.NAME"
  }
  if (core.read_only()) stat.f_flag |= ST_RDONLY;
  return stat;
}

Result<std::string> Overlay::GetXattr(NodeId id, const std::string& name) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return ReadXattr(*state_, node, name);
}

Result<std::string> Overlay::ListXattr(NodeId id, const Caller& caller) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return ReadXattrNames(*state_, node, caller);
}

Errno Overlay::SetXattr(NodeId id, const std::string& name, std::span<const char> value, int flags, bool kill_sgid) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return ChangeXattr(*state_, node, {.name = name, .value = value, .flags = flags, .kill_sgid = kill_sgid});
}

Errno Overlay::RemoveXattr(NodeId id, const std::string& name) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return DropXattr(*state_, node, name);
}

Errno Overlay::FileFlags(NodeId id, unsigned long command, std::span<char> data) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return FileFlagsIoctl(*state_, node, command, data);
}

Result<size_t> Overlay::Read(NodeId id, std::span<char> buffer, uint64_t offset) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return ReadData(*state_, node, buffer, offset);
}

Result<size_t> Overlay::Write(NodeId id, std::span<const char> data, uint64_t offset, const WriteOptions& options) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return WriteData(*state_, node, data, offset, options);
}

Errno Overlay::Fallocate(NodeId id, int mode, uint64_t offset, uint64_t length, bool kill_suidgid) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return AllocateData(*state_, node, mode, {.offset = offset, .length = length}, {.kill_suidgid = kill_suidgid});
}

Result<uint64_t> Overlay::Seek(NodeId id, uint64_t offset, int whence) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return SeekData(*state_, node, offset, whence);
}

Result<size_t> Overlay::CopyFileRange(NodeId in, uint64_t in_offset, NodeId out, uint64_t out_offset, size_t length,
                                      const WriteOptions& options) {
  ASSIGN_OR_RETURN(NodeRef from, FindNode(*state_, in));
  ASSIGN_OR_RETURN(NodeRef to, FindNode(*state_, out));
  return CopyData(*state_, {std::move(from), in_offset}, {std::move(to), out_offset}, length, options);
}

Errno Overlay::Fsync(NodeId id, bool data_only) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return SyncNode(*state_, node, data_only);
}

Errno Overlay::PrepareWriting(NodeId id) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return PrepareToWrite(*state_, node);
}

Result<UpperFile> Overlay::FindUpperFile(NodeId id, bool writes) {
  ASSIGN_OR_RETURN(const NodeRef node, FindNode(*state_, id));
  return plyfs::FindUpperFile(*state_, *node, writes);
}

void Overlay::WatchWriters(std::function<std::vector<NodeId>()> writers) { state_->writers = std::move(writers); }

bool Overlay::UpperIsStacked() const {
  struct statfs stat;
  return state_->has_upper() && ::fstatfs(state_->upper().root(), &stat) == 0 && stat.f_type == OVERLAYFS_SUPER_MAGIC;
}

Errno Overlay::SyncFs() {
  if (state_->read_only() || !state_->syncs()) return kOk;
  return Errno::Of(::syncfs(state_->upper().root()));
}

OverlayCounters Overlay::Counters() const {
  return {.nodes = state_->nodes.size(),
          .copied_up_files = state_->copied_up_files.load(std::memory_order_relaxed),
          .copied_up_bytes = state_->copied_up_bytes.load(std::memory_order_relaxed),
          .open_descriptors = state_->directories.size() + state_->files.size() + state_->held_orphans.load(),
          .examined_names = state_->examined_names.load(std::memory_order_relaxed)};
}

void Overlay::TrimCaches() {
  state_->listings.Clear();
  state_->files.Clear();
  state_->directories.Clear();
  state_->nodes.ShrinkToFit();
  if (state_->journal) state_->journal->CloseStore();
  ::malloc_trim(0);
}

}  // namespace plyfs
