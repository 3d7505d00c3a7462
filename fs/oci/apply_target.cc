// apply_target.cc: see apply_target.h.
#include "fs/oci/apply_target.h"

#include <sys/file.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_split.h"
#include "fs/layer/acl.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/upper_probe.h"
#include "fs/layer/whiteout.h"
#include "fs/oci/layer_path.h"

namespace plyfs {
namespace {

constexpr mode_t kPlainMode = 0755;

// Probing needs a work directory on the same filesystem, which is the target itself as nothing else is given.
Result<UpperCapabilities> Probe(int root, const UpperLayer& layer, WhiteoutChoice whiteouts) {
  const std::string name = ".plyfs-probe-" + std::to_string(::getpid());
  const ObjectRef at{.dir = root, .name = name.c_str()};
  RETURN_IF_ERROR(layer.MakeDirectory(at, 0700));
  const absl::Cleanup remove = [&] { RemoveTree(at).Ignore("it is empty but for directories of ours"); };
  ASSIGN_OR_RETURN(UniqueFd dir, OpenDirectory(at));
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkDir> work, WorkDir::Open(std::move(dir)));
  return ProbeUpper(*work, {.force_wh_whiteouts = whiteouts == WhiteoutChoice::kFile});
}

Errno SetMtimeBack(const UpperLayer& layer, int root, const struct statx& before) {
  return layer.SetTimes({.dir = root}, {timespec{.tv_nsec = UTIME_OMIT},
                                        timespec{before.stx_mtime.tv_sec, before.stx_mtime.tv_nsec}});
}

}  // namespace

std::unique_ptr<ApplyTarget> ApplyTarget::Open(int directory, WhiteoutChoice whiteouts, LayerError* error) {
  const auto fail = [&](std::string message) {
    error->message = std::move(message);
    return nullptr;
  };
  // A descriptor of its own, so that the lock goes with it.
  Result<UniqueFd> root = OpenDirectory({.dir = directory, .name = "."});
  if (!root.ok()) return fail(std::string("the directory cannot be opened: ") + std::strerror(root.error().value()));
  const Errno locked = Errno::Of(::flock(root->get(), LOCK_EX | LOCK_NB));
  if (locked == EWOULDBLOCK) return fail("the directory is in use by a mount (or another apply); unmount that first");
  if (DetectOverrideStat({.dir = root->get()}) != OverrideStat::kNone) {
    return fail("the directory keeps owners in attributes (xattr_permissions), which apply cannot write");
  }
  const Result<struct statx> before = StatObject({.dir = root->get()});
  const UpperLayer unprobed("", UniqueFd(), 0, OverrideStat::kNone, {});
  const Result<UpperCapabilities> found =
      before.ok() ? Probe(root->get(), unprobed, whiteouts) : Result<UpperCapabilities>(before.error());
  if (!found.ok()) return fail(std::string("the directory cannot be written: ") + std::strerror(found.error().value()));
  SetMtimeBack(unprobed, root->get(), *before).Ignore("a directory of somebody else: the time is not ours to keep");
  return std::unique_ptr<ApplyTarget>(new ApplyTarget(std::move(root).value(), *found));
}

ApplyTarget::ApplyTarget(UniqueFd root, UpperCapabilities capabilities)
    : layer_("", std::move(root), 0, OverrideStat::kNone, capabilities) {}

Result<int> ApplyTarget::Directory(const std::string& path) {
  if (directory_.valid() && directory_path_ == path) return directory_.get();
  ForgetDirectory();
  Result<UniqueFd> found = OpenDirectoryBeneath(root(), path.empty() ? "." : path);
  if (!found.ok() && !MeansAbsent(found.error())) return found.error();
  if (!found.ok()) {
    ASSIGN_OR_RETURN(UniqueFd at, OpenDirectory({.dir = root(), .name = "."}));
    for (const std::string& name : std::vector<std::string>(absl::StrSplit(path, '/'))) {
      ASSIGN_OR_RETURN(at, OpenOrMake(at.get(), name));
    }
    found = std::move(at);
  }
  directory_ = std::move(found).value();
  directory_path_ = path;
  has_default_acl_ = GetXattr({.dir = directory_.get()}, kAclDefault).ok();
  return directory_.get();
}

Result<UniqueFd> ApplyTarget::OpenOrMake(int dir, const std::string& name) {
  const ObjectRef at{.dir = dir, .name = name.c_str()};
  const Result<struct statx> stat = StatObject(at);
  if (!stat.ok() && !(stat.error() == ENOENT)) return stat.error();
  const bool hidden = stat.ok() && IsWhiteoutDevice(*stat);
  if (hidden) RETURN_IF_ERROR(layer_.Unlink(at));
  if (stat.ok() && S_ISLNK(stat->stx_mode)) return Errno(ELOOP);
  if (!stat.ok() || hidden) {
    RETURN_IF_ERROR(MakeDirectory(at, kPlainMode));
    RETURN_IF_ERROR(layer_.SetMode(at, kPlainMode));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(at));
  if (hidden) RETURN_IF_ERROR(layer_.SetOpaque(fd.get()));
  return fd;
}

Errno ApplyTarget::MakeDirectory(const ObjectRef& at, mode_t mode) {
  RETURN_IF_ERROR(layer_.MakeDirectory(at, mode | 0700));
  return NoteMade(at);
}

Errno ApplyTarget::NoteMade(const ObjectRef& at) {
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(at));
  made_.insert(DiskInodeOf(stat));
  return kOk;
}

Errno ApplyTarget::Remove(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  ASSIGN_OR_RETURN(const UniqueFd dir, OpenDirectoryBeneath(root(), parent));
  const ObjectRef at{.dir = dir.get(), .name = path.c_str() + (slash == std::string::npos ? 0 : slash + 1)};
  const Errno unlinked = layer_.Unlink(at);
  if (unlinked.ok() || MeansAbsent(unlinked)) return kOk;
  if (!(unlinked == EISDIR)) return unlinked;
  ForgetDirectory();  // it may be in there
  RETURN_IF_ERROR(RemoveBelow(path, Removal::kAll));
  return layer_.RemoveDirectory(at);
}

Errno ApplyTarget::RemoveOlder(const std::string& path, bool* emptied) {
  ForgetDirectory();
  RETURN_IF_ERROR(RemoveBelow(path, Removal::kOlder));
  ASSIGN_OR_RETURN(const UniqueFd dir, OpenDirectoryBeneath(root(), path.empty() ? "." : path));
  *emptied = true;
  return ListDirectory(dir.get(), [&](const RawDirEntry&) -> Errno {
    *emptied = false;
    return kOk;
  });
}

// Not recursive, and with one descriptor: the depth of a tree is its author's choice.
Errno ApplyTarget::RemoveBelow(const std::string& path, Removal removal) {
  struct Step {
    std::string path;
    bool entries_done;
  };
  std::vector<Step> steps{{path, false}};
  while (!steps.empty()) {
    if (!steps.back().entries_done) {
      steps.back().entries_done = true;
      std::vector<std::string> directories;
      RETURN_IF_ERROR(RemoveEntries(steps.back().path, removal, &directories));
      for (std::string& directory : directories) steps.push_back({std::move(directory), false});
      continue;
    }
    const std::string done = std::move(steps.back().path);
    steps.pop_back();
    if (steps.empty()) return kOk;  // `path` itself stays
    const size_t slash = done.rfind('/');
    ASSIGN_OR_RETURN(const UniqueFd parent,
                     OpenDirectoryBeneath(root(), slash == std::string::npos ? "." : done.substr(0, slash)));
    const ObjectRef at{.dir = parent.get(), .name = done.c_str() + (slash == std::string::npos ? 0 : slash + 1)};
    const Errno error = layer_.RemoveDirectory(at);
    if (removal == Removal::kOlder && (error == ENOTEMPTY || error == EEXIST)) continue;  // holds what the layer brought
    RETURN_IF_ERROR(error);
  }
  return kOk;
}

// What is in the directory `path`; its directories are left for later. A directory that the layer made is empty of older things.
Errno ApplyTarget::RemoveEntries(const std::string& path, Removal removal, std::vector<std::string>* directories) {
  ASSIGN_OR_RETURN(const UniqueFd dir, OpenDirectoryBeneath(root(), path.empty() ? "." : path));
  std::vector<std::string> names;
  RETURN_IF_ERROR(ListDirectory(dir.get(), [&](const RawDirEntry& entry) -> Errno {
    names.emplace_back(entry.name);
    return kOk;
  }));
  for (const std::string& name : names) {
    const ObjectRef at{.dir = dir.get(), .name = name.c_str()};
    ASSIGN_OR_RETURN(const struct statx stat, StatObject(at));
    if (removal == Removal::kOlder && IsMade(stat)) continue;
    if (S_ISDIR(stat.stx_mode)) {
      directories->push_back(JoinPath(path, name));
    } else {
      RETURN_IF_ERROR(layer_.Unlink(at));
    }
  }
  return kOk;
}

void ApplyTarget::ForgetDirectory() {
  directory_.reset();
  directory_path_.clear();
}

}  // namespace plyfs
