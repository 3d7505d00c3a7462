// change_tree.h: changes by directory, so that a list of them needs no sorting of whole paths.
// Thread safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fs/overlay/changes.h"

namespace plyfs {

class ChangeTree {
 public:
  struct Directory {
    std::vector<Change> changes;  // of its names, sorted by name
    std::map<std::string, Directory, std::less<>> children;  // directories with changes in them
  };

  // The directory at a path ("" for the root, else "/a/b"); made if it is not there.
  Directory& At(std::string_view path);
  // Null if there is none.
  const Change* Find(std::string_view path) const;
  // In its place; one that is there already for the same path goes.
  void Insert(Change change);
  // The same where its directory is known.
  void Insert(Directory& dir, Change change);

  // All changes; a directory comes before what is in it, names in the order of their bytes. Directories that hold a change and are
  // none themselves are there as changed ones. The tree is empty afterwards.
  std::vector<Change> Flatten();

 private:
  void CheckRenames(Directory& dir);
  const Directory* FindDirectory(std::string_view path) const;

  Directory root_;
  std::vector<Change> of_root_;  // the root's own change
  bool has_renames_ = false;
};

}  // namespace plyfs
