// tree_snapshot.h: a whole tree as text, so that two trees compare with one EXPECT_EQ.
// Not here: reading single files (file_ops.h).
// Thread safety: stateless.
#pragma once

#include <string>

namespace plyfs::test {

struct SnapshotOptions {
  bool inode_numbers = false;
  bool directory_sizes = false;  // differ between any two filesystems
  bool directory_nlink = false;  // overlayfs says 1 for merged directories
  bool times = true;             // mtime only
  bool xattrs = true;
};

/// One line for each entry, sorted by path: type, mode, uid:gid, nlink, rdev, size, mtime, xattrs,
/// and the content of files (its hash when longer than 64 bytes) or the target of symlinks.
/// The root itself is the line ".". What cannot be read becomes part of the text ("errno=5").
std::string SnapshotOf(const std::string& root, const SnapshotOptions& options = {});

}  // namespace plyfs::test
