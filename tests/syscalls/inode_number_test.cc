// inode_number_test.cc: st_ino never changes, st_dev is one, and no two objects share a number.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <map>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct ObjectRow {
  const char* name;
  mode_t type;
};

std::vector<ObjectRow> AllObjects() {
  std::vector<ObjectRow> rows;
  for (const TreeObject& object : kTreeObjects) rows.push_back({object.path, object.type});
  return rows;
}

class InodeNumber : public RowTest<ObjectRow> {
 protected:
  std::string path() const { return P(row().name); }
  void Check(const std::string& at, const char* when) {
    EXPECT_EQ(ino_, Lstat(at).st_ino) << when;
    EXPECT_EQ(Lstat(Root()).st_dev, Lstat(at).st_dev) << when;
  }
  ino_t ino_ = 0;
};

TEST_P(InodeNumber, StaysThroughTheLifeOfTheObject) {
  ino_ = Lstat(path()).st_ino;
  mount().DropCaches();
  Check(path(), "caches dropped");
  Remount();
  Check(path(), "remounted");
  ASSERT_EQ(0, lchown(path().c_str(), kAlice, kAlice));
  Check(path(), "copied up");
  mount().DropCaches();
  Check(path(), "copied up, caches dropped");
  Remount();
  Check(path(), "copied up and remounted");
  if (row().type == S_IFREG) {
    AppendFile(path(), "x");
    Check(path(), "written");
  }
  if (row().type == S_IFDIR) return;
  ASSERT_EQ(0, rename(path().c_str(), P("lowdir/renamed").c_str()));
  Check(P("lowdir/renamed"), "renamed");
  Remount();
  Check(P("lowdir/renamed"), "renamed and remounted");
}

TEST_P(InodeNumber, OfALowerStaysWhenItIsRenamedFirst) {
  if (row().type == S_IFDIR) return;
  ino_ = Lstat(path()).st_ino;
  ASSERT_EQ(0, rename(path().c_str(), P("updir/renamed").c_str()));
  Check(P("updir/renamed"), "renamed");
  mount().DropCaches();
  Check(P("updir/renamed"), "renamed, caches dropped");
  Remount();
  Check(P("updir/renamed"), "renamed and remounted");
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, InodeNumber,
                         testing::Combine(AllTargets(), testing::ValuesIn(AllObjects())),
                         NameRow());

using InodeNumbers = SyscallTest;

void ForEach(const std::string& dir, const std::function<void(const std::string&)>& visit) {
  for (const std::string& name : ListDir(dir)) {
    visit(dir + "/" + name);
    if (S_ISDIR(Lstat(dir + "/" + name).st_mode)) ForEach(dir + "/" + name, visit);
  }
}

TEST_P(InodeNumbers, AreUniqueButForHardLinks) {
  std::map<ino_t, std::string> seen{{Lstat(Root()).st_ino, "root"}};
  ForEach(Root(), [&](const std::string& path) {
    const struct stat st = Lstat(path);
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) return;
    const auto [other, is_new] = seen.emplace(st.st_ino, path);
    EXPECT_TRUE(is_new) << path << " and " << other->second;
  });
}

TEST_P(InodeNumbers, OfNewFilesAreNotThoseOfOldOnes) {
  std::map<ino_t, std::string> seen;
  ForEach(Root(), [&](const std::string& path) { seen.emplace(Lstat(path).st_ino, path); });
  for (int i = 0; i < 100; ++i) {
    const std::string path = P("lowdir/new" + std::to_string(i));
    WriteFile(path, "x");
    EXPECT_FALSE(seen.contains(Lstat(path).st_ino)) << seen[Lstat(path).st_ino];
  }
}

TEST_P(InodeNumbers, DeviceIsOneAndTheMounts) {
  const dev_t dev = Lstat(Root()).st_dev;
  ForEach(Root(), [&](const std::string& path) { EXPECT_EQ(dev, Lstat(path).st_dev) << path; });
  if (is_union()) {
    EXPECT_NE(dev, Lstat(InUpper("")).st_dev);
  }
}

TEST_P(InodeNumbers, TwoMountsHaveTwoDevices) {
  if (!is_union()) return;
  UnionMount other({.target = GetParam(),
                    .lowers = {dir() / "middle"},
                    .upper = dir().MakeDir("u2"),
                    .work = dir().MakeDir("w2"),
                    .mountpoint = dir() / "m2"});
  EXPECT_NE(Lstat(Root()).st_dev, Lstat(other.path()).st_dev);
}

TEST_P(InodeNumbers, ParentsMtimeIsNotChangedByCopyUpOfChildren) {
  AppendFile(P("lowdir/sub/c"), "x");
  AppendFile(P("merged/low"), "x");
  for (const char* name : {"lowdir/sub", "lowdir", "merged", ""})
    EXPECT_EQ(OldTime(), TimeOf(Lstat(P(name)).st_mtim)) << name;
  Remount();
  for (const char* name : {"lowdir/sub", "lowdir", "merged", ""})
    EXPECT_EQ(OldTime(), TimeOf(Lstat(P(name)).st_mtim)) << name;
}

TEST_P(InodeNumbers, OpenDescriptorAndPathAgreeAfterCopyUp) {
  OpenFile file(P("lowfile"), O_RDONLY), dir(P("lowdir"), O_RDONLY);
  AppendFile(P("lowfile"), "x");
  WriteFile(P("lowdir/new"), "x");
  EXPECT_EQ(Fstat(file.fd()).st_ino, Lstat(P("lowfile")).st_ino);
  EXPECT_EQ(Fstat(dir.fd()).st_ino, Lstat(P("lowdir")).st_ino);
  EXPECT_EQ(Fstat(file.fd()).st_size, 5);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, InodeNumbers, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
