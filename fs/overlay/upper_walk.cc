// upper_walk.cc: see upper_walk.h.
#include "fs/overlay/upper_walk.h"

#include <algorithm>

#include "fs/layer/file_time.h"
#include "fs/layer/whiteout.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/locate.h"

namespace plyfs {
namespace {

class Walk {
 public:
  Walk(Core& core, const UpperVisitor& visitor) : core_(core), visitor_(visitor) {}

  Errno Run(const std::vector<NodeRef>& start) {
    for (const NodeRef& dir : start) {
      ASSIGN_OR_RETURN(const bool entered, Visit(dir));
      if (entered) RETURN_IF_ERROR(VisitItself(dir));
    }
    while (!pending_.empty()) {
      const NodeRef dir = std::move(pending_.back());
      pending_.pop_back();
      RETURN_IF_ERROR(Visit(dir).error());
    }
    return kOk;
  }

 private:
  // False if nobody wants to see it.
  Result<bool> Visit(const NodeRef& dir) {
    UpperDirectory directory{.node = dir};
    {
      absl::ReaderMutexLock tree(&core_.tree_mutex);
      absl::ReaderMutexLock lock(&dir->mutex);
      if (dir->dir->removed || !dir->dir->has_upper()) return false;
      ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, *dir, LayerIndex::kUpper));
      ASSIGN_OR_RETURN(const struct statx stat, StatObject({.dir = fd->fd.get()}));
      directory.ctime_ns = NsOf(stat.stx_ctime);
      if (!visitor_.enter(directory)) return false;
      RETURN_IF_ERROR(ListDirectory(fd->fd.get(), [&](const RawDirEntry& entry) -> Errno {
        directory.names.emplace_back(entry.name);
        return kOk;
      }));
    }
    RETURN_IF_ERROR(ResolveWhFiles(dir, &directory.names));
    for (const std::string& name : directory.names) RETURN_IF_ERROR(VisitName(dir, name));
    visitor_.leave(directory);
    return true;
  }

  // Its own owner and mode.
  Errno VisitItself(const NodeRef& dir) {
    UpperName found{.text = "", .is_directory = true, .only_itself = true};
    bool differs = false;
    {
      absl::ReaderMutexLock tree(&core_.tree_mutex);
      if (!dir->name.parent || dir->dir->removed) return kOk;
      found.parent = dir->name.parent;
      found.text = dir->name.text;
      absl::ReaderMutexLock lock(&dir->mutex);
      ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, *dir, LayerIndex::kUpper));
      ASSIGN_OR_RETURN(const struct statx stat, StatObject({.dir = fd->fd.get()}));
      found.below = dir->dir->merged();
      ASSIGN_OR_RETURN(differs, DirectoryDiffers(*dir, stat));
    }
    if (differs) visitor_.name(found);
    return kOk;
  }

  // ".wh.NAME" stands for NAME unless it is meant literally.
  Errno ResolveWhFiles(const NodeRef& dir, std::vector<std::string>* names) {
    absl::ReaderMutexLock tree(&core_.tree_mutex);
    absl::ReaderMutexLock lock(&dir->mutex);
    if (dir->dir->removed) return kOk;
    for (std::string& name : *names) {
      if (name == kWhOpaque) name.clear();
      if (!HasWhPrefix(name)) continue;
      ASSIGN_OR_RETURN(const LayerEntry entry, LookupUpper(core_, *dir, Name::Trusted(name)));
      if (entry.kind != LayerEntry::kPresent) name.erase(0, kWhPrefix.size());
    }
    std::erase(*names, "");
    // A whiteout may stand beside what it hid.
    std::sort(names->begin(), names->end());
    names->erase(std::unique(names->begin(), names->end()), names->end());
    return kOk;
  }

  Errno VisitName(const NodeRef& dir, const std::string& text) {
    core_.examined_names.fetch_add(1, std::memory_order_relaxed);
    const Name name = Name::Trusted(text);
    UpperName found{.parent = dir, .text = text};
    bool differs = false;
    {
      absl::ReaderMutexLock tree(&core_.tree_mutex);
      absl::ReaderMutexLock lock(&dir->mutex);
      if (dir->dir->removed) return kOk;
      ASSIGN_OR_RETURN(const LayerEntry entry, LookupUpper(core_, *dir, name));
      ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, *dir, LayerIndex::kUpper));
      const bool absent = entry.kind == LayerEntry::kAbsent;
      ASSIGN_OR_RETURN(const bool hidden, absent ? core_.upper().HasWhFile(fd->fd.get(), name) : Result<bool>(false));
      if (absent && !hidden) return kOk;
      ASSIGN_OR_RETURN(found.below, ShownByLowers(core_, *dir, name));
      differs = entry.kind == LayerEntry::kPresent || found.below;
      if (entry.kind == LayerEntry::kPresent) {
        found.ctime_ns = NsOf(entry.stat.stx_ctime);
        found.inode = entry.stat.stx_ino;
        found.birth_ns = BirthNsOf(entry.stat);
        found.nlink = entry.stat.stx_nlink;
      }
      if (entry.kind == LayerEntry::kPresent && S_ISDIR(entry.stat.stx_mode)) {
        ASSIGN_OR_RETURN(const FoundNode node, FindOrMakeNode(core_, dir, name));
        if (!node.node || !node.node->is_directory()) return kOk;
        found.is_directory = true;
        ASSIGN_OR_RETURN(differs, DirectoryDiffers(*node.node, entry.stat));
        if (visitor_.descend(*node.node)) pending_.push_back(node.node);
      }
    }
    if (differs) visitor_.name(found);
    return kOk;
  }

  // A merged directory is a change of its own only if its owner or mode is another.
  Result<bool> DirectoryDiffers(const Node& dir, const struct statx& upper) {
    if (!dir.dir->merged()) return true;
    ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, dir, dir.dir->parts[1].layer));
    ASSIGN_OR_RETURN(const struct statx lower, StatObject({.dir = fd->fd.get()}));
    return upper.stx_mode != lower.stx_mode || upper.stx_uid != lower.stx_uid || upper.stx_gid != lower.stx_gid ||
           (dir.dir->redirects != nullptr && dir.dir->redirects->contains(dir.dir->parts[1].layer));
  }

  Core& core_;
  const UpperVisitor& visitor_;
  std::vector<NodeRef> pending_;
};

}  // namespace

Errno WalkUpper(Core& core, const std::vector<NodeRef>& start, const UpperVisitor& visitor) {
  return Walk(core, visitor).Run(start);
}

Result<NodeRef> FindDirectoryAt(Core& core, const std::string& path) {
  NodeRef at = core.nodes.root();
  for (size_t begin = 0; begin < path.size();) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    const std::string component = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (component.empty()) continue;
    absl::ReaderMutexLock tree(&core.tree_mutex);
    absl::ReaderMutexLock lock(&at->mutex);
    ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core, at, Name::Trusted(component)));
    if (!found.node || !found.node->is_directory()) return NodeRef();
    // The lock on the old directory ends with its reference kept by the child's name.
    at = found.node;
  }
  return at;
}

}  // namespace plyfs
