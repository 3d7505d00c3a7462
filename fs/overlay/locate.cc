// locate.cc: see locate.h.
#include "fs/overlay/locate.h"

#include <climits>
#include <vector>

namespace plyfs {
namespace {

const std::string* ExplicitPath(const Node& dir, LayerIndex layer) {
  if (!dir.dir->redirects) return nullptr;
  const auto found = dir.dir->redirects->find(layer);
  return found == dir.dir->redirects->end() ? nullptr : &found->second;
}

FdRef MakeRef(UniqueFd fd) { return std::make_shared<const CachedFd>(CachedFd{.fd = std::move(fd)}); }

// Opens `components` one below the other from `base`, as many in one call as a path may be long.
Result<FdRef> OpenComponents(FdRef base, const std::vector<const std::string*>& components) {
  std::string path;
  for (size_t i = components.size(); i-- > 0;) {
    if (!path.empty()) path += '/';
    path += *components[i];
    const bool is_last = i == 0;
    if (!is_last && path.size() + 1 + components[i - 1]->size() < PATH_MAX) continue;
    ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectoryBeneath(base->fd.get(), path));
    base = MakeRef(std::move(fd));
    path.clear();
  }
  return base;
}

}  // namespace

std::string LayerPath(const Node& dir, LayerIndex layer) {
  std::vector<const std::string*> components;
  for (const Node* at = &dir; at->name.parent; at = at->name.parent.get()) {
    const std::string* path = ExplicitPath(*at, layer);
    components.push_back(path != nullptr ? path : &at->name.text);
    if (path != nullptr) break;
  }
  std::string path;
  for (size_t i = components.size(); i-- > 0;) {
    if (!path.empty()) path += '/';
    path += *components[i];
  }
  return path;
}

Result<FdRef> DirFd(Core& core, const Node& dir, LayerIndex layer) {
  if (!dir.name.parent) return core.roots[Value(layer)];
  const uint64_t key = Core::DirKey(dir.id, layer);
  if (FdRef cached = core.directories.Get(key)) return cached;

  // Up to the nearest place that is open or has a path of its own.
  FdRef base;
  std::vector<const std::string*> components;
  for (const Node* at = &dir; !base; at = at->name.parent.get()) {
    if (!at->name.parent) {
      base = core.roots[Value(layer)];
    } else if (at != &dir && (base = core.directories.Get(Core::DirKey(at->id, layer)))) {
      break;
    } else if (const std::string* path = ExplicitPath(*at, layer)) {
      components.push_back(path);
      base = core.roots[Value(layer)];
    } else {
      components.push_back(&at->name.text);
    }
  }
  ASSIGN_OR_RETURN(FdRef fd, OpenComponents(std::move(base), components));
  core.directories.Put(key, fd);
  return fd;
}

Result<Located> Locate(Core& core, const Node& node) {
  if (node.is_directory()) {
    ASSIGN_OR_RETURN(FdRef fd, DirFd(core, node, node.dir->parts.front().layer));
    return Located(std::move(fd), "");
  }
  if (node.rare && node.layer == LayerIndex::kUpper) {
    if (node.rare->held.valid()) return Located(node.rare->held.get(), "");
    if (node.indexed()) return Located(core.work().index(), node.rare->index_name);
    if (node.rare->in_orphans) return Located(core.work().orphans(), WorkDir::OrphanName(node.id));
  }
  ASSIGN_OR_RETURN(FdRef dir, DirFd(core, *node.name.parent, node.layer));
  return Located(std::move(dir), node.name.text);
}

}  // namespace plyfs
