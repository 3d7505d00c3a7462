// xattr_escape_test.cc: the overlay's own xattrs are hidden, and a user's xattrs of those names are
// escaped, so that an overlay can be stacked on the union.
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct NameCase {
  const char* name;
  const char* xattr;
};

const NameCase kNames[] = {
    {"TrustedOpaque", "trusted.overlay.opaque"},
    {"TrustedRedirect", "trusted.overlay.redirect"},
    {"TrustedOrigin", "trusted.overlay.origin"},
    {"TrustedMetacopy", "trusted.overlay.metacopy"},
    {"TrustedWhiteout", "trusted.overlay.whiteout"},
    {"TrustedUnknown", "trusted.overlay.something"},
    {"TrustedEscaped", "trusted.overlay.overlay.opaque"},
    {"TrustedTwiceEscaped", "trusted.overlay.overlay.overlay.opaque"},
    {"UserOpaque", "user.overlay.opaque"},
    {"UserRedirect", "user.overlay.redirect"},
    {"UserMetacopy", "user.overlay.metacopy"},
    {"UserWhiteout", "user.overlay.whiteout"},
    {"UserUnknown", "user.overlay.something"},
};

using EscapeTest = RowTest<NameCase>;

TEST_P(EscapeTest, UsersXattrIsKeptAndHasNoEffect) {
  const std::string xattr = row().xattr;
  for (const char* name : {"lowdir", "updir", "merged", "lowfile", "upfile"}) {
    const std::string path = P(name);
    const bool is_dir = S_ISDIR(Lstat(path).st_mode);
    const std::vector<std::string> listed = is_dir ? ListDir(path) : std::vector<std::string>{};
    for (const char* value : {"y", "/lowempty", "x"}) {
      ASSERT_EQ(0, SetXattr(path, xattr, value)) << name;
      EXPECT_EQ(value, GetXattr(path, xattr)) << name;
    }
    const std::vector<std::string> xattrs = ListXattrs(path);
    EXPECT_EQ(1, std::count(xattrs.begin(), xattrs.end(), xattr)) << name;
    Remount();
    EXPECT_EQ("x", GetXattr(path, xattr)) << name;
    if (is_dir) {
      EXPECT_EQ(listed, ListDir(path)) << name;
    }
    ASSERT_EQ(0, RemoveXattr(path, xattr)) << name;
    EXPECT_EQ(ENODATA, RemoveXattr(path, xattr)) << name;
    EXPECT_EQ(std::nullopt, GetXattr(path, xattr));
  }
}

TEST_P(EscapeTest, SurvivesCopyUpAndRename) {
  const std::string xattr = row().xattr;
  ASSERT_EQ(0, SetXattr(P("lowfile"), xattr, "y"));
  ASSERT_EQ(0, rename(P("lowfile").c_str(), P("lowdir/moved").c_str()));
  AppendFile(P("lowdir/moved"), "x");
  EXPECT_EQ("y", GetXattr(P("lowdir/moved"), xattr));
  Remount();
  EXPECT_EQ("y", GetXattr(P("lowdir/moved"), xattr));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, EscapeTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(kNames)), NameRow());

class HiddenXattrs : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    BuildStandardTree(layers);
    layers.middle.File("escaped", "x");
    layers.middle.Xattr("escaped", "trusted.overlay.overlay.note", "inner");
    layers.middle.Dir("opaquelow");
    layers.middle.Xattr("opaquelow", "trusted.overlay.opaque", "y");
  }
};

TEST_P(HiddenXattrs, OverlayMarksAreNotShown) {
  for (const char* name : {"opaque", "opaquelow"}) {
    EXPECT_EQ(std::vector<std::string>{}, ListXattrs(P(name))) << name;
    EXPECT_EQ(std::nullopt, GetXattr(P(name), "trusted.overlay.opaque")) << name;
    EXPECT_EQ(ENODATA, RemoveXattr(P(name), "trusted.overlay.opaque")) << name;
  }
  EXPECT_EQ(std::vector<std::string>{"shown"}, ListDir(P("opaque")));
}

TEST_P(HiddenXattrs, OpaqueDirectoryStaysOpaqueWhenAUserSetsTheSameName) {
  ASSERT_EQ(0, SetXattr(P("opaque"), "trusted.overlay.opaque", "n"));
  Remount();
  EXPECT_EQ(std::vector<std::string>{"shown"}, ListDir(P("opaque")));
  EXPECT_EQ("n", GetXattr(P("opaque"), "trusted.overlay.opaque"));
}

TEST_P(HiddenXattrs, EscapedNamesOfLowersAreUnescaped) {
  EXPECT_EQ("inner", GetXattr(P("escaped"), "trusted.overlay.note"));
  EXPECT_EQ(std::vector<std::string>{"trusted.overlay.note"}, ListXattrs(P("escaped")));
  ASSERT_EQ(0, chmod(P("escaped").c_str(), 0600));
  EXPECT_EQ("inner", GetXattr(P("escaped"), "trusted.overlay.note"));
}

INSTANTIATE_TEST_SUITE_P(OnUnions, HiddenXattrs, UnionTargets(), TargetName);

class Stacked : public SyscallTest {};

TEST_P(Stacked, UnionAsTheUpperOfOverlayfs) {
  const std::string inner = dir().MakeDir("inner");
  ASSERT_EQ(0, mkdir(P("iu").c_str(), 0755));
  ASSERT_EQ(0, mkdir(P("iw").c_str(), 0755));
  if (Expected(kUpperOfOverlayfs) != 0) {
    const std::string options =
        "lowerdir=" + P("lowdir") + ",upperdir=" + P("iu") + ",workdir=" + P("iw");
    EXPECT_EQ(Expected(kUpperOfOverlayfs),
              ErrnoOf(::mount("overlay", inner.c_str(), "overlay", 0, options.c_str())));
    return;
  }
  UnionMount stacked({.target = Target::kKernelOverlay,
                      .lowers = {P("lowdir")},
                      .upper = P("iu"),
                      .work = P("iw"),
                      .mountpoint = inner});
  ASSERT_TRUE(stacked.ok());
  EXPECT_EQ("lowdir a\n", ReadFile(stacked / "a"));
  AppendFile(stacked / "a", "more\n");
  EXPECT_EQ("lowdir a\nmore\n", ReadFile(stacked / "a"));
  EXPECT_EQ("lowdir a\n", ReadFile(P("lowdir/a")));
  ASSERT_EQ(0, RunProgram({"rm", "-r", stacked / "sub"}).exit_code);
  ASSERT_EQ(0, mkdir((stacked / "sub").c_str(), 0755));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(stacked / "sub"));
  stacked.Remount();
  EXPECT_EQ(std::vector<std::string>{}, ListDir(stacked / "sub"));
  EXPECT_EQ("lowdir c\n", ReadFile(P("lowdir/sub/c")));
}

TEST_P(Stacked, UnionAsALowerOfOverlayfs) {
  const std::string inner = dir().MakeDir("inner");
  UnionMount stacked({.target = Target::kKernelOverlay,
                      .lowers = {Root()},
                      .upper = dir().MakeDir("iu"),
                      .work = dir().MakeDir("iw"),
                      .mountpoint = inner});
  ASSERT_TRUE(stacked.ok());
  EXPECT_EQ("covered up\n", ReadFile(stacked / "covered"));
  AppendFile(stacked / "covered", "inner\n");
  EXPECT_EQ("covered up\n", ReadFile(P("covered")));
  EXPECT_EQ(ENOENT, LstatErrno(stacked / "gone"));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, Stacked, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
