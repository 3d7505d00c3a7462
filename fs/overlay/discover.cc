// discover.cc: see discover.h.
#include "fs/overlay/discover.h"

#include <algorithm>

#include "fs/base/log.h"
#include "fs/layer/file_time.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/whiteout.h"
#include "fs/overlay/locate.h"

namespace plyfs {
namespace {

// A file whose blocks do not cover its size may be a metacopy; all others cannot, which saves an attribute read.
bool MayBeMetacopy(const struct statx& stat) {
  return S_ISREG(stat.stx_mode) && stat.stx_size > 0 && stat.stx_blocks * 512 < stat.stx_size;
}

std::string JoinPath(const std::string& dir, std::string_view name) {
  return dir.empty() ? std::string(name) : dir + "/" + std::string(name);
}

// One search of a name through the layers of its parent, and of the layers that a redirect leads to.
class Search {
 public:
  Search(Core& core, const Node& parent, Name name)
      : core_(core), parent_(parent), parts_(parent.dir->parts), name_(name.str()) {}

  // Layers above `top` are known not to have the name, nor to hide it.
  Result<Discovered> Run(LayerIndex top) {
    size_t begin = 0;
    while (begin < parts_.size() && Value(parts_[begin].layer) < Value(top)) ++begin;
    wh_checked_ = begin;
    for (size_t i = begin; i < parts_.size(); ++i) {
      ASSIGN_OR_RETURN(const Next next, LookAt(i));
      if (next == Next::kStop) break;
    }
    if (found_.parts.empty()) return std::move(result_);
    return FinishDirectory();
  }

 private:
  enum class Next { kGoOn, kStop };

  struct FoundDir {
    decltype(DirState::parts) parts;
    std::map<LayerIndex, std::string> redirects;
    std::optional<struct statx> top_lower;
    uint64_t upper_inode = 0;
    int64_t upper_birth_ns = 0;
  };

  Result<Next> LookAt(size_t i) {
    const LayerIndex index = parts_[i].layer;
    const Layer& layer = core_.layer(index);
    ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, parent_, index));
    ASSIGN_OR_RETURN(const LayerEntry entry, layer.Lookup(fd->fd.get(), parts_[i].marks(), Name::Trusted(name_)));
    if (entry.kind == LayerEntry::kWhiteout) return Next::kStop;
    if (entry.kind == LayerEntry::kAbsent) return Next::kGoOn;
    ASSIGN_OR_RETURN(const bool hidden, HiddenByWhFile(i));
    if (hidden) return Next::kStop;

    if (!S_ISDIR(entry.stat.stx_mode)) {
      if (!found_.parts.empty()) return Next::kStop;
      RETURN_IF_ERROR(FinishFile(i, fd->fd.get(), entry.stat));
      return Next::kStop;
    }
    return TakeDirectory(i, fd->fd.get(), entry.stat);
  }

  // OCI whiteout files of the layers above `i`; asked only now that there is something to hide.
  Result<bool> HiddenByWhFile(size_t i) {
    for (; wh_checked_ < i; ++wh_checked_) {
      const LayerIndex index = parts_[wh_checked_].layer;
      ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, parent_, index));
      ASSIGN_OR_RETURN(const bool hidden, core_.layer(index).HasWhFile(fd->fd.get(), Name::Trusted(name_)));
      if (hidden) return true;
    }
    return false;
  }

  Result<Next> TakeDirectory(size_t i, int parent_fd, const struct statx& stat) {
    const LayerIndex index = parts_[i].layer;
    const ObjectRef object{.dir = parent_fd, .name = name_.c_str()};
    ASSIGN_OR_RETURN(const DirMarks marks, ReadDirMarks(object));
    AddPart(index, stat, marks);
    if (renamed_) found_.redirects[index] = JoinPath(LayerPath(parent_, index), name_);
    if (marks.opaque) return Next::kStop;
    if (marks.redirect.starts_with('/')) {
      RETURN_IF_ERROR(FollowAbsolute(index, marks.redirect.substr(1)));
      return Next::kStop;
    }
    if (i + 1 < parts_.size()) {
      ASSIGN_OR_RETURN(const bool opaque, HasWhOpaque(core_.layer(index), object));
      if (opaque) return Next::kStop;
    }
    if (!marks.redirect.empty()) {
      name_ = marks.redirect;
      renamed_ = true;
      wh_checked_ = i + 1;
    }
    return Next::kGoOn;
  }

  static Result<bool> HasWhOpaque(const Layer& layer, const ObjectRef& dir) {
    // Nearly always absent: one call without opening the directory says so.
    const std::string path = std::string(dir.name) + "/" + std::string(kWhOpaque);
    const Result<struct statx> stat = StatObject({.dir = dir.dir, .name = path.c_str()});
    if (!stat.ok()) {
      if (MeansAbsent(stat.error())) return false;
      return stat.error();
    }
    ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(dir));
    return layer.HasWhOpaque(fd.get());
  }

  void AddPart(LayerIndex index, const struct statx& stat, const DirMarks& marks) {
    if (found_.parts.empty()) {
      result_.stat = stat;
      result_.init.layer = index;
    }
    if (index == LayerIndex::kUpper) {
      found_.upper_inode = stat.stx_ino;
      found_.upper_birth_ns = BirthNsOf(stat);
    }
    if (index != LayerIndex::kUpper && !found_.top_lower) found_.top_lower = stat;
    found_.parts.push_back(
        {.layer = index, .xattr_whiteouts = marks.xattr_whiteouts, .holds_devices = marks.holds_devices});
  }

  // The layers below `above` at one path from their roots (an absolute redirect).
  Errno FollowAbsolute(LayerIndex above, std::string path) {
    for (size_t i = Value(above) + 1u; i < core_.config.layers.layers.size(); ++i) {
      const auto index = static_cast<LayerIndex>(i);
      ASSIGN_OR_RETURN(const PathEnd end, WalkPath(index, path));
      if (end.kind == LayerEntry::kWhiteout) return kOk;
      if (end.kind == LayerEntry::kAbsent && !end.last_below) continue;
      if (end.kind == LayerEntry::kAbsent || !S_ISDIR(end.stat.stx_mode)) return kOk;
      AddPart(index, end.stat, end.marks);
      found_.redirects[index] = path;
      if (end.marks.opaque || end.last_below) return kOk;
      if (end.marks.redirect.starts_with('/')) {
        path = end.marks.redirect.substr(1);
      } else if (!end.marks.redirect.empty()) {
        const size_t slash = path.rfind('/');
        path = JoinPath(slash == std::string::npos ? "" : path.substr(0, slash), end.marks.redirect);
      }
    }
    return kOk;
  }

  struct PathEnd {
    LayerEntry::Kind kind = LayerEntry::kAbsent;
    struct statx stat {};
    DirMarks marks;           // of a directory at the end
    bool last_below = false;  // a directory on the way is opaque: lower layers do not count
  };

  // One layer, component by component, so that a whiteout or an opaque directory on the way is seen.
  Result<PathEnd> WalkPath(LayerIndex index, std::string_view path) {
    const Layer& layer = core_.layer(index);
    FdRef at = core_.roots[Value(index)];
    DirMarks marks;
    PathEnd end;
    for (;;) {
      const size_t slash = path.find('/');
      const std::string component(path.substr(0, slash));
      ASSIGN_OR_RETURN(const LayerEntry entry, layer.Lookup(at->fd.get(), marks, Name::Trusted(component)));
      end.kind = entry.kind;
      end.stat = entry.stat;
      if (entry.kind == LayerEntry::kAbsent) {
        ASSIGN_OR_RETURN(const bool hidden, layer.HasWhFile(at->fd.get(), Name::Trusted(component)));
        if (hidden) end.kind = LayerEntry::kWhiteout;
      }
      if (entry.kind != LayerEntry::kPresent || !S_ISDIR(entry.stat.stx_mode)) {
        if (entry.kind == LayerEntry::kPresent && slash != std::string_view::npos) end.kind = LayerEntry::kWhiteout;
        return end;
      }
      const ObjectRef object{.dir = at->fd.get(), .name = component.c_str()};
      ASSIGN_OR_RETURN(marks, ReadDirMarks(object));
      ASSIGN_OR_RETURN(const bool wh_opaque, HasWhOpaque(layer, object));
      marks.opaque |= wh_opaque;
      end.marks = marks;
      if (slash == std::string_view::npos) return end;
      end.last_below |= marks.opaque;
      ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(object));
      at = std::make_shared<const CachedFd>(CachedFd{.fd = std::move(fd)});
      path.remove_prefix(slash + 1);
    }
  }

  Result<Discovered> FinishDirectory() {
    auto dir = std::make_unique<DirState>();
    dir->parts = std::move(found_.parts);
    dir->upper_inode = found_.upper_inode;
    dir->upper_birth_ns = found_.upper_birth_ns;
    if (!found_.redirects.empty()) {
      dir->redirects = std::make_unique<std::map<LayerIndex, std::string>>(std::move(found_.redirects));
    }
    // A merged directory shows the number of its topmost lower part, which it had before it had an upper part.
    const DiskInode inode = DiskInodeOf(found_.top_lower ? *found_.top_lower : result_.stat);
    result_.present = true;
    result_.init.type = S_IFDIR;
    result_.init.ino = core_.numbers.FromDisk(inode);
    result_.init.dir = std::move(dir);
    return std::move(result_);
  }

  Errno FinishFile(size_t i, int parent_fd, const struct statx& stat) {
    const LayerIndex index = parts_[i].layer;
    const ObjectRef object{.dir = parent_fd, .name = name_.c_str()};
    const DiskInode inode = DiskInodeOf(stat);
    result_.present = true;
    result_.stat = stat;
    result_.init.type = stat.stx_mode & S_IFMT;
    result_.init.layer = index;
    result_.init.ino = index == LayerIndex::kUpper ? core_.numbers.FromUpper(stat) : core_.numbers.FromDisk(inode);
    ASSIGN_OR_RETURN(const std::optional<OverriddenStat> overridden,
                     ReadOverrideStat(object, core_.layer(index).override_stat()));
    if (overridden && overridden->type) {
      // A file cannot be shown as a directory.
      if (S_ISDIR(*overridden->type)) return EIO;
      result_.init.type = *overridden->type;
    }
    if (stat.stx_nlink > 1) {
      RETURN_IF_ERROR(FollowLinks(index, object, inode));
    } else if (index == LayerIndex::kUpper) {
      // It may have had another name, under which it is open still.
      result_.existing = core_.nodes.FindByInode(inode);
    }
    if (!result_.existing && MayBeMetacopy(result_.stat)) return FollowMetacopy(i, object);
    return kOk;
  }

  // A file with several names: the node may be known by another one, or be copied up already.
  Errno FollowLinks(LayerIndex index, const ObjectRef& object, DiskInode inode) {
    std::optional<IndexMark> mark;
    const DiskInode lower = inode;
    if (index == LayerIndex::kUpper) {
      ASSIGN_OR_RETURN(mark, ReadIndexMark(core_, object, result_.stat));
    } else {
      ASSIGN_OR_RETURN(const std::optional<struct statx> copy, FindInIndex(core_, inode));
      if (copy) {
        core_.numbers.EnsureLoaded();
        const std::string name = WorkDir::IndexName(inode);
        ASSIGN_OR_RETURN(mark, ReadIndexMark(core_, {.dir = core_.work().index(), .name = name.c_str()}, *copy));
        if (!mark) mark = IndexMark{.name = name, .remaining = 0};
        result_.stat = *copy;
        result_.init.layer = LayerIndex::kUpper;
        inode = DiskInodeOf(*copy);
      }
    }
    result_.existing = FindLinked(inode, lower);
    result_.init.inode_key = inode;
    if (mark) {
      result_.init.rare = std::make_unique<RareState>();
      result_.init.rare->index_name = mark->name;
      result_.init.rare->index_remaining = mark->remaining;
    }
    return kOk;
  }

  // During a copy-up the file is in the index already while its node is still known by the lower inode; the node changes over
  // in one step, so it is found by one of the two if the first is asked twice.
  NodeRef FindLinked(const DiskInode& inode, const DiskInode& lower) {
    for (const DiskInode& key : {inode, lower, inode}) {
      if (NodeRef node = core_.nodes.FindByInode(key)) return node;
    }
    return NodeRef();
  }

  // A native metacopy: attributes here, data in the next layer below that has them.
  Errno FollowMetacopy(size_t i, const ObjectRef& object) {
    const Result<std::string> metacopy = ReadMark(object, kMetacopyMark);
    if (metacopy.error() == ENODATA) return kOk;
    if (!metacopy.ok()) return metacopy.error();
    std::string redirect;
    Result<std::string> mark = ReadMark(object, kRedirectMark);
    if (mark.ok()) {
      if (!IsSafeRedirect(*mark)) return EIO;
      redirect = std::move(*mark);
    }
    for (size_t j = Value(parts_[i].layer) + 1u; j < core_.config.layers.layers.size(); ++j) {
      const auto index = static_cast<LayerIndex>(j);
      std::string path;
      if (redirect.starts_with('/')) {
        path = redirect.substr(1);
      } else {
        const bool has_part = std::any_of(parts_.begin(), parts_.end(), [&](const DirPart& p) { return p.layer == index; });
        if (!has_part) continue;
        path = JoinPath(LayerPath(parent_, index), redirect.empty() ? name_ : redirect);
      }
      ASSIGN_OR_RETURN(const PathEnd end, WalkPath(index, path));
      const bool has_data = end.kind == LayerEntry::kPresent && !MayBeMetacopy(end.stat);
      if (!has_data && end.kind != LayerEntry::kWhiteout && !end.last_below) continue;
      if (!has_data || !S_ISREG(end.stat.stx_mode)) break;
      if (!result_.init.rare) result_.init.rare = std::make_unique<RareState>();
      result_.init.rare->data_layer = index;
      result_.init.rare->data_path = std::move(path);
      return kOk;
    }
    LogError("layer '%s': the data of metacopy file '%s' is in none of the layers below", core_.layer(parts_[i].layer).path().c_str(),
             name_.c_str());
    return EIO;
  }

  Core& core_;
  const Node& parent_;
  const decltype(DirState::parts)& parts_;
  std::string name_;      // changes where a directory carries a redirect to a name beside it
  bool renamed_ = false;  // it has changed
  size_t wh_checked_ = 0; // parts of the parent whose OCI whiteout for the name has been looked for
  FoundDir found_;
  Discovered result_;
};

}  // namespace

Result<Discovered> Discover(Core& core, const Node& parent, Name name, LayerIndex top) {
  return Search(core, parent, name).Run(top);
}

Result<FoundNode> FindOrMakeNode(Core& core, const NodeRef& parent, Name name, LayerIndex top) {
  if (parent->dir->removed) return FoundNode();
  if (NodeRef known = core.nodes.FindChild(*parent, name.view())) return FoundNode{.node = std::move(known)};
  ASSIGN_OR_RETURN(Discovered discovered, Discover(core, *parent, name, top));
  if (!discovered.present) return FoundNode();
  if (discovered.existing) {
    core.nodes.AddName(*discovered.existing, parent, name.view(), NodeTable::FirstName::kKeep);
    return FoundNode{.node = std::move(discovered.existing)};
  }
  FoundNode found{.stat = discovered.stat};
  found.node = core.nodes.Insert(parent, name.view(), std::move(discovered.init));
  return found;
}

Result<bool> ShownByLowers(Core& core, const Node& parent, Name name) {
  const auto& parts = parent.dir->parts;
  const size_t first = parent.dir->has_upper() ? 1 : 0;
  size_t i = first;
  LayerEntry entry;
  for (; i < parts.size() && entry.kind == LayerEntry::kAbsent; ++i) {
    ASSIGN_OR_RETURN(const FdRef fd, DirFd(core, parent, parts[i].layer));
    ASSIGN_OR_RETURN(entry, core.layer(parts[i].layer).Lookup(fd->fd.get(), parts[i].marks(), name));
  }
  if (entry.kind != LayerEntry::kPresent) return false;
  // Something is there; now an OCI whiteout of the lowers above it matters.
  for (size_t above = first; above + 1 < i; ++above) {
    ASSIGN_OR_RETURN(const FdRef fd, DirFd(core, parent, parts[above].layer));
    ASSIGN_OR_RETURN(const bool hidden, core.layer(parts[above].layer).HasWhFile(fd->fd.get(), name));
    if (hidden) return false;
  }
  return true;
}

Result<LayerEntry> LookupUpper(Core& core, const Node& parent, Name name) {
  if (!parent.dir->has_upper()) return LayerEntry();
  ASSIGN_OR_RETURN(const FdRef fd, DirFd(core, parent, LayerIndex::kUpper));
  return core.upper().Lookup(fd->fd.get(), parent.dir->parts.front().marks(), name);
}

std::unique_ptr<DirState> DiscoverRoot(Core& core) {
  auto dir = std::make_unique<DirState>();
  for (const auto& layer : core.config.layers.layers) {
    if (!layer) continue;
    if (layer->index() == LayerIndex::kUpper) {
      if (const Result<struct statx> stat = StatObject({.dir = layer->root()}); stat.ok()) dir->upper_inode = stat->stx_ino;
    }
    const Result<DirMarks> marks = ReadDirMarks({.dir = layer->root()});
    dir->parts.push_back({.layer = layer->index(),
                          .xattr_whiteouts = marks.ok() && marks->xattr_whiteouts,
                          .holds_devices = marks.ok() && marks->holds_devices});
    if (marks.ok() && marks->opaque) break;
    const Result<bool> opaque = layer->HasWhOpaque(layer->root());
    if (opaque.ok() && *opaque) break;
  }
  return dir;
}

}  // namespace plyfs
