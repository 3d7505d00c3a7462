// apply_test.cc: what a good layer becomes on disk, in every order, over what was there before.
// Not here: layers that mean harm (hostile_test.cc).
#include "fs/oci/apply.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/base/unique_fd.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/oci/layer_fixture.h"
#include "tests/oci/raw_tar.h"

namespace plyfs::test {
namespace {

bool IsWhiteout(const std::string& path) {
  const struct stat stat = Lstat(path);
  return S_ISCHR(stat.st_mode) && stat.st_rdev == 0;
}
bool IsOpaque(const std::string& path) { return GetXattr(path, "trusted.overlay.opaque") == "y"; }

class ApplyTest : public testing::Test {
 protected:
  std::string at(const std::string& path) const { return dir_ / path; }
  Applied ApplyIt(const RawTar& tar, WhiteoutChoice whiteouts = WhiteoutChoice::kDeviceIfPossible) const {
    Applied applied = Apply(tar.End(), dir_.path(), whiteouts);
    EXPECT_TRUE(applied.ok) << applied.error;
    return applied;
  }
  TempDir dir_;
};

TEST_F(ApplyTest, AttributesOfEveryTypeAreKept) {
  RawTar tar;
  tar.Add("d/", {.type = '5', .mode = 0550, .pax = {{"mtime", "1500000000.25"}, {"uid", "5"}, {"gid", "6"}}});
  tar.Add("d/f", {.content = "text", .mode = 04751, .pax = {{"mtime", "1500000001.5"}, {"uid", "7"}, {"gid", "3000000"},
                                                            {"SCHILY.xattr.user.a", std::string("\0b", 2)}}});
  tar.Add("d/s", {.type = '2', .link = "f", .pax = {{"mtime", "1500000002"}, {"uid", "9"}}});
  tar.Add("d/c", {.type = '3', .mode = 0620, .device_major = 1, .device_minor = 3});
  tar.Add("d/b", {.type = '4', .device_major = 8, .device_minor = 1});
  tar.Add("d/p", {.type = '6', .mode = 0600});
  const Applied applied = ApplyIt(tar);
  EXPECT_EQ(applied.summary.entries, 6u);
  EXPECT_EQ(applied.summary.bytes, 4u);
  const struct stat d = Lstat(at("d"));
  EXPECT_EQ(d.st_mode, S_IFDIR | 0550u);
  EXPECT_EQ(d.st_uid, 5u);
  EXPECT_EQ(d.st_mtim.tv_sec, 1500000000) << "set after its entries were made";
  EXPECT_EQ(d.st_mtim.tv_nsec, 250000000);
  const struct stat f = Lstat(at("d/f"));
  EXPECT_EQ(f.st_mode, S_IFREG | 04751u);
  EXPECT_EQ(f.st_gid, 3000000u);
  EXPECT_EQ(f.st_mtim.tv_nsec, 500000000);
  EXPECT_EQ(GetXattr(at("d/f"), "user.a"), std::string("\0b", 2));
  EXPECT_EQ(ReadFile(at("d/f")), "text");
  EXPECT_EQ(Lstat(at("d/s")).st_mtim.tv_sec, 1500000002);
  EXPECT_EQ(Lstat(at("d/s")).st_uid, 9u);
  EXPECT_EQ(Lstat(at("d/c")).st_rdev, makedev(1, 3));
  EXPECT_EQ(Lstat(at("d/c")).st_mode, S_IFCHR | 0620u);
  EXPECT_EQ(Lstat(at("d/b")).st_rdev, makedev(8, 1));
  EXPECT_EQ(Lstat(at("d/p")).st_mode, S_IFIFO | 0600u);
}

TEST_F(ApplyTest, WhiteoutsAndOpaqueDirectoriesAreNative) {
  const Applied applied = ApplyIt(RawTar().File(".wh.a").Dir("d").File("d/.wh..wh..opq").File("x/y/.wh.z"));
  EXPECT_EQ(applied.summary.whiteouts, 3u);
  EXPECT_TRUE(IsWhiteout(at("a")));
  EXPECT_TRUE(IsOpaque(at("d")));
  EXPECT_EQ(ListDir(at("d")), std::vector<std::string>{});
  EXPECT_TRUE(IsWhiteout(at("x/y/z")));
  EXPECT_EQ(Lstat(at("x/y")).st_mode, S_IFDIR | 0755u) << "a parent that the layer does not bring";
}

TEST_F(ApplyTest, WhiteoutsCanBeFiles) {
  ApplyIt(RawTar().File(".wh.a").Dir("d").File("d/f"), WhiteoutChoice::kFile);
  EXPECT_EQ(ListDir(dir_.path()), (std::vector<std::string>{".wh.a", "d"}));
}

TEST_F(ApplyTest, AWhiteoutNeverHidesWhatTheSameLayerBrings) {
  ApplyIt(RawTar().File("f", "new").File(".wh.f").Dir("d").File("d/x").File(".wh.d").File("e/x", "new").File(".wh.e"));
  EXPECT_EQ(ReadFile(at("f")), "new");
  EXPECT_TRUE(Exists(at("d/x")) && Exists(at("e/x")));
  EXPECT_TRUE(IsOpaque(at("d")) && IsOpaque(at("e"))) << "the layers below are hidden all the same";
}

TEST_F(ApplyTest, AWhiteoutBeforeItsNameHidesTheLayersBelow) {
  ApplyIt(RawTar().File(".wh.f").File("f", "new").File(".wh.d").Dir("d").File(".wh.e").File("e/x"));
  EXPECT_EQ(ReadFile(at("f")), "new");
  EXPECT_TRUE(IsOpaque(at("d")) && IsOpaque(at("e")));
  EXPECT_TRUE(Exists(at("e/x")));
}

TEST_F(ApplyTest, AWhiteoutRemovesWhatWasThereBefore) {
  MakeDirs(at("d/old/deep"));
  WriteFile(at("d/old/deep/f"), "");
  WriteFile(at("f"), "");
  WriteFile(at("o"), "");
  MakeDirs(at("p/old"));
  WriteFile(at("p/old/f"), "");
  ApplyIt(RawTar().File("d/new", "stays").File(".wh.d").File(".wh.f").File("p/old/g", "stays").File("p/.wh..wh..opq"));
  EXPECT_EQ(ListDir(at("d")), std::vector<std::string>{"new"});
  EXPECT_TRUE(IsOpaque(at("d")));
  EXPECT_TRUE(IsWhiteout(at("f")));
  EXPECT_EQ(ListDir(at("p/old")), std::vector<std::string>{"g"});
  EXPECT_TRUE(IsOpaque(at("p")));
}

TEST_F(ApplyTest, TheLastEntryOfANameCounts) {
  RawTar tar;
  tar.File("a", "first").File("a", "second");
  tar.Dir("b").File("b/x").File("b", "a file now");
  tar.File("c", "x").Dir("c").File("c/y");
  tar.Symlink("d", "x").Dir("d");
  tar.Xattr("e/", "user.gone", "1", '5').Add("e/", {.type = '5', .mode = 0711});
  ApplyIt(tar);
  EXPECT_EQ(ReadFile(at("a")), "second");
  EXPECT_EQ(ReadFile(at("b")), "a file now");
  EXPECT_TRUE(Exists(at("c/y")));
  EXPECT_FALSE(IsOpaque(at("c"))) << "the file was never in a layer below it";
  EXPECT_TRUE(S_ISDIR(Lstat(at("d")).st_mode));
  EXPECT_EQ(ListXattrs(at("e")), std::vector<std::string>{});
  EXPECT_EQ(Lstat(at("e")).st_mode, S_IFDIR | 0711u);
}

TEST_F(ApplyTest, ADirectoryInThePlaceOfAnOlderFileIsOpaque) {
  WriteFile(at("x"), "hid a directory of a lower");
  MakeWhiteout(at("y"));
  ApplyIt(RawTar().Dir("x").Dir("y"));
  EXPECT_TRUE(IsOpaque(at("x")) && IsOpaque(at("y")));
}

TEST_F(ApplyTest, AnOlderDirectoryIsKeptAndGetsNewAttributes) {
  MakeDirs(at("d"));
  WriteFile(at("d/old"), "");
  MakeOpaque(at("d"));
  ASSERT_EQ(SetXattr(at("d"), "user.old", "1"), 0);
  ApplyIt(RawTar().Xattr("d/", "user.new", "1", '5'));
  EXPECT_TRUE(Exists(at("d/old")));
  EXPECT_EQ(ListXattrs(at("d")), (std::vector<std::string>{"trusted.overlay.opaque", "user.new"}));
}

TEST_F(ApplyTest, HardLinksShareOneInode) {
  ApplyIt(RawTar().File("a", "content").HardLink("d/b", "a").HardLink("./c", "./d/b").HardLink("a", "a"));
  EXPECT_EQ(Lstat(at("a")).st_nlink, 3u);
  EXPECT_EQ(Lstat(at("a")).st_ino, Lstat(at("d/b")).st_ino);
  EXPECT_EQ(Lstat(at("a")).st_ino, Lstat(at("c")).st_ino);
}

TEST_F(ApplyTest, ADefaultAclIsNotInheritedByWhatTheLayerBrings) {
  // user::rwx user:1:rwx group::r-x mask::rwx other::---, as linux/posix_acl_xattr.h has it
  const std::string acl("\2\0\0\0\1\0\7\0\377\377\377\377\2\0\7\0\1\0\0\0\4\0\5\0\377\377\377\377\20\0\7\0\377\377\377\377\40\0\0\0\377\377\377\377", 44);
  ApplyIt(RawTar().Xattr("d/", "system.posix_acl_default", acl, '5').File("d/f").Dir("d/e"));
  EXPECT_EQ(GetXattr(at("d"), "system.posix_acl_default"), acl);
  EXPECT_EQ(ListXattrs(at("d/f")), std::vector<std::string>{});
  EXPECT_EQ(ListXattrs(at("d/e")), std::vector<std::string>{});
  // Now it was there before.
  ApplyIt(RawTar().File("d/g").Dir("d/h"));
  EXPECT_EQ(ListXattrs(at("d/g")), std::vector<std::string>{});
  EXPECT_EQ(ListXattrs(at("d/h")), std::vector<std::string>{});
}

TEST_F(ApplyTest, TheRootHasItsEntrysAttributesAndElseKeepsItsTime) {
  SetTimes(dir_.path(), 1000, 7);
  ApplyIt(RawTar());
  EXPECT_EQ(Lstat(dir_.path()).st_mtim.tv_sec, 1000) << "probing leaves no trace";
  ApplyIt(RawTar().Add("./", {.type = '5', .mode = 0711}).File("f"));
  EXPECT_EQ(Lstat(dir_.path()).st_mode, S_IFDIR | 0711u);
  EXPECT_EQ(Lstat(dir_.path()).st_mtim.tv_sec, 1'000'000'000);
}

TEST_F(ApplyTest, ADirectoryInUseByAMountIsRefused) {
  const UniqueFd mount(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(mount.get(), LOCK_EX | LOCK_NB), 0);
  const Applied applied = Apply(RawTar().File("f").End(), dir_.path());
  EXPECT_FALSE(applied.ok);
  EXPECT_NE(applied.error.find("in use by a mount"), std::string::npos) << applied.error;
  EXPECT_FALSE(Exists(at("f")));
}

TEST_F(ApplyTest, GzipAndZstdAreFoundOut) {
  WriteFile(at("tar"), RawTar().File("f", "content").End());
  for (const char* program : {"gzip", "zstd"}) {
    const ProgramResult packed = RunProgram({"sh", "-c", std::string(program) + " -c <" + at("tar")});
    const TempDir out;
    const Applied applied = Apply(packed.out, out.path());
    ASSERT_TRUE(applied.ok) << program << ": " << applied.error;
    EXPECT_EQ(ReadFile(out / "f"), "content");
    EXPECT_FALSE(Apply(packed.out.substr(0, packed.out.size() / 2), out.path()).ok) << program;
  }
}

TEST_F(ApplyTest, SparseFilesOfGnuTarKeepTheirHoles) {
  WriteFile(at("sparse"), "");
  const UniqueFd fd(::open(at("sparse").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "data", 4, 30 << 20), 4);
  ASSERT_EQ(::ftruncate(fd.get(), 64 << 20), 0);
  for (const char* format : {"gnu", "pax"}) {
    ASSERT_EQ(RunProgram({"tar", "-C", dir_.path(), std::string("--format=") + format, "-Scf", at("tar"), "sparse"}).exit_code, 0);
    const TempDir out;
    ASSERT_TRUE(Apply(ReadFile(at("tar")), out.path()).ok);
    EXPECT_TRUE(ReadFile(out / "sparse") == ReadFile(at("sparse"))) << format;
    EXPECT_LT(Lstat(out / "sparse").st_blocks * 512, 1 << 20) << format;
  }
}

TEST_F(ApplyTest, WithoutPrivilegeEachKindIsWarnedOfOnce) {
  SetMode(dir_.path(), 0777);
  const std::string tar = RawTar()
                              .Add("a", {.content = "x", .mode = 04755, .pax = {{"SCHILY.xattr.trusted.t", "1"}}})
                              .Add("b", {.content = "x", .pax = {{"SCHILY.xattr.trusted.t", "1"}}})
                              .Add("c", {.type = '3', .device_major = 1, .device_minor = 3})
                              .Dir("d", 0500)
                              .File("d/f")
                              .File(".wh.w")
                              .End();
  WriteFile(at("tar"), tar);
  const int result = RunAs({.uid = 4000, .gid = 4000}, [&] {
    const Applied applied = Apply(tar, dir_.path());
    return applied.ok ? static_cast<int>(applied.warnings.size()) : 100;
  });
  EXPECT_EQ(result, 3) << "owners, trusted attributes, devices";
  EXPECT_EQ(Lstat(at("a")).st_mode, S_IFREG | 0755u) << "not setuid for another owner";
  EXPECT_EQ(Lstat(at("d")).st_mode, S_IFDIR | 0500u);
  EXPECT_TRUE(Exists(at("d/f")));
  EXPECT_FALSE(Exists(at("c")));
  EXPECT_TRUE(IsWhiteout(at("w"))) << "anybody may make a device 0:0";
}

TEST_F(ApplyTest, ProgressIsTold) {
  WriteFile(at("tar"), RawTar().File("a", std::string(5000, 'x')).Dir("d").End());
  const TempDir out;
  const UniqueFd layer(::open(at("tar").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd target(::open(out.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  LayerProgress last;
  ApplyOptions options;
  options.progress = [&](const LayerProgress& progress) { last = progress; };
  ApplySummary summary;
  LayerError error;
  ASSERT_TRUE(ApplyLayer(layer.get(), target.get(), options, &summary, &error)) << error.message;
  EXPECT_EQ(last.entries, 2u);
  EXPECT_EQ(last.bytes, 5000u);
}

}  // namespace
}  // namespace plyfs::test
