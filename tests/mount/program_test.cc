// program_test.cc: the program plyfs as its callers see it: arguments, exit status, messages, where
// it mounts and how.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/harness/union_mount.h"
#include "tests/mount/program_fixture.h"

namespace plyfs::test {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// --- what is printed
// ---------------------------------------------------------------------------------

TEST_F(ProgramTest, VersionStartsWithNameAndNumber) {
  const ProgramResult result = Run({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(result.out.starts_with("plyfs: version ")) << result.out;
  EXPECT_TRUE(Contains(result.out, "\nFUSE library version ")) << result.out;
  EXPECT_TRUE(Contains(result.out, "\nusing FUSE kernel interface version 7.")) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST_F(ProgramTest, HelpGoesToStdout) {
  const ProgramResult result = Run({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(result.out.starts_with("usage: plyfs ")) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST_F(ProgramTest, UnknownArgumentsWarnOnceAndTheMountGoesOn) {
  const ProgramResult result = Run({"-x", "-o", Options("private,metacopy=on"), mnt_});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err,
            "plyfs: unknown argument ignored: -x\n"
            "plyfs: unknown argument ignored: private\n"
            "plyfs: unknown argument ignored: metacopy=on\n");
  EXPECT_TRUE(Mounted());
}

TEST_F(ProgramTest, ABadCommandLineIsStatus1) {
  const ProgramResult result = Run({"-o", Options("fsync=maybe"), mnt_});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "plyfs: option 'fsync=maybe': neither 0 nor 1\n");
  EXPECT_EQ(Run({}).exit_code, 1);
  EXPECT_FALSE(Mounted());
}

TEST_F(ProgramTest, AMissingLayerIsStatus2AndNamed) {
  const ProgramResult result = Run({"-o", "lowerdir=" + (temp_ / "nowhere"), mnt_});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(Contains(result.err, "lowerdir")) << result.err;
  EXPECT_TRUE(Contains(result.err, temp_ / "nowhere")) << result.err;
  EXPECT_FALSE(Mounted());
}

TEST_F(ProgramTest, AMissingMountpointIsStatus3AndNamed) {
  const ProgramResult result = Run({"-o", Options(), temp_ / "nowhere"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err,
            "plyfs: mountpoint " + (temp_ / "nowhere") + ": No such file or directory\n");
}

TEST_F(ProgramTest, AFileIsNoMountpoint) {
  const ProgramResult result = Run({"-o", Options(), lower_ + "/from-lower"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err, "plyfs: mountpoint " + lower_ + "/from-lower: Not a directory\n");
}

TEST_F(ProgramTest, ForegroundFailuresHaveTheSameStatus) {
  EXPECT_EQ(Run({"-f", "-o", "lowerdir=" + (temp_ / "nowhere"), mnt_}).exit_code, 2);
  EXPECT_EQ(Run({"-f", "-o", Options(), temp_ / "nowhere"}).exit_code, 3);
}

// --- layers and mountpoints
// --------------------------------------------------------------------------

TEST_F(ProgramTest, TheMountIsLiveWhenTheProgramReturns) {
  ASSERT_EQ(Mount().exit_code, 0);
  EXPECT_TRUE(Mounted());
  EXPECT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
  WriteFile(mnt_ + "/new", "x");
  EXPECT_EQ(ReadFile(upper_ + "/new"), "x");
}

TEST_F(ProgramTest, TheMountpointMayBeALower) {
  ASSERT_EQ(Run({"-o", Options(), lower_}).exit_code, 0);
  EXPECT_TRUE(IsFuse(lower_));
  EXPECT_EQ(ReadFile(lower_ + "/from-lower"), "lower content");
  WriteFile(lower_ + "/new", "x");
  Unmount(lower_);
  EXPECT_EQ(ListDir(lower_), std::vector<std::string>{"from-lower"});
}

TEST_F(ProgramTest, TheMountpointMayBeInsideALower) {
  MakeDirs(lower_ + "/inside");
  WriteFile(lower_ + "/inside/below", "x");
  ASSERT_EQ(Run({"-o", Options(), lower_ + "/inside"}).exit_code, 0);
  // What is seen there is the directory below the mountpoint, not the mount within itself.
  EXPECT_EQ(ListDir(lower_ + "/inside/inside"), std::vector<std::string>{"below"});
  Unmount(lower_ + "/inside");
}

TEST_F(ProgramTest, TheMountpointMayHoldFiles) {
  WriteFile(mnt_ + "/covered", "x");
  ASSERT_EQ(Mount().exit_code, 0);
  EXPECT_EQ(ListDir(mnt_), std::vector<std::string>{"from-lower"});
  Unmount(mnt_);
  EXPECT_EQ(ListDir(mnt_), std::vector<std::string>{"covered"});
}

TEST_F(ProgramTest, TheMountpointMustNotBeTheUpperOrWork) {
  for (const auto& [option, path] : {std::pair{"upperdir", upper_}, {"workdir", work_}}) {
    const ProgramResult result = Run({"-o", Options(), path});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err,
              "plyfs: " + std::string(option) + " " + path + " is the mountpoint itself\n");
    EXPECT_FALSE(IsFuse(path));
  }
}

TEST_F(ProgramTest, RelativePathsAndSymlinksAreFollowed) {
  MakeSymlink("lower", temp_ / "link");
  const auto in_temp = [this] { EXPECT_EQ(::chdir(temp_.path().c_str()), 0); };
  const ProgramResult result =
      Run({"-o", "lowerdir=link,upperdir=upper,workdir=work", "mnt"}, {.before_exec = in_temp});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
  ::umount2(mnt_.c_str(), 0);
}

TEST_F(ProgramTest, SpecialCharactersInPathsAreEscapedByBackslashes) {
  const std::string odd = temp_.MakeDir(R"(a,b:c"d\e)");
  WriteFile(odd + "/odd", "x");
  const std::string escaped = temp_ / R"(a\,b\:c"d\\e)";
  ASSERT_EQ(Run({"-o", "lowerdir=" + escaped + ":" + lower_, mnt_}).exit_code, 0);
  EXPECT_EQ(ListDir(mnt_), (std::vector<std::string>{"from-lower", "odd"}));
}

TEST_F(ProgramTest, ContainerdPassesASourceAndSeveralOptions) {
  const ProgramResult result =
      Run({"overlay", mnt_, "-o", "workdir=" + work_, "-o", "upperdir=" + upper_, "-o",
           "lowerdir=" + lower_ + ",dev,suid"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(Mounted());
}

TEST_F(ProgramTest, MountFuse3StartsIt) {
  const std::string type = PlyfsBinary();
  const ProgramResult result =
      RunProgram({"mount.fuse3", "overlay", mnt_, "-o", Options("dev,suid"), "-t", type});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(Mounted());
}

// Callers that may mount start servers that may not.
TEST_F(ProgramTest, TheCallerMayHaveMountedAlready) {
  const int device = ::open("/dev/fuse", O_RDWR);
  ASSERT_GE(device, 0);
  const std::string data =
      "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,default_permissions";
  ASSERT_EQ(::mount("caller", mnt_.c_str(), "fuse", 0, data.c_str()), 0);
  const ProgramResult result = Run({"-o", Options(), "/dev/fd/" + std::to_string(device)});
  ::close(device);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
  Unmount(mnt_);
}

TEST_F(ProgramTest, AnSelinuxLabelDoesNoHarmWithoutSelinux) {
  const ProgramResult result = Mount(R"(context="system_u:object_r:container_file_t:s0:c1,c2")");
  if (IsFuse(mnt_)) {
    EXPECT_EQ(result.err, "");
  } else {
    // With SELinux the kernel decides about the label.
    EXPECT_EQ(result.exit_code, 3);
  }
}

TEST_F(ProgramTest, OneHundredAndTwentyEightLowers) {
  std::string lowers;
  for (int i = 0; i < 128; ++i) {
    const std::string layer = temp_.MakeDir("l" + std::to_string(i));
    WriteFile(layer + "/f" + std::to_string(i), "x");
    lowers += (i ? ":" : "") + layer;
  }
  const ProgramResult result = Run({"-o", "lowerdir=" + lowers, mnt_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ListDir(mnt_).size(), 128u);
}

// --- mount flags
// ---------------------------------------------------------------------------------------

unsigned long FlagsOf(const std::string& path) {
  struct statvfs stat;
  EXPECT_EQ(::statvfs(path.c_str(), &stat), 0);
  return stat.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME);
}

TEST_F(ProgramTest, DefaultFlagsOfRoot) {
  ASSERT_EQ(Mount().exit_code, 0);
  EXPECT_EQ(FlagsOf(mnt_), static_cast<unsigned long>(ST_NODEV | ST_NOATIME));
}

TEST_F(ProgramTest, FlagsThatWereAskedFor) {
  ASSERT_EQ(Mount("dev,nosuid,noexec,atime,nodiratime,ro").exit_code, 0);
  EXPECT_EQ(FlagsOf(mnt_),
            static_cast<unsigned long>(ST_RDONLY | ST_NOSUID | ST_NOEXEC | ST_NODIRATIME));
  EXPECT_EQ(ErrnoOf(::open((mnt_ + "/new").c_str(), O_CREAT | O_WRONLY, 0644)), EROFS);
}

TEST_F(ProgramTest, WithoutUpperItIsReadOnly) {
  ASSERT_EQ(Run({"-o", "lowerdir=" + lower_, mnt_}).exit_code, 0);
  EXPECT_TRUE(FlagsOf(mnt_) & ST_RDONLY);
  EXPECT_EQ(ErrnoOf(::unlink((mnt_ + "/from-lower").c_str())), EROFS);
}

TEST_F(ProgramTest, OtherUsersAreLetInButPermissionBitsCount) {
  ASSERT_EQ(::chmod(temp_.path().c_str(), 0755), 0);
  ASSERT_EQ(Mount().exit_code, 0);
  WriteFile(mnt_ + "/secret", "x", 0600);
  const int opened = RunAs({.uid = 54321, .gid = 54321}, [this] {
    if (const int error = ErrnoOf(::open((mnt_ + "/from-lower").c_str(), O_RDONLY))) return error;
    return ErrnoOf(::open((mnt_ + "/secret").c_str(), O_RDONLY));
  });
  EXPECT_EQ(opened, EACCES);
}

TEST_F(ProgramTest, EachMountHasADeviceNumberOfItsOwn) {
  ASSERT_EQ(Mount().exit_code, 0);
  const std::string second = temp_.MakeDir("second");
  ASSERT_EQ(Run({"-o", "lowerdir=" + lower_, second}).exit_code, 0);
  EXPECT_NE(Lstat(mnt_).st_dev, Lstat(second).st_dev);
  Unmount(second);
}

// --- what is in use
// --------------------------------------------------------------------------------------

TEST_F(ProgramTest, AnUpperInUseIsRefusedWithAClearMessage) {
  ASSERT_EQ(Mount().exit_code, 0);
  const std::string second = temp_.MakeDir("second");
  const ProgramResult result = Run({"-o", Options(), second});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(Contains(result.err, "in use by another mount")) << result.err;
  EXPECT_FALSE(IsFuse(second));
  EXPECT_TRUE(Mounted());
}

TEST_F(ProgramTest, UnmountAndRemountAtOnceAHundredTimes) {
  for (int i = 0; i < 100; ++i) {
    const ProgramResult result = Mount();
    ASSERT_EQ(result.exit_code, 0) << "round " << i << ": " << result.err;
    ASSERT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
    ASSERT_EQ(RunProgram({"fusermount3", "-u", mnt_}).exit_code, 0);
    struct stat stat;
    ASSERT_EQ(::stat(mnt_.c_str(), &stat), 0) << "the mountpoint right after the unmount";
  }
}

TEST_F(ProgramTest, ADeadMountIsNamedAsSuch) {
  ASSERT_EQ(Mount().exit_code, 0);
  ASSERT_EQ(::kill(Server(), SIGKILL), 0);
  ASSERT_TRUE(Eventually([&] { return Servers().empty(); }));
  const ProgramResult result = Mount();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(Contains(result.err, "a FUSE mount without a server is there; unmount it first"))
      << result.err;
}

TEST_F(ProgramTest, TheEnvironmentForcesWhiteoutFiles) {
  ASSERT_EQ(Mount("", {.environment = {"FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT=1"}}).exit_code, 0);
  ASSERT_EQ(::unlink((mnt_ + "/from-lower").c_str()), 0);
  EXPECT_EQ(ListDir(upper_), std::vector<std::string>{".wh.from-lower"});
}

}  // namespace
}  // namespace plyfs::test
