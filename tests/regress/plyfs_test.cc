// plyfs_test.cc: mounting for the regression tests.
#include "tests/regress/plyfs_test.h"

#include <sys/stat.h>

namespace plyfs::test {

PlyfsTest::PlyfsTest() {
  for (const char* name : {"lower", "upper", "work"}) dir_.MakeDir(name);
}

UnionOptions PlyfsTest::Options(const std::string& extra) const {
  return {.target = Target::kPlyfs,
          .lowers = {dir_ / "lower"},
          .upper = dir_ / "upper",
          .work = dir_ / "work",
          .mountpoint = dir_ / "union",
          .extra = extra};
}

void PlyfsTest::Mount(const UnionOptions& options) {
  mount_ = std::make_unique<UnionMount>(options);
  ASSERT_TRUE(mount_->ok());
  server_ = mount_->ServerPid();
}

void PlyfsTest::Remount() {
  mount_->Remount();
  server_ = mount_->ServerPid();
}

void PlyfsTest::ExpectServerLives() {
  struct stat st = {};
  EXPECT_EQ(0, stat(mount_->path().c_str(), &st)) << "the root answers";
  EXPECT_EQ(server_, mount_->ServerPid()) << "the server is another process than at the mount";
}

}  // namespace plyfs::test
