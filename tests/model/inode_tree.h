// inode_tree.h: a POSIX tree in memory: inodes, names, and the walk along a path.
// Not here: what each system call does to it (model.h), how layers become one tree
// (layer_union.h).
// Thread safety: none; one tree belongs to one thread.

#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace plyfs::model {

struct Inode;
using InodePtr = std::shared_ptr<Inode>;

struct Inode {
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t rdev = 0;
  std::string data;  // content of a regular file, target of a symlink
  std::map<std::string, std::string> xattrs;
  std::map<std::string, InodePtr> children;
  std::weak_ptr<Inode> parent;   // directories only
  bool dead = false;             // a directory that was removed
  bool linkable = false;         // O_TMPFILE without O_EXCL, not linked yet
  nlink_t nlink = 1;             // names in the union
  nlink_t hidden = 0;            // names that a lower has and the union does not show
  bool linked_in_lower = false;  // a lower has several names for it
  bool has_lower = false;        // came from a lower; for a directory: shows one

  // Learned from the mount, then expected until the model says that they change.
  std::optional<timespec> mtime;
  std::optional<ino_t> ino;

  // What the kernel's FUSE client may get wrong until the next mount (docs/protocol.md).
  bool mtime_may_be_stale = false;
  bool partly_listed = false;             // a listing of the directory was begun and perhaps not ended
  std::set<std::string> made_after_that;  // names

  bool IsDir() const { return S_ISDIR(mode); }
  bool IsReg() const { return S_ISREG(mode); }
  bool IsWhiteoutDevice() const { return S_ISCHR(mode) && rdev == 0; }
  bool IsLink() const { return S_ISLNK(mode); }
};

// Where a path leads.
struct Walk {
  int error = 0;         // of the walk up to and including the parent of the last component
  bool leaves = false;   // left the tree ("..", an absolute symlink): nothing can be said
  bool in_last = false;  // the error is the last component's own: its parent was found
  bool dots = false;     // the last component is "." or ".."
  InodePtr parent;
  std::string last;
  InodePtr node;  // null: no such name
};

enum class FinalSymlink { kKeep, kFollow };

constexpr size_t kNameMax = 255;

// Follows path from start as path_resolution(7) does. A dangling final symlink that is followed
// gives the place where its target would be.
Walk WalkPath(const InodePtr& start, const std::string& path, FinalSymlink final_symlink);

InodePtr NewInode(mode_t mode);

// Puts inode under parent by that name; the caller keeps nlink.
void AddChild(const InodePtr& parent, const std::string& name, const InodePtr& inode);

// True when `inode` is `dir` or lies below it.
bool IsBelow(const InodePtr& dir, InodePtr inode);

// The inode that carries those names, in the order of a depth-first walk; paths have no leading
// slash, the root is "".
std::map<std::string, InodePtr> AllPaths(const InodePtr& root);

}  // namespace plyfs::model
