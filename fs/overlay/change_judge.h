// change_judge.h: what the recorded names of a directory are now, compared with what was there before.
// Not here: which names are recorded (change_list.cc), the order in which they are listed (change_tree.h).
// Thread safety: one thread; takes the tree lock and one directory's mutex at a time, both shared.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/overlay/change_tree.h"
#include "fs/overlay/core.h"

namespace plyfs {

struct TouchedName {
  std::string text;
  FormerState former;
  std::unique_ptr<StoredRename> rename;  // where what was put there came from; mostly null
};

struct TouchedDirectory {
  uint64_t inode = 0;  // of its upper part; 0: `names` is the root directory itself
  std::string path;    // "" for the root
  std::vector<TouchedName> names;  // sorted by bytes
};

struct JudgeOptions {
  bool since_checkpoint = false;  // else what the lowers show is what was there before
  int64_t since_ns = INT64_MIN;   // when the checkpoint was made
  bool has_aliases = false;       // there are files of which several names are recorded
};

class ChangeJudge {
 public:
  ChangeJudge(Core& core, const JudgeOptions& options, ChangeTree& tree);

  Errno AddDirectory(const TouchedDirectory& touched);
  // After all directories: all names of a changed file with several names have changed.
  Errno AddHardLinks();

 private:
  struct LinkedFile {
    uint64_t upper_inode = 0;
    Ino ino;
    std::string index_name;  // not empty: lower names lead to it too
  };

  Result<std::optional<Change>> Judge(const NodeRef& dir, const TouchedName& touched);
  bool IsReplaced(const FormerState& former, const Node& dir, const struct statx& upper) const;
  Errno NoteNamelessCopies();
  void NoteLinks(const Node& node, const LayerEntry& upper);
  Errno AddAlias(const LinkedFile& file, const std::string& path);

  Core& core_;
  const JudgeOptions options_;
  ChangeTree& tree_;
  const bool has_links_;  // files with several names must be noticed
  std::vector<LinkedFile> linked_;
};

}  // namespace plyfs
