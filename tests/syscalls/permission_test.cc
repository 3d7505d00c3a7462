// permission_test.cc: who may do what: modes, ownership rules, the sticky bit.
// Not here: ACLs (acl_test.cc), setuid clearing (privilege_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

const Credentials kAsAlice{.uid = kAlice, .gid = kAlice};
const Credentials kAsBob{.uid = kBob, .gid = kBob};

using PermissionTest = SyscallTest;

TEST_P(PermissionTest, OnlyTheOwnerMayChmod) {
  for (const char* name : {"alice/file", "alice/dir"}) {
    const std::string path = P(name);
    EXPECT_EQ(EPERM, RunAs(kAsBob, [&] { return ErrnoOf(chmod(path.c_str(), 0777)); }));
    EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(chmod(path.c_str(), 0750)); }));
    EXPECT_EQ(0750u, Lstat(path).st_mode & 07777);
  }
}

TEST_P(PermissionTest, UserMayNotGiveFilesAwayButMayChangeToOwnGroup) {
  const std::string path = P("alice/file");
  EXPECT_EQ(EPERM, RunAs(kAsAlice, [&] { return ErrnoOf(chown(path.c_str(), kBob, -1u)); }));
  EXPECT_EQ(EPERM, RunAs(kAsAlice, [&] { return ErrnoOf(chown(path.c_str(), -1u, kStaff)); }));
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice, .groups = {kStaff}},
                     [&] { return ErrnoOf(chown(path.c_str(), -1u, kStaff)); }));
  EXPECT_EQ(kStaff, Lstat(path).st_gid);
  EXPECT_EQ(EPERM, RunAs({.uid = kBob, .gid = kBob, .groups = {kStaff}},
                         [&] { return ErrnoOf(chown(path.c_str(), -1u, kBob)); }));
}

TEST_P(PermissionTest, AccessFollowsTheModeBits) {
  struct AccessCase {
    mode_t mode;
    Credentials who;
    int how;
    int expected;
  };
  const Credentials staff{.uid = kBob, .gid = kBob, .groups = {kStaff}};
  const AccessCase cases[] = {
      {0400, kAsAlice, R_OK, 0},      {0400, kAsAlice, W_OK, EACCES},
      {0400, kAsBob, R_OK, EACCES},   {0040, staff, R_OK, 0},
      {0040, kAsAlice, R_OK, EACCES}, {0004, kAsBob, R_OK, 0},
      {0004, staff, R_OK, EACCES},    {0100, kAsAlice, X_OK, 0},
      {0010, staff, X_OK, 0},         {0001, kAsBob, X_OK, 0},
      {0020, staff, W_OK, 0},         {0002, kAsBob, W_OK, 0},
      {0770, kAsBob, R_OK, EACCES},   {0777, kAsBob, R_OK | W_OK | X_OK, 0},
  };
  for (const char* name : {"alice/file", "alice/dir"}) {
    ASSERT_EQ(0, chown(P(name).c_str(), kAlice, kStaff));
    for (const AccessCase& row : cases) {
      ASSERT_EQ(0, chmod(P(name).c_str(), row.mode));
      EXPECT_EQ(row.expected,
                RunAs(row.who, [&] { return ErrnoOf(access(P(name).c_str(), row.how)); }))
          << name << std::oct << " mode " << row.mode << " how " << row.how;
    }
  }
}

TEST_P(PermissionTest, RootMayDoAllButExecuteWithoutAnyExecuteBit) {
  ASSERT_EQ(0, chmod(P("lowfile").c_str(), 0000));
  EXPECT_EQ(0, access(P("lowfile").c_str(), R_OK | W_OK));
  EXPECT_EQ(-1, access(P("lowfile").c_str(), X_OK));
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
}

TEST_P(PermissionTest, LowerFileWithModeZeroIsClosedToUsers) {
  mount().Unmount();
  ASSERT_EQ(0, chmod(InMiddle("lowfile").c_str(), 0000));
  mount().Mount();
  const std::string path = P("lowfile");
  EXPECT_EQ(EACCES, RunAs(kAsAlice, [&] { return ErrnoOf(open(path.c_str(), O_RDONLY)); }));
  EXPECT_EQ(EACCES, RunAs(kAsAlice, [&] { return ErrnoOf(truncate(path.c_str(), 0)); }));
  EXPECT_EQ(0, RunAs(kAsAlice, [&] {
              struct stat st;
              return ErrnoOf(stat(path.c_str(), &st));
            }));
}

TEST_P(PermissionTest, OwnersLowerFileWithoutReadBitCanStillBeCopiedUp) {
  mount().Unmount();
  ASSERT_EQ(0, chmod(InMiddle("alice/file").c_str(), 0200));
  mount().Mount();
  const std::string path = P("alice/file");
  EXPECT_EQ(0, RunAs(kAsAlice, [&] {
              const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
              return fd < 0 ? errno : write(fd, "x", 1) == 1 ? 0 : errno;
            }));
  EXPECT_EQ("alice\nx", ReadFile(path));
  EXPECT_EQ(0200u, Lstat(path).st_mode & 07777);
  EXPECT_EQ(kAlice, Lstat(path).st_uid);
}

TEST_P(PermissionTest, DirectoryWithoutReadIsSearchableAndWithoutSearchIsListable) {
  const std::string dir = P("alice/dir");
  ASSERT_EQ(0, chmod(dir.c_str(), 0711));
  EXPECT_EQ(EACCES,
            RunAs(kAsBob, [&] { return ErrnoOf(open(dir.c_str(), O_RDONLY | O_DIRECTORY)); }));
  EXPECT_EQ(0, RunAs(kAsBob, [&] { return ErrnoOf(access((dir + "/x").c_str(), R_OK)); }));
  ASSERT_EQ(0, chmod(dir.c_str(), 0744));
  EXPECT_EQ(0, RunAs(kAsBob, [&] { return ErrnoOf(open(dir.c_str(), O_RDONLY | O_DIRECTORY)); }));
  EXPECT_EQ(EACCES, RunAs(kAsBob, [&] { return ErrnoOf(access((dir + "/x").c_str(), F_OK)); }));
}

TEST_P(PermissionTest, UnlinkNeedsTheParentNotTheFile) {
  const std::string own = P("alice/dir/root-owned"), foreign = P("lowdir/a");
  WriteFile(own, "x", 0600);
  EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(unlink(own.c_str())); }));
  EXPECT_EQ(EACCES, RunAs(kAsAlice, [&] { return ErrnoOf(unlink(foreign.c_str())); }));
  ASSERT_EQ(0, chown(foreign.c_str(), kAlice, kAlice));
  EXPECT_EQ(EACCES, RunAs(kAsAlice, [&] { return ErrnoOf(unlink(foreign.c_str())); }));
}

TEST_P(PermissionTest, RenameNeedsBothParents) {
  const std::string inside = P("alice/dir/x"), outside = P("lowdir/x"), foreign = P("lowdir/a");
  EXPECT_EQ(EACCES,
            RunAs(kAsAlice, [&] { return ErrnoOf(rename(inside.c_str(), outside.c_str())); }));
  EXPECT_EQ(EACCES,
            RunAs(kAsAlice, [&] { return ErrnoOf(rename(foreign.c_str(), inside.c_str())); }));
  const std::string moved = P("alice/y");
  EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(rename(inside.c_str(), moved.c_str())); }));
  EXPECT_EQ("x\n", ReadFile(moved));
}

class StickyTest : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    for (LayerWriter* layer : {&layers.middle, &layers.upper}) {
      const std::string dir = layer == &layers.middle ? "lowsticky" : "upsticky";
      layer->File(dir + "/alices", "x");
      layer->File(dir + "/bobs", "x");
      layer->Dir(dir + "/bobsdir");
      layer->Own(dir, 0, 0, 01777);
      layer->Own(dir + "/alices", kAlice, kAlice, 0666);
      layer->Own(dir + "/bobs", kBob, kBob, 0666);
      layer->Own(dir + "/bobsdir", kBob, kBob, 0777);
    }
  }
};

TEST_P(StickyTest, OnlyOwnersRemoveRenameAndReplace) {
  for (const std::string dir : {"lowsticky", "upsticky"}) {
    const std::string mine = P(dir + "/alices"), other = P(dir + "/bobs"),
                      other_dir = P(dir + "/bobsdir"), fresh = P(dir + "/fresh");
    EXPECT_EQ(EPERM, RunAs(kAsAlice, [&] { return ErrnoOf(unlink(other.c_str())); }));
    EXPECT_EQ(EPERM, RunAs(kAsAlice, [&] { return ErrnoOf(rmdir(other_dir.c_str())); }));
    EXPECT_EQ(EPERM,
              RunAs(kAsAlice, [&] { return ErrnoOf(rename(other.c_str(), fresh.c_str())); }));
    EXPECT_EQ(EPERM, RunAs(kAsAlice, [&] { return ErrnoOf(rename(mine.c_str(), other.c_str())); }));
    EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(rename(mine.c_str(), fresh.c_str())); }));
    EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(unlink(fresh.c_str())); }));
    EXPECT_EQ(0, RunAs(kAsBob, [&] { return ErrnoOf(rmdir(other_dir.c_str())); }));
    EXPECT_EQ(0, RunAs(kAsBob, [&] { return ErrnoOf(unlink(other.c_str())); }));
  }
}

TEST_P(StickyTest, TheDirectorysOwnerMayRemoveEverything) {
  for (const std::string dir : {"lowsticky", "upsticky"}) {
    ASSERT_EQ(0, chown(P(dir).c_str(), kAlice, kAlice));
    EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(unlink(P(dir + "/bobs").c_str())); }));
    EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(rmdir(P(dir + "/bobsdir").c_str())); }));
  }
}

TEST_P(StickyTest, OtherChangesOfForeignFilesAreAllowedByTheirMode) {
  for (const std::string dir : {"lowsticky", "upsticky"}) {
    const std::string other = P(dir + "/bobs");
    EXPECT_EQ(0, RunAs(kAsAlice, [&] { return ErrnoOf(truncate(other.c_str(), 0)); }));
    EXPECT_EQ(0, Lstat(other).st_size);
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, PermissionTest, AllTargets(), TargetName);
INSTANTIATE_TEST_SUITE_P(OnEachTarget, StickyTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
