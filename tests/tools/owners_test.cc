// owners_test.cc: the owners in a layer are those that the union's users saw, whether it is mounted or not.
// Not here: what the options do to a mount (tests/mount/option_effects_test.cc).
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/tools/tools_fixture.h"

namespace plyfs::test {
namespace {

struct OwnersCase {
  const char* name;
  const char* options;
  uid_t uid;  // to give to a file, if the options let it have one
  gid_t gid;
};

constexpr OwnersCase kCases[] = {
    {"PodmansMapping", "uidmapping=0:100000:65536,gidmapping=0:100000:65536", 100'005, 100'006},
    {"RootlessTriples", "uidmapping=:0:1000:1:1:110000:65536,gidmapping=:0:1000:1:1:110000:65536", 110'004, 1000},
    {"SquashToRoot", "squash_to_root", 5, 6},
    {"SquashToOne", "squash_to_uid=7,squash_to_gid=8", 5, 6},
    {"InAttributes", "xattr_permissions=2", 5, 6},
    {"InPrivilegedAttributes", "xattr_permissions=1", 5, 6},
    {"OnDisk", "noacl", 5, 6},
};

class OwnersTest : public ToolsTest, public testing::WithParamInterface<OwnersCase> {
 protected:
  void MakeChanges() {
    WriteFile(In("file"), "content");
    ASSERT_EQ(::mkdir(In("dir").c_str(), 0755), 0);
    MakeSymlink("file", In("link"));
    AppendFile(In("sub/b"), "more");
    for (const char* name : {"file", "dir", "link"}) ::lchown(In(name).c_str(), GetParam().uid, GetParam().gid);
    ASSERT_EQ(::chmod(In("file").c_str(), 04750), 0);
  }
  static std::string OwnersBelow(const std::string& directory) {
    std::string text;
    for (const char* name : {"file", "dir", "link", "sub/b"}) {
      const struct stat stat = Lstat(directory + "/" + name);
      char line[100];
      std::snprintf(line, sizeof line, "%s %u:%u %o\n", name, stat.st_uid, stat.st_gid, stat.st_mode);
      text += line;
    }
    return text;
  }
  std::string Diff() const { return Run(With({"diff"})).out; }
};

INSTANTIATE_TEST_SUITE_P(Each, OwnersTest, testing::ValuesIn(kCases), [](const auto& param) { return param.param.name; });

TEST_P(OwnersTest, TheLayerOfAnUnmountedUnionHasThoseThatWereSeen) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  Mount(GetParam().options);
  MakeChanges();
  const std::string seen = OwnersBelow(mountpoint_);
  const std::string live = Diff();
  Unmount();
  const std::string unmounted = Diff();
  ASSERT_FALSE(unmounted.empty());
  EXPECT_TRUE(unmounted == live) << "two layers of one union";
  WriteFile(temp_ / "layer.tar", unmounted);
  const std::string copy = temp_.MakeDir("applied");
  Output({"apply", temp_ / "layer.tar", copy});
  EXPECT_EQ(OwnersBelow(copy), seen);
}

TEST_F(ToolsTest, TheLastMountSaysHowOwnersAreShown) {
  Mount("uidmapping=0:100000:65536");
  WriteFile(In("file"), "");
  Unmount();
  EXPECT_TRUE(Exists(work_ + "/plyfs/owners"));
  Mount();
  const std::string live = Run(With({"diff"})).out;
  Unmount();
  EXPECT_FALSE(Exists(work_ + "/plyfs/owners")) << "they are those on disk again";
  EXPECT_TRUE(Run(With({"diff"})).out == live);
}

TEST_F(ToolsTest, ADamagedNoteOfOwnersStopsTheLayerOnly) {
  Mount("uidmapping=0:100000:65536");
  WriteFile(In("file"), "");
  Unmount();
  for (const char* damage : {"{", "[]", R"({"uid_ranges":[[0,1]],"gid_ranges":[],"xattr_permissions":0})"}) {
    WriteFile(work_ + "/plyfs/owners", damage);
    const ProgramResult diff = Run(With({"diff"}));
    EXPECT_EQ(diff.exit_code, 1);
    EXPECT_TRUE(Contains(diff.err, work_ + "/plyfs/owners")) << diff.err;
    EXPECT_EQ(Output(With({"changes"})), "A /file\n");
  }
}

}  // namespace
}  // namespace plyfs::test
