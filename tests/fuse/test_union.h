// test_union.h: a real Overlay over temporary directories, served through a FakeKernel.
// Not here: mounts; no test of this folder needs one.
// Thread safety: one thread.
#pragma once

#include <memory>
#include <string>

#include "fs/overlay/overlay.h"
#include "tests/harness/temp_dir.h"

namespace plyfs {

class TestUnion {
 public:
  TestUnion();

  Overlay& overlay() { return *overlay_; }
  // A file that is in the lower layer from the start.
  static constexpr const char* kLowerFile = "lower_file";
  static constexpr const char* kLowerContent = "what the lower layer says";
  static constexpr const char* kLowerDir = "lower_dir";  // holds kDirEntries files
  static constexpr int kDirEntries = 50;

 private:
  test::TempDir dir_;
  std::unique_ptr<Overlay> overlay_;
};

}  // namespace plyfs
