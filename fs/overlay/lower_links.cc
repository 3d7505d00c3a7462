// lower_links.cc: see lower_links.h.
#include "fs/overlay/lower_links.h"

#include <dirent.h>

namespace plyfs {
namespace {

// Every name in `layer` with that inode number.
Errno FindInode(Core& core, const Layer& layer, uint64_t inode, std::vector<std::string>* paths) {
  std::vector<std::string> pending = {""};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    UniqueFd opened;
    if (!path.empty()) {
      Result<UniqueFd> fd = OpenDirectoryBeneath(layer.root(), path.substr(1));
      if (!fd.ok()) continue;  // not readable to us: nor to those who could change it
      opened = std::move(fd).value();
    }
    RETURN_IF_ERROR(ListDirectory(opened.valid() ? opened.get() : layer.root(), [&](const RawDirEntry& entry) -> Errno {
      core.examined_names.fetch_add(1, std::memory_order_relaxed);
      std::string child = path + "/" + entry.name;
      if (entry.type == DT_DIR) pending.push_back(std::move(child));
      else if (entry.inode == inode) paths->push_back(std::move(child));
      return kOk;
    }));
  }
  return kOk;
}

}  // namespace

Result<std::vector<std::string>> PathsOfLowerLinks(Core& core, const std::string& index_name) {
  absl::MutexLock lock(&core.lower_links_mutex);
  const auto known = core.lower_links.find(index_name);
  if (known != core.lower_links.end()) return known->second;
  const std::optional<DiskInode> lower = LowerOfIndexName(index_name);
  if (!lower) return Errno(EIO);
  std::vector<std::string> paths;
  for (const auto& layer : core.config.layers.layers) {
    if (!layer || layer->index() == LayerIndex::kUpper || layer->device() != lower->device) continue;
    RETURN_IF_ERROR(FindInode(core, *layer, lower->inode, &paths));
  }
  core.lower_links[index_name] = paths;
  return paths;
}

}  // namespace plyfs
