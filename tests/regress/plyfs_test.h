// plyfs_test.h: the fixture of the regression tests: directories for layers, and mounts of plyfs.
// Not here: the standard tree of the system call tests; each case here builds what it is about.
// Thread safety: gtest's: one case at a time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::test {

class PlyfsTest : public testing::Test {
 protected:
  /// Makes lower, upper, work.
  PlyfsTest();

  /// The options of an ordinary mount of the three directories.
  UnionOptions Options(const std::string& extra = "") const;
  /// Mounts; the mount is P()'s.
  void Mount(const std::string& extra = "") { Mount(Options(extra)); }
  void Mount(const UnionOptions& options);
  void Unmount() { mount_.reset(); }
  void Remount();
  UnionMount& mount() { return *mount_; }

  std::string P(const std::string& name) const { return *mount_ / name; }
  std::string Lower(const std::string& name) const { return dir_ / ("lower/" + name); }
  std::string Upper(const std::string& name) const { return dir_ / ("upper/" + name); }
  const TempDir& dir() const { return dir_; }

  /// The server answers and is the process that it was: nothing crashed.
  void ExpectServerLives();

 private:
  TempDir dir_;
  std::unique_ptr<UnionMount> mount_;
  pid_t server_ = 0;
};

}  // namespace plyfs::test
