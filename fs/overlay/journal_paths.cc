// journal_paths.cc: see journal_paths.h.
#include "fs/overlay/journal_paths.h"

#include <vector>

namespace plyfs {
namespace {

// Directories one below the other; more is a circle of damaged records.
constexpr size_t kMaxDepth = 4096;

}  // namespace

std::optional<std::string> JournalPaths::OfDirectory(uint64_t inode) {
  if (inode == root_ || inode == 0) return std::string();
  if (const auto found = known_.find(inode); found != known_.end()) return found->second;
  std::vector<std::string> names;
  std::optional<std::string> path;
  for (uint64_t at = inode; names.size() < kMaxDepth;) {
    std::optional<JournalName> place = place_(at);
    if (!place) break;
    names.push_back(std::move(place->text));
    at = place->dir;
    if (at != root_) continue;
    path.emplace();
    for (size_t i = names.size(); i-- > 0;) *path += "/" + names[i];
    break;
  }
  known_.emplace(inode, path);
  return path;
}

std::optional<std::string> JournalPaths::Of(const JournalName& name) {
  if (name.dir == 0) return std::string("/");
  const std::optional<std::string> dir = OfDirectory(name.dir);
  if (!dir) return std::nullopt;
  return *dir + "/" + name.text;
}

}  // namespace plyfs
