// rootless_test.cc: mounts by those who are not root: through fusermount3, and inside of a user
// namespace.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/harness/union_mount.h"
#include "tests/mount/program_fixture.h"

namespace plyfs::test {
namespace {

// An account that has no processes of its own. fusermount3 serves nobody whose name it does not
// find.
uid_t AccountOf(const char* name) {
  const passwd* account = ::getpwnam(name);
  EXPECT_NE(account, nullptr) << "the tests need the system account " << name;
  return account == nullptr ? 65534 : account->pw_uid;
}

const uid_t kUser = AccountOf("games");

// Lets everybody use /dev/fuse for as long as it lives.
class OpenFuseDevice {
 public:
  OpenFuseDevice() : mode_(Lstat("/dev/fuse").st_mode & 07777) { ::chmod("/dev/fuse", 0666); }
  ~OpenFuseDevice() { ::chmod("/dev/fuse", mode_); }

 private:
  const mode_t mode_;
};

class RootlessTest : public ProgramTest {
 protected:
  RootlessTest() {
    GiveDirectoriesTo(kUser);
    EXPECT_EQ(::chown((lower_ + "/from-lower").c_str(), kUser, kUser), 0);
  }

  void GiveDirectoriesTo(uid_t user) const {
    for (const std::string& dir : {temp_.path(), lower_, upper_, work_, mnt_}) {
      EXPECT_EQ(::chown(dir.c_str(), user, user), 0);
      EXPECT_EQ(::chmod(dir.c_str(), 0755), 0);
    }
  }
  static void Become(uid_t user) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 ||
        ::setresuid(user, user, user) != 0) {
      ::_exit(126);
    }
  }
  static void BecomeUser() { Become(kUser); }
  ProgramResult MountAsUser(const std::string& extra = "") const {
    return Mount(extra, {.before_exec = BecomeUser});
  }
  // As the user, sees the mount and may use it.
  int WriteAsUser(const std::string& path) const {
    return RunAs({.uid = kUser, .gid = kUser},
                 [&] { return ErrnoOf(::open(path.c_str(), O_CREAT | O_WRONLY | O_EXCL, 0644)); });
  }
  bool MountedForUser() const {
    return RunAs({.uid = kUser, .gid = kUser}, [&] { return IsFuse(mnt_) ? 0 : 1; }) == 0;
  }

  OpenFuseDevice device_;
};

TEST_F(RootlessTest, AUserMountsAndUnmountsThroughFusermount3) {
  const ProgramResult result = MountAsUser();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(MountedForUser());
  EXPECT_EQ(WriteAsUser(mnt_ + "/new"), 0);
  EXPECT_EQ(Lstat(upper_ + "/new").st_uid, kUser);
  const ProgramResult unmount =
      RunProgram({"fusermount3", "-u", mnt_}, {.before_exec = BecomeUser});
  EXPECT_EQ(unmount.exit_code, 0) << unmount.err;
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
}

TEST_F(RootlessTest, OtherUsersAreKeptOut) {
  ASSERT_EQ(MountAsUser().exit_code, 0);
  const int error = RunAs({.uid = kUser + 1, .gid = kUser + 1}, [&] {
    return ErrnoOf(::open((mnt_ + "/from-lower").c_str(), O_RDONLY));
  });
  EXPECT_EQ(error, EACCES);
}

TEST_F(RootlessTest, ASignalUnmountsThroughFusermount3) {
  ASSERT_EQ(MountAsUser().exit_code, 0);
  ASSERT_EQ(::kill(Server(), SIGTERM), 0);
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_EQ(ListDir(mnt_), std::vector<std::string>{});
}

TEST_F(RootlessTest, WhatFusermount3RefusesIsStatus3) {
  ASSERT_EQ(::chown(mnt_.c_str(), 0, 0), 0);
  const ProgramResult result = MountAsUser();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("plyfs: cannot mount on " + mnt_ + ": fusermount3 refused"),
            std::string::npos)
      << result.err;
}

TEST_F(RootlessTest, AnUnreadableDeviceIsStatus3) {
  ASSERT_EQ(::chmod("/dev/fuse", 0600), 0);
  const ProgramResult result = MountAsUser();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("/dev/fuse"), std::string::npos) << result.err;
}

// The limit leaves room for the one that waits, the server and fusermount3, but not for the
// server's threads. An account of its own, because an ended process counts until it is reaped.
TEST_F(RootlessTest, AServerThatFailsAfterTheMountUnmountsAndIsStatus4) {
  const uid_t user = AccountOf("news");
  GiveDirectoriesTo(user);
  const auto few_threads = [user] {
    const rlimit limit = {3, 3};
    ::setrlimit(RLIMIT_NPROC, &limit);
    Become(user);
  };
  const ProgramResult result = Mount("", {.before_exec = few_threads});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_NE(result.err.find("plyfs: the server failed: Resource temporarily unavailable"),
            std::string::npos)
      << result.err;
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_EQ(ListDir(mnt_), std::vector<std::string>{}) << "no dead mount stays";
}

TEST_F(RootlessTest, InAUserNamespaceTheKernelMounts) {
  const std::string script = R"sh(set -e
    trap 'umount -l "$2" 2>/dev/null || true' EXIT
    "$0" -o "$1" "$2"
    [ "$(stat -f -c %t "$2")" = 65735546 ]
    grep -q " $2 .* - fuse.plyfs plyfs rw,user_id=0,group_id=0,default_permissions,allow_other" /proc/self/mountinfo
    cat "$2/from-lower"
    echo x > "$2/new"
    rm "$2/from-lower"
    umount "$2"
    [ "$(ls -A "$2")" = "" ])sh";
  const ProgramResult result =
      RunProgram({"unshare", "-Urm", "bash", "-c", script, PlyfsBinary(), Options(), mnt_},
                 {.before_exec = BecomeUser});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_EQ(result.out, "lower content");
  EXPECT_TRUE(Exists(upper_ + "/new"));
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
}

}  // namespace
}  // namespace plyfs::test
