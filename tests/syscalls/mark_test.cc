// mark_test.cc: whiteouts and opaque marks of every format, on reading and as they are written.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

enum class Format {
  kDevice,         // character device 0:0, trusted.overlay.opaque
  kWhPrefix,       // .wh.NAME, .wh..wh..opq
  kUserXattr,      // character device, user.overlay.opaque
  kFuseXattr,      // character device, user.fuseoverlayfs.opaque
  kXattrWhiteout,  // an empty file with overlay.whiteout in a directory with opaque=x
};

enum class Kernel { kReads, kReadsInLowers, kDoesNotRead };

struct MarkCase {
  const char* name;
  Format format;
  Kernel kernel;
};

const MarkCase kMarks[] = {
    {"Device", Format::kDevice, Kernel::kReads},
    {"WhPrefix", Format::kWhPrefix, Kernel::kDoesNotRead},
    {"UserXattr", Format::kUserXattr, Kernel::kDoesNotRead},
    {"FuseXattr", Format::kFuseXattr, Kernel::kDoesNotRead},
    {"XattrWhiteout", Format::kXattrWhiteout, Kernel::kReadsInLowers},
};

void PutWhiteout(const LayerWriter& layer, const std::string& path, Format format) {
  const std::string full = layer.root() + "/" + path;
  const size_t slash = full.rfind('/');
  const std::string parent = full.substr(0, slash), base = full.substr(slash + 1);
  MakeDirs(parent);
  if (format == Format::kWhPrefix) return WriteFile(parent + "/.wh." + base, "");
  if (format != Format::kXattrWhiteout) return MakeWhiteout(full);
  WriteFile(full, "");
  EXPECT_EQ(0, SetXattr(full, "trusted.overlay.whiteout", "y"));
  EXPECT_EQ(0, SetXattr(parent, "trusted.overlay.opaque", "x"));
}

void PutOpaque(const LayerWriter& layer, const std::string& path, Format format) {
  const std::string full = layer.root() + "/" + path;
  MakeDirs(full);
  switch (format) {
    case Format::kDevice:
    case Format::kXattrWhiteout:
      return MakeOpaque(full);
    case Format::kWhPrefix:
      return WriteFile(full + "/.wh..wh..opq", "");
    case Format::kUserXattr:
      EXPECT_EQ(0, SetXattr(full, "user.overlay.opaque", "y"));
      return;
    case Format::kFuseXattr:
      EXPECT_EQ(0, SetXattr(full, "user.fuseoverlayfs.opaque", "y"));
      return;
  }
}

// In which layer the marks stand; the marked names are in the layer below.
enum class Where { kUpper, kMiddle };

class MarksTest : public UnionTest,
                  public testing::WithParamInterface<std::tuple<Target, MarkCase, Where>> {
 protected:
  void SetUp() override {
    const auto& [target, mark, where] = GetParam();
    Start(target);
  }
  void BuildLayers(LayerSet& layers) override {
    const auto& [target, mark, where] = GetParam();
    LayerWriter& below = where == Where::kUpper ? layers.middle : layers.bottom;
    const LayerWriter& marks = where == Where::kUpper ? layers.upper : layers.middle;
    below.File("dir/file", "hidden\n");
    below.File("dir/kept", "kept\n");
    below.File("dir/tree/x", "hidden\n");
    below.File("opaque/old", "hidden\n");
    below.File("opaque/sub/old", "hidden\n");
    PutWhiteout(marks, "dir/file", mark.format);
    PutWhiteout(marks, "dir/tree", mark.format);
    PutOpaque(marks, "opaque", mark.format);
    WriteFile(marks.root() + "/opaque/new", "new\n");
    MakeDirs(marks.root() + "/opaque/sub");
    WriteFile(marks.root() + "/opaque/sub/new", "new\n");
  }
  bool KernelWouldNotRead() const {
    const auto& [target, mark, where] = GetParam();
    if (target != Target::kKernelOverlay || mark.kernel == Kernel::kReads) return false;
    return mark.kernel == Kernel::kDoesNotRead || where == Where::kUpper;
  }
  void ExpectMarksWork() {
    EXPECT_EQ(std::vector<std::string>{"kept"}, ListDir(P("dir")));
    EXPECT_EQ(ENOENT, LstatErrno(P("dir/file")));
    EXPECT_EQ(ENOENT, LstatErrno(P("dir/tree")));
    EXPECT_EQ(ENOENT, LstatErrno(P("dir/tree/x")));
    EXPECT_EQ((std::vector<std::string>{"new", "sub"}), ListDir(P("opaque")));
    EXPECT_EQ(std::vector<std::string>{"new"}, ListDir(P("opaque/sub")));
    EXPECT_EQ(ENOENT, LstatErrno(P("opaque/old")));
    EXPECT_EQ(ENOENT, LstatErrno(P("opaque/sub/old")));
    EXPECT_EQ(ENOENT, LstatErrno(P("opaque/.wh..wh..opq")));
  }
};

TEST_P(MarksTest, HideWhatIsBelow) {
  if (KernelWouldNotRead()) return;
  ExpectMarksWork();
  Remount();
  EXPECT_EQ(ENOENT, LstatErrno(P("dir/file"))) << "without a listing before";
  ExpectMarksWork();
}

TEST_P(MarksTest, NamesCanBeMadeAgainAndRemoved) {
  if (KernelWouldNotRead()) return;
  WriteFile(P("dir/file"), "again\n");
  ASSERT_EQ(0, mkdir(P("dir/tree").c_str(), 0755));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("dir/tree")));
  WriteFile(P("opaque/old"), "again\n");
  Remount();
  EXPECT_EQ((std::vector<std::string>{"file", "kept", "tree"}), ListDir(P("dir")));
  EXPECT_EQ("again\n", ReadFile(P("dir/file")));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("dir/tree")));
  EXPECT_EQ("again\n", ReadFile(P("opaque/old")));
  ASSERT_EQ(0, unlink(P("dir/file").c_str()));
  ASSERT_EQ(0, rmdir(P("dir/tree").c_str()));
  ASSERT_EQ(0, unlink(P("opaque/old").c_str()));
  Remount();
  ExpectMarksWork();
}

TEST_P(MarksTest, MarkedDirectoriesCanBeRemoved) {
  if (KernelWouldNotRead()) return;
  const bool by_xattr = std::get<1>(GetParam()).format == Format::kXattrWhiteout;
  const long expected = by_xattr ? Expected(kRemovalOfXattrWhiteouts) : 0;
  ASSERT_EQ(expected, RunProgram({"rm", "-r", P("opaque"), P("dir")}).exit_code);
  if (expected != 0) return;
  EXPECT_EQ(std::vector<std::string>{}, ListDir(Root()));
  Remount();
  EXPECT_EQ(std::vector<std::string>{}, ListDir(Root()));
}

TEST_P(MarksTest, AreIgnoredByLookupOfTheirOwnName) {
  if (KernelWouldNotRead()) return;
  if (std::get<1>(GetParam()).format != Format::kWhPrefix) return;
  EXPECT_EQ(ENOENT, LstatErrno(P("dir/.wh.file")));
  EXPECT_EQ(ENOENT, LstatErrno(P("opaque/.wh..wh..opq")));
}

std::string MarkName(const testing::TestParamInfo<std::tuple<Target, MarkCase, Where>>& info) {
  const auto& [target, mark, where] = info.param;
  return std::string(NameOf(target)) + "_" + mark.name +
         (where == Where::kUpper ? "InUpper" : "InLower");
}

INSTANTIATE_TEST_SUITE_P(OnUnions, MarksTest,
                         testing::Combine(UnionTargets(), testing::ValuesIn(kMarks),
                                          testing::Values(Where::kUpper, Where::kMiddle)),
                         MarkName);

using WrittenMarks = SyscallTest;

TEST_P(WrittenMarks, RemovalWritesACharacterDevice) {
  ASSERT_EQ(0, unlink(P("lowdir/a").c_str()));
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("lowdir/sub")}).exit_code);
  mount().Unmount();
  for (const char* name : {"lowdir/a", "lowdir/sub"}) {
    const struct stat st = Lstat(InUpper(name));
    EXPECT_TRUE(S_ISCHR(st.st_mode)) << name;
    EXPECT_EQ(makedev(0, 0), st.st_rdev) << name;
  }
}

TEST_P(WrittenMarks, NothingIsWrittenWhereNothingIsHidden) {
  ASSERT_EQ(0, unlink(P("upfile").c_str()));
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("updir")}).exit_code);
  ASSERT_EQ(0, unlink(P("opaque/shown").c_str()));
  mount().Unmount();
  for (const char* name : {"upfile", "updir", "opaque/shown"})
    EXPECT_EQ(ENOENT, LstatErrno(InUpper(name))) << name;
}

TEST_P(WrittenMarks, RemadeDirectoryIsOpaque) {
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("lowdir")}).exit_code);
  ASSERT_EQ(0, mkdir(P("lowdir").c_str(), 0755));
  mount().Unmount();
  EXPECT_EQ("y", GetXattr(InUpper("lowdir"), "trusted.overlay.opaque"));
}

TEST_P(WrittenMarks, NewNameOfWhPrefixIsAnOrdinaryFile) {
  WriteFile(P(".wh.normal"), "x");
  WriteFile(P("lowdir/.wh.a"), "x");
  EXPECT_EQ("x", ReadFile(P(".wh.normal")));
  EXPECT_TRUE(Exists(P("lowdir/a")));
  ASSERT_EQ(0, unlink(P(".wh.normal").c_str()));
  ASSERT_EQ(0, unlink(P("lowdir/.wh.a").c_str()));
}

TEST_P(WrittenMarks, KernelOverlayfsShowsTheSameTreeAfterwards) {
  // A bit of everything that leaves a mark.
  ASSERT_EQ(0, unlink(P("lowdir/a").c_str()));
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("merged/sub")}).exit_code);
  ASSERT_EQ(0, mkdir(P("merged/sub").c_str(), 0700));
  ASSERT_EQ(0, rename(P("lowfile").c_str(), P("merged/gone").c_str()));
  ASSERT_EQ(0, rename(P("upfile").c_str(), P("lowlink").c_str()));
  AppendFile(P("deepfile"), "x");
  ASSERT_EQ(0, rmdir(P("lowempty").c_str()));
  WriteFile(P("gonedir"), "file now");
  ASSERT_EQ(0, unlink(P("filedir/a").c_str()));
  ASSERT_EQ(0, rmdir(P("filedir").c_str()));
  ASSERT_EQ(0, unlink(P("dirfile").c_str()));
  ASSERT_EQ(0, mkdir(P("dirfile").c_str(), 0755));
  const std::string expected = SnapshotOf(Root(), {.times = false});
  mount().Unmount();
  UnionMount native({.target = Target::kKernelOverlay,
                     .lowers = mount().options().lowers,
                     .upper = mount().options().upper,
                     .work = dir().MakeDir("native-work"),
                     .mountpoint = dir() / "native"});
  ASSERT_TRUE(native.ok());
  EXPECT_EQ(expected, SnapshotOf(native.path(), {.times = false}));
}

INSTANTIATE_TEST_SUITE_P(OnUnions, WrittenMarks, UnionTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
