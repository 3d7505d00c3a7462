// change_tree.h: changes by directory, so that a list of them needs no sorting of whole paths, and a directory can be looked at
// when its turn comes.
// Not here: what is a change (change_judge.h).
// Thread safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fs/journal/store.h"
#include "fs/overlay/changes.h"

namespace plyfs {

struct TouchedName {
  std::string text;
  FormerState former;
  std::unique_ptr<StoredRename> rename;  // where what was put there came from; mostly null
};

struct TouchedDirectory {
  uint64_t inode = 0;  // of its upper part
  std::string path;    // "" for the root, else "/a/b"
  std::vector<TouchedName> names;  // sorted by bytes
};

class ChangeTree {
 public:
  struct Directory {
    std::unique_ptr<TouchedDirectory> touched;  // its names that nobody has looked at yet
    // Of its names, sorted by name; `path` is the name alone.
    std::vector<Change> changes;
    std::map<std::string, Directory, std::less<>> children;  // directories with changes in them

    // In its place; one that is there already for the same name goes.
    void Insert(Change change);
  };
  // Looks at the names that wait in a directory.
  using Judge = std::function<Errno(Directory& dir)>;

  // The directory at a path ("" for the root, else "/a/b"); made if it is not there.
  Directory& At(std::string_view path);
  // Null if there is none.
  const Change* Find(std::string_view path) const;
  // The root's own change.
  void SetRoot(Change change) { of_root_ = std::make_unique<Change>(std::move(change)); }

  Errno JudgeAll(const Judge& judge);
  // After that: a rename is one only if what stood at the old path is gone, or is another thing now.
  void CheckRenames();

  // Gives all changes to `visit`; a directory comes before what is in it, names in the order of their bytes. Directories that hold
  // a change and are none themselves are there as changed ones. A directory is judged when its turn comes, if that has not been done.
  // The tree is empty afterwards. kOk also where `visit` has ended it.
  Errno Emit(const Judge& judge, const OnChange& visit);

 private:
  const Directory* FindDirectory(std::string_view path) const;

  Directory root_;
  std::unique_ptr<Change> of_root_;
};

}  // namespace plyfs
