// temp_dir.h: a directory that exists as long as its object.
// Not here: mounts (union_mount.h); only leftovers of a mount are detached before removal.
// Thread safety: none needed, one owner.
#pragma once

#include <string>

namespace plyfs::test {

/// A fresh directory under $TMPDIR, or /var/tmp when that is unset or is a tmpfs: layers need
/// xattrs, whiteouts and O_TMPFILE of a disk filesystem. The destructor removes the tree whatever
/// its modes, inode flags and depth; a mount that was forgotten in it is reported and detached.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  /// Absolute, without a trailing slash.
  const std::string& path() const { return path_; }
  /// path() + "/" + name.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  /// Creates the directory `name` (one level, mode 0755) and returns its path.
  std::string MakeDir(const std::string& name) const;

 private:
  std::string path_;
};

/// Removes the tree at `path`, as ~TempDir does. Returns 0 or the first errno that was met.
int RemoveTree(const std::string& path);

}  // namespace plyfs::test
