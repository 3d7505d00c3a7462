// loop_device.h: a small ext4 of its own, in a file, mounted for one case.
// Thread safety: one owner.
#pragma once

#include <string>

namespace plyfs::test {

class LoopExt4 {
 public:
  /// Makes an image of `mebibytes` in `directory` and mounts it at `directory`/small. Failure is a
  /// gtest failure; ok() tells.
  LoopExt4(const std::string& directory, int mebibytes);
  /// Unmounts and removes the image.
  ~LoopExt4();
  LoopExt4(const LoopExt4&) = delete;
  LoopExt4& operator=(const LoopExt4&) = delete;

  bool ok() const { return mounted_; }
  const std::string& path() const { return mountpoint_; }

 private:
  std::string image_;
  std::string mountpoint_;
  bool mounted_ = false;
};

}  // namespace plyfs::test
