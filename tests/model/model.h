// model.h: what each operation must answer, and what the tree looks like after it.
// Not here: doing it for real (executor.h), comparing (checker.h), what layers show
// (layer_union.h).
// Thread safety: none; one model belongs to one thread.
//
// The model is the Linux VFS as root sees it on a local filesystem. Where a union may answer
// otherwise, Expected names the second errno that is right, too.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/model/inode_tree.h"
#include "tests/model/op.h"

namespace plyfs::model {

struct ModelOptions {
  mode_t umask = 0;
  bool directory_rename_exdev = false;  // EXDEV may answer the rename of a lower directory
  bool is_union = true;
  bool has_tmpfile = true;
  // The kernel's FUSE client stands between, and keeps attributes and listings.
  bool fuse_client = false;
  // Other threads stat and list at the same time.
  bool others_look = false;
  // A character device 0:0 and RENAME_WHITEOUT are refused. What kernel overlayfs is known to do
  // otherwise is left out: attributes of a lower file or
  // directory that was removed while open (nlink stays, changes fail with EEXIST or ENOTDIR); a
  // mapping made before copy-up (shows the lower file for ever); the source directory's mtime when
  // a rename fails with ENOTEMPTY (changes).
  bool kernel_overlay = false;
};

/// What the model says about one operation.
struct Expected {
  bool skip = false;  // nothing can be said; the operation must not be run
  int error = 0;
  int other_error = 0;       // as good as `error` when not 0
  InodePtr inode = nullptr;  // kStat, kFstat, and what the slot of an open refers to
  std::string data = {};     // bytes read, link target, xattr value
  int64_t value = 0;         // bytes written or copied
  std::map<std::string, InodePtr> entries = {};  // kReaddir
  std::set<std::string> lasting = {};            // kDirEnd: names that were there all the time
  std::set<std::string> possible = {};           // kDirEnd: names that were there at some time
};

struct OpenFile {
  InodePtr inode;
  int flags = 0;
  bool CanRead() const { return (flags & 3) != 1; }
  bool CanWrite() const { return (flags & 3) != 0; }
};

class Model {
 public:
  Model(InodePtr root, ModelOptions options);

  /// Applies op. `seen` is the errno that the real filesystem gave, if it has run: where more than
  /// one errno is right, the model follows it.
  Expected Apply(const Op& op, std::optional<int> seen);

  /// True when op must not be run at all: it would leave the tree or block.
  bool MustSkip(const Op& op) const;

  const InodePtr& root() const { return root_; }
  const std::optional<OpenFile>& slot(int index) const { return slots_[index]; }
  bool dir_stream_open(int index) const { return streams_[index].has_value(); }
  void CloseAll();

 private:
  // A directory stream: what was there when it was opened and has stayed, and what was ever there.
  struct DirStream {
    InodePtr dir;
    std::set<std::string> lasting;
    std::set<std::string> possible;
  };

  Expected ApplyNameOp(const Op& op, std::optional<int> seen);
  Expected ApplyAttrOp(const Op& op);
  Expected ApplyLookOp(const Op& op);
  Expected ApplyFdOp(const Op& op);
  Expected ApplyStreamOp(const Op& op);

  Expected Mkdir(const Op& op);
  Expected Rmdir(const Op& op);
  Expected Unlink(const Op& op);
  Expected Rename(const Op& op, std::optional<int> seen);
  Expected Link(const Op& op);
  Expected Symlink(const Op& op);
  Expected Mknod(const Op& op);
  Expected Open(const Op& op);
  Expected Tmpfile(const Op& op);
  Expected LinkFd(const Op& op);
  Expected LinkInode(const InodePtr& inode, const std::string& new_path);
  Expected Pwrite(const Op& op, const OpenFile& file);
  Expected Fallocate(const Op& op, const OpenFile& file);
  Expected CopyRange(const Op& op, const OpenFile& from, const OpenFile& to);

  // Where op.path leads from op.base; error EBADF or ENOTDIR when the base is no directory.
  Walk Resolve(const Op& op, FinalSymlink final_symlink) const;
  // The walk of a call that makes a name: EEXIST when there is one.
  Walk ResolveNew(const InodePtr& base, const std::string& path) const;
  bool KernelDiffers(const Op& op) const;
  bool ChangesDeadDirectory(const Op& op) const;
  int RenameError(const Op& op, const Walk& from, const Walk& to) const;
  InodePtr Create(const Walk& where, mode_t mode);
  void DropName(const InodePtr& parent, const std::string& name);
  void PutName(const InodePtr& parent, const std::string& name, const InodePtr& inode);
  void NoteName(const InodePtr& parent, const std::string& name, bool present);
  void NoteStaleMtime(const Op& op, const InodePtr& inode) const;

  InodePtr root_;
  ModelOptions options_;
  std::array<std::optional<OpenFile>, kSlots> slots_;
  std::array<std::optional<DirStream>, kDirSlots> streams_;
};

}  // namespace plyfs::model
