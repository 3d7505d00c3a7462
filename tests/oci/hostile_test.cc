// hostile_test.cc: tars that want out of the directory, to forge marks, or to break the one who unpacks them.
// Not here: what a good layer becomes (apply_test.cc).
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/harness/file_ops.h"
#include "tests/harness/tree_snapshot.h"
#include "tests/oci/layer_fixture.h"
#include "tests/oci/raw_tar.h"

namespace plyfs::test {
namespace {

// The directory lies in `outside`, which holds what must not be reached.
class HostileLayer : public testing::Test {
 protected:
  HostileLayer() {
    outside_.MakeDir("target");
    outside_.MakeDir("secrets");
    WriteFile(outside_ / "secrets/key", "secret");
    WriteFile(outside_ / "victim", "victim");
  }
  std::string target() const { return outside_ / "target"; }
  std::string Outside() const { return SnapshotOf(outside_ / "secrets") + SnapshotOf(outside_ / "victim"); }

  TempDir outside_;
};

struct HostileCase {
  const char* name;
  RawTar tar;
  const char* says;  // part of the error
};

std::string Long(size_t size) { return std::string(size, 'n'); }

std::vector<HostileCase> HostileCases() {
  std::vector<HostileCase> cases = {
      {"DotDot", RawTar().File("../victim", "x"), "'..'"},
      {"DotDotInside", RawTar().Dir("a").File("a/../../victim", "x"), "'..'"},
      {"DotDotThatStaysInside", RawTar().Dir("a").File("a/../b", "x"), "'..'"},
      {"DotDotAlone", RawTar().Dir(".."), "'..'"},
      {"DotDotInPax", RawTar().Add("a", {.pax = {{"path", "../victim"}}}), "'..'"},
      {"AbsoluteName", RawTar().File("/etc/plyfs-test-of-absolute-names", "x"), "absolute"},
      {"EmptyName", RawTar().File("", "x"), ""},
      {"SymlinkedParent", RawTar().Symlink("s", "..").File("s/victim", "x"), "symlink"},
      {"SymlinkedParentAbsolute", RawTar().Symlink("s", "/tmp").File("s/plyfs-test", "x"), "symlink"},
      {"SymlinkedGrandparent", RawTar().Dir("a").Symlink("a/s", "../../secrets").File("a/s/b/c", "x"), "symlink"},
      {"SymlinkedParentToInside", RawTar().Dir("d").Symlink("s", "d").File("s/f", "x"), "symlink"},
      {"DirectoryBelowASymlink", RawTar().Symlink("s", "../secrets").Dir("s/new"), "symlink"},
      {"WhiteoutBelowASymlink", RawTar().Symlink("s", "../secrets").File("s/.wh.key"), "symlink"},
      {"OpaqueBelowASymlink", RawTar().Symlink("s", "../secrets").File("s/.wh..wh..opq"), "symlink"},
      {"HardLinkOut", RawTar().HardLink("h", "../victim"), "hard link"},
      {"HardLinkOutAbsolute", RawTar().HardLink("h", "/etc/passwd"), "hard link"},
      {"HardLinkThroughASymlink", RawTar().Symlink("s", "../secrets").HardLink("h", "s/key"), "symlink"},
      {"HardLinkToADirectory", RawTar().Dir("d").HardLink("h", "d"), "directory"},
      {"HardLinkToTheRoot", RawTar().HardLink("h", "."), "hard link"},
      {"HardLinkToNothing", RawTar().HardLink("h", "missing"), "missing"},
      {"HardLinkToAWhiteout", RawTar().File(".wh.gone").HardLink("h", "gone"), "gone"},
      {"HardLinkToAWhiteoutFile", RawTar().File("f").HardLink("h", ".wh.f"), "whiteout"},
      {"HardLinkInsideOfWhatItReplaces", RawTar().Dir("d").File("d/f").HardLink("d", "d/f"), ""},
      {"FileAsParent", RawTar().File("f").File("f/g"), "no directory"},
      {"FifoAsParent", RawTar().Add("f", {.type = '6'}).File("f/g"), "no directory"},
      {"RootAsAFile", RawTar().File("."), "root"},
      {"RootAsASymlink", RawTar().Symlink(".", "/tmp"), "root"},
      {"WhiteoutOfDotDot", RawTar().File(".wh..."), "whiteout of nothing"},
      {"WhiteoutOfDot", RawTar().File(".wh.."), "whiteout of nothing"},
      {"WhiteoutOfNothing", RawTar().File(".wh."), "whiteout of nothing"},
      {"WhiteoutOfAWhiteout", RawTar().File(".wh..wh.x"), "aufs"},
      {"AufsDirectory", RawTar().Dir(".wh..wh.plnk"), "aufs"},
      {"WhiteoutThatIsADirectory", RawTar().Dir(".wh.x"), "no regular file"},
      {"WhiteoutThatIsASymlink", RawTar().Symlink(".wh.x", "/"), "no regular file"},
      {"NameBelowAWhiteout", RawTar().File(".wh.x/y"), "below a whiteout"},
      {"LongComponent", RawTar().Add("a", {.pax = {{"path", Long(256)}}}), "255"},
      {"LongSymlink", RawTar().Add("a", {.type = '2', .pax = {{"linkpath", Long(4096)}}}), "symlink"},
      {"EmptySymlink", RawTar().Symlink("s", ""), "symlink"},
      {"HugeXattr", RawTar().Xattr("f", "user.x", Long(65537)), "64 KiB"},
      {"LongXattrName", RawTar().Xattr("f", "user." + Long(251), "x"), "too long"},
      {"LongXattrNameOnceEscaped", RawTar().Xattr("f", "user.overlay." + Long(241), "x"), "too long"},
      {"ForgedOwner", RawTar().Xattr("f", "user.containers.override_stat", "0:0:4755"), "private"},
      {"ForgedOwnerOfRoot", RawTar().Xattr("./", "user.fuseoverlayfs.override_stat", "0:0:4755", '5'), "private"},
      {"ForgedFuseOverlayfsOpaque", RawTar().Xattr("d/", "user.fuseoverlayfs.opaque", "y", '5'), "private"},
      {"GiganticHeader", RawTar().Add("f", {.pax = {{"comment", Long(2 << 20)}}}), "reading the layer"},
      {"OwnerOutOfRange", RawTar().Add("f", {.pax = {{"uid", "4294967295"}}}), "owner"},
  };
  std::string deep = "d";
  while (deep.size() < 4096) deep += "/d";
  cases.push_back({"DeeperThanPathMax", RawTar().Add("a", {.pax = {{"path", deep}}}), "4,095"});
  RawTar::Options many;
  for (int i = 0; i < 6000; ++i) many.pax.emplace_back("SCHILY.xattr.user.attribute" + std::to_string(i), "v");
  cases.push_back({"ManyXattrs", RawTar().Add("f", many), "too many"});
  return cases;
}

class RefusedLayer : public HostileLayer, public testing::WithParamInterface<HostileCase> {};

TEST_P(RefusedLayer, IsRefusedAndReachesNothing) {
  const std::string before = Outside();
  const Applied applied = Apply(GetParam().tar.End(), target());
  EXPECT_FALSE(applied.ok);
  EXPECT_NE(applied.error.find(GetParam().says), std::string::npos) << applied.error;
  EXPECT_EQ(Outside(), before);
  EXPECT_FALSE(Exists("/etc/plyfs-test-of-absolute-names"));
  EXPECT_FALSE(Exists("/tmp/plyfs-test"));
}
INSTANTIATE_TEST_SUITE_P(Layers, RefusedLayer, testing::ValuesIn(HostileCases()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_F(HostileLayer, MarksOfAnOverlayBecomeAUsersOwnAttributes) {
  RawTar tar;
  tar.Xattr("d/", "trusted.overlay.opaque", "y", '5').Xattr("r/", "trusted.overlay.redirect", "/etc", '5');
  tar.Xattr("f", "user.overlay.metacopy", "").Xattr("g", "trusted.overlay.plyfs.device", "0:0");
  const Applied applied = Apply(tar.End(), target());
  ASSERT_TRUE(applied.ok) << applied.error;
  EXPECT_EQ(ListXattrs(target() + "/d"), std::vector<std::string>{"trusted.overlay.overlay.opaque"});
  EXPECT_EQ(ListXattrs(target() + "/r"), std::vector<std::string>{"trusted.overlay.overlay.redirect"});
  EXPECT_EQ(ListXattrs(target() + "/f"), std::vector<std::string>{"user.overlay.overlay.metacopy"});
  EXPECT_EQ(ListXattrs(target() + "/g"), std::vector<std::string>{"trusted.overlay.overlay.plyfs.device"});
}

TEST_F(HostileLayer, ADeviceThatLooksLikeAWhiteoutHidesNothing) {
  WriteFile(outside_ / "secrets/dev", "below");
  const Applied applied = Apply(RawTar().Add("dev", {.type = '3'}).End(), target());
  ASSERT_TRUE(applied.ok) << applied.error;
  EXPECT_TRUE(S_ISREG(Lstat(target() + "/dev").st_mode)) << "no device 0:0 on disk";
  const auto shown = OpenUnion({target(), outside_ / "secrets"});
  const Result<Entry> entry = shown->Lookup(NodeId::kRoot, *Name::Parse(std::string("dev")));
  ASSERT_TRUE(entry.ok() && entry->id != NodeId::kNone);
  EXPECT_TRUE(S_ISCHR(entry->attr.mode));
}

TEST_F(HostileLayer, SymlinksThatWereThereBeforeAreNotFollowed) {
  MakeSymlink("../secrets", target() + "/s");
  MakeSymlink("../victim", target() + "/file");
  const std::string before = Outside();
  EXPECT_FALSE(Apply(RawTar().File("s/key", "x").End(), target()).ok);
  EXPECT_FALSE(Apply(RawTar().HardLink("h", "s/key").End(), target()).ok);
  EXPECT_TRUE(Apply(RawTar().File("file", "x").Dir("s").File("s/key", "x").File(".wh.s").End(), target()).ok);
  EXPECT_EQ(Outside(), before);
  EXPECT_TRUE(S_ISREG(Lstat(target() + "/file").st_mode));
  EXPECT_TRUE(S_ISDIR(Lstat(target() + "/s").st_mode));
}

TEST_F(HostileLayer, EveryTruncationIsAnErrorOrAShorterLayer) {
  RawTar tar;
  tar.Dir("d").File("d/f", std::string(1500, 'x')).Add("d/g", {.pax = {{"SCHILY.xattr.user.a", "b"}}}).Symlink("s", "d");
  const std::string whole = tar.body();
  for (size_t size = 0; size < whole.size(); size += 64) {
    const Applied applied = Apply(whole.substr(0, size), target());
    if (size % 512 != 0) {
      EXPECT_FALSE(applied.ok) << size;
    }
  }
}

TEST_F(HostileLayer, GarbageIsAnError) {
  unsigned state = 1;
  for (int round = 0; round < 50; ++round) {
    std::string bytes(512 * (1 + round % 5), '\0');
    for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    EXPECT_FALSE(Apply(bytes, target()).ok) << round;
  }
  EXPECT_FALSE(Apply("", target()).ok);
}

TEST_F(HostileLayer, DamagedBytesNeverReachOutside) {
  RawTar tar;
  tar.Dir("d").File("d/f", "content").Symlink("s", "../secrets").HardLink("h", "d/f").File("d/.wh.x").Xattr("y", "user.a", "b");
  const std::string good = tar.End();
  const std::string before = Outside();
  unsigned state = 7;
  for (int round = 0; round < 150; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) {
      state = state * 1664525 + 1013904223;
      bytes[(state >> 8) % bytes.size()] ^= static_cast<char>(1 << (state & 7));
    }
    const Applied applied = Apply(bytes, target());
    EXPECT_EQ(applied.ok, applied.error.empty());
  }
  EXPECT_EQ(Outside(), before);
}

TEST_F(HostileLayer, ADeepTreeIsReplacedByAFile) {
  std::string deep;
  for (int i = 0; i < 1100; ++i) deep += "d/";
  RawTar tar;
  tar.Add("a", {.pax = {{"path", deep + "f"}}}).File("d", "now a file");
  const Applied applied = Apply(tar.End(), target());
  ASSERT_TRUE(applied.ok) << applied.error;
  EXPECT_EQ(ReadFile(target() + "/d"), "now a file");
}

}  // namespace
}  // namespace plyfs::test
