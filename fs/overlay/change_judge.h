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

struct JudgeOptions {
  bool since_checkpoint = false;  // else what the lowers show is what was there before
  int64_t since_ns = INT64_MIN;   // when the checkpoint was made
  bool has_aliases = false;       // there are files of which several names are recorded
};

class ChangeJudge {
 public:
  ChangeJudge(Core& core, const JudgeOptions& options, ChangeTree& tree);

  // Whether files may have several names, so that all directories must be judged before AddHardLinks and any list.
  bool has_links() const { return has_links_; }
  // Looks at dir.touched, if there is any.
  Errno JudgeDirectory(ChangeTree::Directory& dir);
  // All names of a changed file with several names have changed.
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
  NodeRef last_;  // keeps the directories above it known, which the next one has in common with it
};

}  // namespace plyfs
