// layer_spec.cc: a layer in memory.

#include "tests/model/layer_spec.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "tests/model/op.h"

namespace plyfs::model {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

std::string ContentOf(const LayerEntry& entry) {
  std::string content(static_cast<size_t>(entry.size), '\0');
  for (const Extent& extent : entry.extents) {
    const off_t length = std::min(extent.length, entry.size - extent.offset);
    if (length <= 0) continue;
    const std::string bytes = Pattern(extent.fill, static_cast<size_t>(length));
    content.replace(static_cast<size_t>(extent.offset), bytes.size(), bytes);
  }
  return content;
}

LayerSpec DropOrphans(const LayerSpec& layer) {
  LayerSpec kept;
  std::set<std::string> directories = {""};
  std::set<std::string> files;
  for (const LayerEntry& entry : layer) {
    if (!entry.path.empty() && directories.count(ParentOf(entry.path)) == 0) continue;
    if (!entry.link_to.empty() && files.count(entry.link_to) == 0) continue;
    if (!entry.whiteout && S_ISDIR(entry.mode)) {
      directories.insert(entry.path);
    } else if (!entry.whiteout) {
      files.insert(entry.path);
    }
    kept.push_back(entry);
  }
  return kept;
}

}  // namespace plyfs::model
