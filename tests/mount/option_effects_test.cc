// option_effects_test.cc: that each option of docs/options.md reaches the part that obeys it; one
// visible effect each. Not here: all that the effect means (tests/syscalls, tests/model).
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/harness/union_mount.h"
#include "tests/mount/program_fixture.h"

namespace plyfs::test {
namespace {

class OptionEffectsTest : public ProgramTest {
 protected:
  void MountWith(const std::string& option) {
    const ProgramResult result = Mount(option);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
  }
  std::string InMount(const std::string& name) const { return mnt_ + "/" + name; }
};

TEST_F(OptionEffectsTest, SquashToRoot) {
  ASSERT_EQ(::chown((lower_ + "/from-lower").c_str(), 12, 13), 0);
  MountWith("squash_to_root");
  EXPECT_EQ(Lstat(InMount("from-lower")).st_uid, 0u);
  EXPECT_EQ(Lstat(InMount("from-lower")).st_gid, 0u);
}

TEST_F(OptionEffectsTest, SquashToUidAndGid) {
  MountWith("squash_to_uid=12,squash_to_gid=13");
  EXPECT_EQ(Lstat(InMount("from-lower")).st_uid, 12u);
  EXPECT_EQ(Lstat(InMount("from-lower")).st_gid, 13u);
}

TEST_F(OptionEffectsTest, MappingsGoBothWays) {
  MountWith("uidmapping=:0:1000:1:1:110000:65536,gidmapping=:0:2000:1:1:110000:65536");
  EXPECT_EQ(Lstat(InMount("from-lower")).st_uid, 1000u);
  EXPECT_EQ(Lstat(InMount("from-lower")).st_gid, 2000u);
  ASSERT_EQ(::chown(InMount("from-lower").c_str(), 110004, 110006), 0);
  EXPECT_EQ(Lstat(upper_ + "/from-lower").st_uid, 5u);
  EXPECT_EQ(Lstat(upper_ + "/from-lower").st_gid, 7u);
}

TEST_F(OptionEffectsTest, XattrPermissionsKeepTheOwnerBesideTheFile) {
  MountWith("xattr_permissions=2");
  WriteFile(InMount("new"), "x");
  ASSERT_EQ(::chown(InMount("new").c_str(), 12, 13), 0);
  EXPECT_EQ(Lstat(InMount("new")).st_uid, 12u);
  const auto kept = GetXattr(upper_ + "/new", "user.containers.override_stat");
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->starts_with("12:13:")) << *kept;
}

TEST_F(OptionEffectsTest, NoXattrs) {
  MountWith("noxattrs=1");
  EXPECT_EQ(SetXattr(InMount("from-lower"), "user.name", "x"), EOPNOTSUPP);
}

TEST_F(OptionEffectsTest, NoAcl) {
  MountWith("noacl");
  EXPECT_EQ(SetXattr(InMount("from-lower"), "user.name", "x"), 0);
  // Version 2 with the three entries that every file has.
  const std::string acl(
      "\2\0\0\0\1\0\6\0\377\377\377\377\4\0\4\0\377\377\377\377\40\0\4\0\377\377\377\377", 28);
  EXPECT_EQ(SetXattr(InMount("from-lower"), "system.posix_acl_access", acl), EOPNOTSUPP);
}

TEST_F(OptionEffectsTest, StaticNlink) {
  MakeDirs(lower_ + "/dir/sub");
  MountWith("static_nlink");
  EXPECT_EQ(Lstat(InMount("dir")).st_nlink, 1u);
}

TEST_F(OptionEffectsTest, Ino32) {
  MountWith("ino32_t");
  EXPECT_LT(Lstat(InMount("from-lower")).st_ino, 1ull << 32);
}

TEST_F(OptionEffectsTest, RedirectDir) {
  MakeDirs(lower_ + "/dir");
  MountWith("redirect_dir=off");
  EXPECT_EQ(ErrnoOf(::rename(InMount("dir").c_str(), InMount("moved").c_str())), EXDEV);
  Unmount(mnt_);
  MountWith("redirect_dir=on");
  EXPECT_EQ(ErrnoOf(::rename(InMount("dir").c_str(), InMount("moved").c_str())), 0);
}

TEST_F(OptionEffectsTest, VolatileLeavesAMarkThatTheNextMountRefuses) {
  MountWith("volatile");
  EXPECT_TRUE(Exists(work_ + "/" + "work/incompat/volatile"));
  Unmount(mnt_);
  const ProgramResult refused = Mount();
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("volatile"), std::string::npos) << refused.err;
  // podman removes the mark before each mount.
  ASSERT_EQ(::rmdir((work_ + "/" + "work/incompat/volatile").c_str()), 0);
  MountWith("");
}

TEST_F(OptionEffectsTest, ATimeoutOfZeroMakesChangesBehindTheMountVisible) {
  MountWith("timeout=0");
  EXPECT_EQ(Lstat(InMount("from-lower")).st_mode & 07777, 0644u);
  ASSERT_EQ(::chmod((lower_ + "/from-lower").c_str(), 0600), 0);
  EXPECT_EQ(Lstat(InMount("from-lower")).st_mode & 07777, 0600u);
}

TEST_F(OptionEffectsTest, TheDefaultTimeoutAsksOnlyOnce) {
  MountWith("");
  EXPECT_EQ(Lstat(InMount("from-lower")).st_mode & 07777, 0644u);
  ASSERT_EQ(::chmod((lower_ + "/from-lower").c_str(), 0600), 0);
  EXPECT_EQ(Lstat(InMount("from-lower")).st_mode & 07777, 0644u);
}

TEST_F(OptionEffectsTest, WhatTakesAValueWorksWithEveryValue) {
  for (const char* option : {"threads=1", "threads=8", "threaded=0", "poll_us=0", "poll_us=1000",
                             "writeback=1", "fsync=0", "max_write=4096", "max_write=65536"}) {
    SCOPED_TRACE(option);
    MountWith(option);
    const std::string content(300000, 'x');
    WriteFile(InMount("file"), content);
    const int fd = ::open(InMount("file").c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_EQ(ErrnoOf(::fsync(fd)), 0);
    ::close(fd);
    EXPECT_EQ(ReadFile(InMount("file")), content);
    Unmount(mnt_);
    EXPECT_EQ(ReadFile(upper_ + "/file"), content);
    ASSERT_TRUE(Eventually([&] { return Servers().empty(); }));
  }
}

TEST_F(OptionEffectsTest, DebugStaysInTheForegroundAndSaysMore) {
  Foreground server({PlyfsBinary(), "-o", Options("debug"), mnt_});
  ASSERT_TRUE(Eventually([&] { return Mounted(); }));
  EXPECT_EQ(Server(), server.pid());
  Unmount(mnt_);
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_NE(server.Stderr(), "");
}

}  // namespace
}  // namespace plyfs::test
