// journal_paths.h: where the directories are that the journal knows by the inode numbers of their upper parts.
// Thread safety: one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "fs/journal/store.h"

namespace plyfs {

// The union's path of a name of the journal; nullopt if its directory is not known.
class JournalPaths {
 public:
  // `place` tells where a directory is; what it refers to outlives this.
  using Place = std::function<std::optional<JournalName>(uint64_t inode)>;
  JournalPaths(uint64_t root_inode, Place place) : root_(root_inode), place_(std::move(place)) {}
  JournalPaths(uint64_t root_inode, const Store& store)
      : JournalPaths(root_inode, [&store](uint64_t inode) { return store.Directory(inode); }) {}

  // "" for the root, else "/a/b".
  std::optional<std::string> OfDirectory(uint64_t inode);
  std::optional<std::string> Of(const JournalName& name);

 private:
  const uint64_t root_;
  const Place place_;
  absl::flat_hash_map<uint64_t, std::optional<std::string>> known_;
};

}  // namespace plyfs
