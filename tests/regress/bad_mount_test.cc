// bad_mount_test.cc: mounts that must fail, with a message that names what is wrong, and leave
// nothing mounted and nothing running.
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

class BadMount : public PlyfsTest {
 protected:
  // `named`: what the message must contain.
  void ExpectRefused(const UnionOptions& options, const std::string& named) {
    const dev_t before = Lstat(dir().path()).st_dev;
    const ProgramResult result = TryMount(options);
    EXPECT_NE(0, result.exit_code);
    EXPECT_NE(124, result.exit_code) << "hangs, or left its stderr open";
    EXPECT_NE(std::string::npos, result.err.find(named)) << "message: " << result.err;
    if (!options.mountpoint.empty() && Exists(options.mountpoint)) {
      EXPECT_EQ(before, Lstat(options.mountpoint).st_dev) << "something was mounted";
    }
  }
};

TEST_F(BadMount, MissingLower) {
  UnionOptions options = Options();
  options.lowers = {dir() / "no-such-lower"};
  ExpectRefused(options, "no-such-lower");
  options.lowers = {dir() / "lower", dir() / "no-such-lower"};
  ExpectRefused(options, "no-such-lower");
}

TEST_F(BadMount, LowerIsAFile) {
  WriteFile(dir() / "file", "");
  UnionOptions options = Options();
  options.lowers = {dir() / "file"};
  ExpectRefused(options, dir() / "file");
}

TEST_F(BadMount, NoLowerdirAtAll) {
  const ProgramResult result = RunProgram(
      {PlyfsBinary(), "-o", "upperdir=" + (dir() / "upper") + ",workdir=" + (dir() / "work"),
       dir().MakeDir("mnt")});
  EXPECT_NE(0, result.exit_code);
  EXPECT_NE(std::string::npos, result.err.find("lowerdir")) << result.err;
}

TEST_F(BadMount, MissingUpper) {
  UnionOptions options = Options();
  options.upper = dir() / "no-such-upper";
  ExpectRefused(options, "no-such-upper");
}

TEST_F(BadMount, MissingWork) {
  UnionOptions options = Options();
  options.work = dir() / "no-such-work";
  ExpectRefused(options, "no-such-work");
}

TEST_F(BadMount, UpperWithoutWork) {
  UnionOptions options = Options();
  options.work = "";
  ExpectRefused(options, "workdir");
}

TEST_F(BadMount, MissingMountpoint) {
  const ProgramResult result =
      RunProgram({PlyfsBinary(), "-o", MountOptionString(Options()), dir() / "no-such-mountpoint"});
  EXPECT_NE(0, result.exit_code);
  EXPECT_NE(std::string::npos, result.err.find("no-such-mountpoint")) << result.err;
}

TEST_F(BadMount, NoMountpoint) {
  const ProgramResult result = RunProgram({PlyfsBinary(), "-o", MountOptionString(Options())});
  EXPECT_NE(0, result.exit_code);
  EXPECT_NE("", result.err);
}

TEST_F(BadMount, MountpointIsAFile) {
  WriteFile(dir() / "file", "");
  UnionOptions options = Options();
  options.mountpoint = dir() / "file";
  ExpectRefused(options, dir() / "file");
}

TEST_F(BadMount, UpperEqualsWork) {
  UnionOptions options = Options();
  options.work = options.upper;
  ExpectRefused(options, options.upper);
}

TEST_F(BadMount, WorkInsideUpper) {
  UnionOptions options = Options();
  options.work = Upper("work");
  MakeDirs(options.work);
  ExpectRefused(options, options.work);
}

TEST_F(BadMount, UpperInsideWork) {
  UnionOptions options = Options();
  options.upper = dir() / "work/upper";
  MakeDirs(options.upper);
  ExpectRefused(options, options.upper);
}

TEST_F(BadMount, UpperEqualsLower) {
  UnionOptions options = Options();
  options.upper = dir() / "lower";
  ExpectRefused(options, options.upper);
}

TEST_F(BadMount, UpperInsideLowerAndTheReverse) {
  UnionOptions options = Options();
  options.upper = Lower("upper");
  MakeDirs(options.upper);
  ExpectRefused(options, options.upper);
  options = Options();
  options.lowers = {Upper("lower")};
  MakeDirs(options.lowers[0]);
  ExpectRefused(options, options.lowers[0]);
}

TEST_F(BadMount, OverlapIsFoundThroughSymlinks) {
  MakeSymlink(dir() / "upper", dir() / "alias");
  UnionOptions options = Options();
  options.lowers = {dir() / "alias"};
  ExpectRefused(options, "alias");
}

TEST_F(BadMount, UpperEqualsMountpoint) {
  UnionOptions options = Options();
  options.mountpoint = options.upper;
  ExpectRefused(options, options.upper);
}

TEST_F(BadMount, UpperOrWorkInUseByAnotherMount) {
  Mount();
  UnionOptions second = Options();
  second.mountpoint = dir().MakeDir("second");
  ExpectRefused(second, "in use");
  second.upper = dir().MakeDir("upper2");
  ExpectRefused(second, "in use");
  second = Options();
  second.mountpoint = dir() / "second";
  second.work = dir().MakeDir("work2");
  ExpectRefused(second, "in use");
  ExpectServerLives();
  WriteFile(P("file"), "still works");
}

TEST_F(BadMount, UpperIsFreeAgainAfterUnmount) {
  Mount();
  Unmount();
  Mount();
  WriteFile(P("file"), "x");
}

struct BadOption {
  const char* option;
  const char* named;
};

TEST_F(BadMount, OptionsThatDoNotParse) {
  const BadOption bad[] = {
      {"uidmapping=0:1", "uidmapping"},
      {"uidmapping=a:b:c", "uidmapping"},
      {"uidmapping=0:0:0", "uidmapping"},
      {"uidmapping=0:0:99999999999", "uidmapping"},
      {"gidmapping=0:0:1:1", "gidmapping"},
      {"gidmapping=-1:0:1", "gidmapping"},
      {"squash_to_uid=root", "squash_to_uid"},
      {"squash_to_gid=-", "squash_to_gid"},
      {"xattr_permissions=7", "xattr_permissions"},
      {"redirect_dir=maybe", "redirect_dir"},
      {"xino=perhaps", "xino"},
      {"timeout=soon", "timeout"},
      {"io=magic", "io"},
      {"max_write=lots", "max_write"},
  };
  for (const BadOption& row : bad) {
    SCOPED_TRACE(row.option);
    if (HasFailure()) return;  // something may be mounted now
    ExpectRefused(Options(row.option), row.named);
  }
}

TEST_F(BadMount, UnknownOptionsOnlyWarn) {
  WriteFile(Lower("file"), "x");
  UnionOptions options = Options("private,metacopy=on,some_future_option=3");
  const ProgramResult result = TryMount(options);
  EXPECT_EQ(0, result.exit_code) << result.err;
  EXPECT_NE(std::string::npos, result.err.find("unknown argument ignored: private")) << result.err;
  if (result.exit_code == 0) {
    EXPECT_EQ("x", ReadFile(options.mountpoint + "/file"));
    test::Unmount(options.mountpoint);
  }
}

TEST_F(BadMount, FailureLeavesLayersAsTheyWere) {
  UnionOptions options = Options();
  options.lowers = {dir() / "no-such-lower"};
  ExpectRefused(options, "no-such-lower");
  EXPECT_EQ(std::vector<std::string>{}, ListDir(dir() / "upper"));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(dir() / "work"));
}

}  // namespace
}  // namespace plyfs::test
