// loop_device.cc: mkfs and a loop mount.
#include "tests/regress/loop_device.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"

namespace plyfs::test {

LoopExt4::LoopExt4(const std::string& directory, int mebibytes)
    : image_(directory + "/image.ext4"), mountpoint_(directory + "/small") {
  WriteFile(image_, "");
  EXPECT_EQ(0, truncate(image_.c_str(), static_cast<off_t>(mebibytes) << 20));
  EXPECT_EQ(0, mkdir(mountpoint_.c_str(), 0755));
  const ProgramResult made = RunProgram({"mkfs.ext4", "-q", "-F", "-m", "0", "-E",
                                         "lazy_itable_init=0", "-O", "^has_journal", image_});
  EXPECT_EQ(0, made.exit_code) << made.err;
  const ProgramResult mounted = RunProgram({"mount", "-o", "loop", image_, mountpoint_});
  EXPECT_EQ(0, mounted.exit_code) << mounted.err;
  mounted_ = made.exit_code == 0 && mounted.exit_code == 0;
}

LoopExt4::~LoopExt4() {
  if (mounted_) {
    const ProgramResult result = RunProgram({"umount", mountpoint_});
    EXPECT_EQ(0, result.exit_code) << result.err;
  }
  unlink(image_.c_str());
}

}  // namespace plyfs::test
