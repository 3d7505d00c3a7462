// upper_walk.h: reads the upper directory as it is and says which of its names differ from the lowers: what the journal should
// know. Cost: the size of what is walked.
// Not here: what the journal does know (fs/journal).
// Thread safety: any thread; takes the tree lock and one directory's mutex at a time, both shared.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fs/overlay/core.h"

namespace plyfs {

// One name of the upper that must be in the journal.
struct UpperName {
  NodeRef parent;
  std::string text;
  bool below = false;         // a lower would show it
  bool is_directory = false;
  bool only_itself = false;   // a directory where the walk began, not found in its parent
  uint64_t inode = 0;         // of what is in the upper; 0: a whiteout
  int64_t birth_ns = 0;       // of that inode
  uint32_t nlink = 0;
  int64_t ctime_ns = 0;       // of what is in the upper
};

struct UpperDirectory {
  NodeRef node;
  int64_t ctime_ns = 0;
  std::vector<std::string> names;  // all that lies there, whiteouts included
};

struct UpperVisitor {
  // Should the names of this directory be read at all?
  std::function<bool(const UpperDirectory&)> enter;
  // Called for each directory that was entered, after its names.
  std::function<void(const UpperDirectory&)> leave;
  std::function<void(const UpperName&)> name;
  // Whether a directory below one that was entered is walked too.
  std::function<bool(const Node&)> descend;
};

Errno WalkUpper(Core& core, const std::vector<NodeRef>& start, const UpperVisitor& visitor);

// The node of a path from the root ("" the root itself); null if the union shows no directory there.
Result<NodeRef> FindDirectoryAt(Core& core, const std::string& path);

}  // namespace plyfs
