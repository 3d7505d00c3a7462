// acl_test.cc: POSIX ACLs: enforcement, inheritance, interplay with chmod and copy-up.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

// setfacl is the specification of the xattr's format here.
void SetAcl(const std::string& path, const std::string& entries, const char* how = "-m") {
  const ProgramResult result = RunProgram({"setfacl", how, entries, path});
  EXPECT_EQ(0, result.exit_code) << path << " " << result.err;
}

// Entries without the header, one a word, numeric.
std::string AclOf(const std::string& path, bool defaults = false) {
  const ProgramResult result = RunProgram({"getfacl", "-cnEp", defaults ? "-d" : "-a", path});
  EXPECT_EQ(0, result.exit_code) << result.err;
  std::string text;
  for (const char c : result.out) {
    if (c != '\n')
      text += c;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  return text;
}

const std::string kAliceReadWrite = "u:" + std::to_string(kAlice) + ":rw";

using AclTest = SyscallTest;

TEST_P(AclTest, NamedUserGainsAccess) {
  const Credentials alice{.uid = kAlice, .gid = kAlice}, bob{.uid = kBob, .gid = kBob};
  for (const char* name : {"lowfile", "upfile"}) {
    const std::string path = P(name);
    ASSERT_EQ(0, chmod(path.c_str(), 0600));
    auto open_for_write = [&] { return ErrnoOf(open(path.c_str(), O_RDWR | O_CLOEXEC)); };
    EXPECT_EQ(EACCES, RunAs(alice, open_for_write));
    SetAcl(path, kAliceReadWrite);
    EXPECT_EQ(0, RunAs(alice, open_for_write)) << name;
    EXPECT_EQ(EACCES, RunAs(bob, open_for_write)) << name;
    EXPECT_EQ(0660u, Lstat(path).st_mode & 07777) << "the mask shows as the group bits";
    Remount();
    EXPECT_EQ(0, RunAs(alice, open_for_write)) << name;
  }
}

TEST_P(AclTest, NamedUserCanBeDenied) {
  SetAcl(P("lowfile"), "u:" + std::to_string(kAlice) + ":-");
  const std::string path = P("lowfile");
  auto open_it = [&] { return ErrnoOf(open(path.c_str(), O_RDONLY | O_CLOEXEC)); };
  EXPECT_EQ(EACCES, RunAs({.uid = kAlice, .gid = kAlice}, open_it));
  EXPECT_EQ(0, RunAs({.uid = kBob, .gid = kBob}, open_it));
}

TEST_P(AclTest, NamedGroupAndMask) {
  ASSERT_EQ(0, chmod(P("lowfile").c_str(), 0600));
  SetAcl(P("lowfile"), "g:" + std::to_string(kStaff) + ":rw");
  const std::string path = P("lowfile");
  const Credentials staff{.uid = kBob, .gid = kBob, .groups = {kStaff}};
  auto open_for_write = [&] { return ErrnoOf(open(path.c_str(), O_RDWR | O_CLOEXEC)); };
  EXPECT_EQ(0, RunAs(staff, open_for_write));
  SetAcl(P("lowfile"), "m::r");
  EXPECT_EQ(EACCES, RunAs(staff, open_for_write));
  EXPECT_EQ(0640u, Lstat(path).st_mode & 07777);
}

TEST_P(AclTest, ChmodChangesTheMask) {
  for (const char* name : {"lowfile", "upfile"}) {
    SetAcl(P(name), kAliceReadWrite);
    ASSERT_EQ(0, chmod(P(name).c_str(), 0614));
    EXPECT_EQ("user::rw- user:65531:rw- group::r-- mask::--x other::r-- ", AclOf(P(name))) << name;
    const std::string path = P(name);
    EXPECT_EQ(EACCES, RunAs({.uid = kAlice, .gid = kAlice},
                            [&] { return ErrnoOf(open(path.c_str(), O_RDONLY)); }));
  }
}

TEST_P(AclTest, MinimalAclIsOnlyTheMode) {
  ASSERT_EQ(0, chmod(P("lowfile").c_str(), 0640));
  SetAcl(P("lowfile"), "u::rwx,g::rx,o::-", "--set");
  EXPECT_EQ(0750u, Lstat(P("lowfile")).st_mode & 07777);
  EXPECT_EQ(std::nullopt, GetXattr(P("lowfile"), "system.posix_acl_access"));
}

TEST_P(AclTest, SurvivesCopyUp) {
  mount().Unmount();
  SetAcl(InMiddle("lowfile"), kAliceReadWrite);
  SetAcl(InMiddle("lowdir"), "d:" + kAliceReadWrite);
  mount().Mount();
  const std::string before = AclOf(P("lowfile"));
  EXPECT_EQ("user::rw- user:65531:rw- group::r-- mask::rw- other::r-- ", before);
  AppendFile(P("lowfile"), "x");
  WriteFile(P("lowdir/sub/new"), "");
  EXPECT_EQ(before, AclOf(P("lowfile")));
  EXPECT_NE("", AclOf(P("lowdir"), true));
  Remount();
  EXPECT_EQ(before, AclOf(P("lowfile")));
  EXPECT_NE("", AclOf(P("lowdir"), true));
}

TEST_P(AclTest, DefaultIsInheritedAndReplacesTheUmask) {
  for (const std::string dir : {"lowdir", "updir", "merged"}) {
    SetAcl(P(dir), "d:u::rwx,d:g::rwx,d:o::-,d:" + kAliceReadWrite + ",d:m::rwx");
    umask(077);
    OpenFile(P(dir + "/file"), O_RDWR | O_CREAT | O_EXCL, 0666);
    EXPECT_EQ(0, mkdir(P(dir + "/dir").c_str(), 0777));
    EXPECT_EQ(0, mkfifo(P(dir + "/fifo").c_str(), 0666));
    umask(022);
    EXPECT_EQ("user::rw- user:65531:rw- group::rwx mask::rw- other::--- ", AclOf(P(dir + "/file")))
        << dir;
    EXPECT_EQ(0660u, Lstat(P(dir + "/file")).st_mode & 07777) << dir;
    EXPECT_EQ(0770u, Lstat(P(dir + "/dir")).st_mode & 07777) << dir;
    EXPECT_EQ(0660u, Lstat(P(dir + "/fifo")).st_mode & 07777) << dir;
    EXPECT_EQ(AclOf(P(dir), true), AclOf(P(dir + "/dir"), true)) << dir;
    EXPECT_EQ(0, symlink("x", P(dir + "/symlink").c_str()));
  }
}

TEST_P(AclTest, DefaultOfALowerDirectoryAppliesToNewFiles) {
  mount().Unmount();
  SetAcl(InMiddle("lowdir/sub"), "d:" + kAliceReadWrite);
  mount().Mount();
  OpenFile(P("lowdir/sub/new"), O_RDWR | O_CREAT | O_EXCL, 0666);
  EXPECT_EQ("user::rw- user:65531:rw- group::r-x mask::rw- other::r-- ",
            AclOf(P("lowdir/sub/new")));
}

TEST_P(AclTest, DefaultIsForDirectoriesOnly) {
  SetAcl(P("lowdir"), "d:u::rwx");
  const std::string value = GetXattr(P("lowdir"), "system.posix_acl_default").value_or("");
  EXPECT_NE("", value);
  EXPECT_EQ(EACCES, SetXattr(P("lowfile"), "system.posix_acl_default", value));
}

TEST_P(AclTest, OnlyTheOwnerSetsIt) {
  const std::string path = P("alice/file");
  const Credentials alice{.uid = kAlice, .gid = kAlice}, bob{.uid = kBob, .gid = kBob};
  auto set = [&] { return RunProgram({"setfacl", "-m", "u:0:r", path}).exit_code == 0 ? 0 : 1; };
  EXPECT_EQ(1, RunAs(bob, set));
  EXPECT_EQ(0, RunAs(alice, set));
}

TEST_P(AclTest, RemovalRestoresThePlainMode) {
  for (const char* name : {"lowfile", "upfile"}) {
    SetAcl(P(name), kAliceReadWrite);
    EXPECT_EQ(0, RunProgram({"setfacl", "-b", P(name)}).exit_code);
    EXPECT_EQ(0644u, Lstat(P(name)).st_mode & 07777);
    EXPECT_EQ(std::nullopt, GetXattr(P(name), "system.posix_acl_access"));
  }
}

TEST_P(AclTest, InvalidValuesAreRefused) {
  EXPECT_EQ(EINVAL, SetXattr(P("lowfile"), "system.posix_acl_access",
                             std::string("\x02\0\0\0\x01\0\x07", 7)));
  EXPECT_EQ(EOPNOTSUPP, SetXattr(P("lowfile"), "system.posix_acl_access", "junk!"))
      << "no such version";
  EXPECT_EQ(EOPNOTSUPP, SetXattr(P("lowlink"), "system.posix_acl_access", ""));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, AclTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
