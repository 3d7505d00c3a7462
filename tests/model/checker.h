// checker.h: comparing what came out with what the model says, one operation or the whole tree.
// Not here: the model itself (model.h), running operations (executor.h).
// Thread safety: none; one checker belongs to one model.
//
// Numbers that the model cannot know (st_ino, an mtime that the kernel chose) are learned when they
// are first seen and expected from then on, until the model says that they changed.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "tests/model/executor.h"
#include "tests/model/inode_tree.h"
#include "tests/model/model.h"

namespace plyfs::model {

struct CheckOptions {
  bool inode_numbers = true;
  bool listed_numbers = true;  // d_ino is st_ino
  bool nlink = true;
  bool remembers = true;  // st_ino, and names removed from a lower, outlast a remount
  bool mtime = true;
  bool directory_mtime = true;
  bool one_device = true;        // st_dev of everything is the root's
  bool whiteout_devices = true;  // also look at character devices 0:0
  bool lower_links = true;       // also look at files that have several names in a lower
  std::string name_prefix = {};  // only such names of the root count; others are somebody else's
};

class Checker {
 public:
  explicit Checker(CheckOptions options) : options_(std::move(options)) {}

  /// Empty when the answer is right, else what is wrong with it.
  std::string CheckOp(const Op& op, const Expected& expected, const Actual& actual);

  /// Walks the tree below root_fd and compares everything. Empty, or one line for each difference
  /// (at most ten).
  std::string CheckTree(int root_fd, const InodePtr& root);

  /// The union has been mounted again; what does not outlast that is forgotten.
  void NoteRemount(const InodePtr& root);

 private:
  std::string CheckStat(const InodePtr& inode, const struct stat& st);
  std::string CheckNumber(const InodePtr& inode, ino_t number);
  std::string CheckListing(const InodePtr& dir, const std::map<std::string, InodePtr>& expected,
                           const Actual& actual);
  std::string CheckStream(const Expected& expected, const Actual& actual);
  std::string CheckXattrs(const InodePtr& inode, const std::string& path);
  std::string CheckNode(int parent_fd, const std::string& name, const InodePtr& inode);
  void WalkDir(int fd, const std::string& path, const InodePtr& dir);
  void Report(const std::string& path, const std::string& problem);
  bool Counts(const InodePtr& dir, const std::string& name) const;

  CheckOptions options_;
  std::map<ino_t, std::weak_ptr<Inode>> owners_;
  dev_t device_ = 0;
  bool remounted_ = false;
  std::string report_;
  int reported_ = 0;
};

}  // namespace plyfs::model
