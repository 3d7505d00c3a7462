// privilege_test.cc: when setuid, setgid and file capabilities disappear.
// Not here: who may change attributes (permission_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

std::string CapabilityValue() {
  vfs_cap_data caps = {};
  caps.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  caps.data[0].permitted = 1u << CAP_NET_RAW;
  return std::string(reinterpret_cast<const char*>(&caps), XATTR_CAPS_SZ_2);
}

struct ModifyCase {
  const char* name;
  int (*modify)(const std::string& path);
};

int WithFile(const std::string& path, int flags, long (*body)(int fd)) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ErrnoOf(body(fd));
  close(fd);
  return error;
}

const ModifyCase kModifications[] = {
    {"Write",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY, [](int fd) -> long { return write(fd, "x", 1); });
     }},
    {"Append",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY | O_APPEND, [](int fd) -> long { return write(fd, "x", 1); });
     }},
    {"Truncate", [](const std::string& path) { return ErrnoOf(truncate(path.c_str(), 1)); }},
    {"Extend", [](const std::string& path) { return ErrnoOf(truncate(path.c_str(), 99999)); }},
    {"Ftruncate",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY, [](int fd) -> long { return ftruncate(fd, 2); });
     }},
    {"OpenTrunc",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY | O_TRUNC, [](int) -> long { return 0; });
     }},
    {"Fallocate",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY, [](int fd) -> long { return fallocate(fd, 0, 0, 10000); });
     }},
    {"PunchHole",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY, [](int fd) -> long {
         return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1);
       });
     }},
    {"CopyFileRange",
     [](const std::string& path) {
       return WithFile(path, O_RDWR, [](int fd) -> long {
         loff_t in = 0, out = 2;
         return copy_file_range(fd, &in, fd, &out, 1, 0);
       });
     }},
};

class PrivilegeTest : public RowTest<ModifyCase> {
 protected:
  void BuildLayers(LayerSet& layers) override {
    for (LayerWriter* layer : {&layers.middle, &layers.upper}) {
      const std::string origin = layer == &layers.middle ? "low" : "up";
      for (const mode_t mode : {06777, 06766, 02766, 04777}) {
        const std::string path = origin + std::to_string(mode);
        layer->File(path, "content\n", 0644);
        layer->Own(path, 0, 0, mode);
      }
      layer->File(origin + "caps", "content\n", 0777);
      layer->Xattr(origin + "caps", "security.capability", CapabilityValue());
    }
  }
};

mode_t ModeAfterUserChange(mode_t mode) {
  mode &= ~static_cast<mode_t>(S_ISUID);
  // Without group execution the bit once meant mandatory locking.
  if ((mode & S_IXGRP) != 0) mode &= ~static_cast<mode_t>(S_ISGID);
  return mode;
}

TEST_P(PrivilegeTest, UserClearsSetuidAndSetgid) {
  for (const std::string origin : {"low", "up"}) {
    for (const mode_t mode : {06777, 04777}) {
      const std::string path = P(origin + std::to_string(mode));
      ASSERT_EQ(mode, Lstat(path).st_mode & 07777);
      ASSERT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] { return row().modify(path); }));
      EXPECT_EQ(ModeAfterUserChange(mode), Lstat(path).st_mode & 07777) << path;
      mount().DropCaches();
      EXPECT_EQ(ModeAfterUserChange(mode), Lstat(path).st_mode & 07777) << path;
    }
  }
}

TEST_P(PrivilegeTest, UserClearsSetgidOfGroupNonExecutableOnlyAsNonMember) {
  for (const std::string origin : {"low", "up"}) {
    const std::string path = P(origin + std::to_string(02766));
    ASSERT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] { return row().modify(path); }));
    const mode_t user_mode = Lstat(path).st_mode & 07777;
    EXPECT_TRUE(user_mode == 02766 || user_mode == 0766) << std::oct << user_mode;
  }
}

TEST_P(PrivilegeTest, RootKeepsSetuidAndSetgid) {
  for (const std::string origin : {"low", "up"}) {
    const std::string path = P(origin + std::to_string(06777));
    ASSERT_EQ(0, row().modify(path));
    EXPECT_EQ(06777u, Lstat(path).st_mode & 07777) << path;
    Remount();
    EXPECT_EQ(06777u, Lstat(path).st_mode & 07777) << path;
  }
}

TEST_P(PrivilegeTest, AnyChangeOfContentRemovesCapabilities) {
  for (const std::string origin : {"low", "up"}) {
    const std::string path = P(origin + "caps");
    ASSERT_EQ(CapabilityValue(), GetXattr(path, "security.capability"));
    ASSERT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] { return row().modify(path); }));
    EXPECT_EQ(std::nullopt, GetXattr(path, "security.capability")) << path;
  }
}

TEST_P(PrivilegeTest, RootsChangeOfContentRemovesCapabilitiesToo) {
  for (const std::string origin : {"low", "up"}) {
    const std::string path = P(origin + "caps");
    ASSERT_EQ(0, row().modify(path));
    EXPECT_EQ(std::nullopt, GetXattr(path, "security.capability")) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, PrivilegeTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(kModifications)),
                         NameRow());

class PrivilegeDetails : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    BuildStandardTree(layers);
    for (LayerWriter* layer : {&layers.middle, &layers.upper}) {
      const std::string origin = layer == &layers.middle ? "low" : "up";
      layer->File(origin + "setid", "content\n");
      layer->Own(origin + "setid", kAlice, kStaff, 06755);
      layer->File(origin + "caps", "content\n", 0755);
      layer->Xattr(origin + "caps", "security.capability", CapabilityValue());
      layer->Dir(origin + "setgid");
      layer->Own(origin + "setgid", kAlice, kStaff, 02755);
    }
  }
};

TEST_P(PrivilegeDetails, ChownClearsSetidOfFilesEvenForRoot) {
  for (const std::string origin : {"low", "up"}) {
    ASSERT_EQ(0, chown(P(origin + "setid").c_str(), kBob, kBob));
    EXPECT_EQ(0755u, Lstat(P(origin + "setid")).st_mode & 07777) << origin;
    ASSERT_EQ(0, chown(P(origin + "caps").c_str(), kBob, kBob));
    EXPECT_EQ(std::nullopt, GetXattr(P(origin + "caps"), "security.capability")) << origin;
    // Directories keep theirs.
    ASSERT_EQ(0, chown(P(origin + "setgid").c_str(), kBob, kBob));
    EXPECT_EQ(02755u, Lstat(P(origin + "setgid")).st_mode & 07777) << origin;
  }
}

TEST_P(PrivilegeDetails, CopyUpForAnotherReasonKeepsSetidAndCapabilities) {
  const timespec now[2] = {{1, 1}, {2, 2}};
  for (const char* name : {"lowsetid", "lowcaps"}) {
    ASSERT_EQ(0, utimensat(AT_FDCWD, P(name).c_str(), now, 0));
    ASSERT_EQ(0, SetXattr(P(name), "user.x", "y"));
    ASSERT_EQ(0, rename(P(name).c_str(), P(std::string(name) + "2").c_str()));
  }
  Remount();
  EXPECT_EQ(06755u, Lstat(P("lowsetid2")).st_mode & 07777);
  EXPECT_EQ(kAlice, Lstat(P("lowsetid2")).st_uid);
  EXPECT_EQ(CapabilityValue(), GetXattr(P("lowcaps2"), "security.capability"));
}

TEST_P(PrivilegeDetails, ChmodByOwnerOutsideTheGroupClearsSetgid) {
  for (const std::string origin : {"low", "up"}) {
    const std::string path = P(origin + "setid");
    ASSERT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice},
                       [&] { return ErrnoOf(chmod(path.c_str(), 06711)); }));
    EXPECT_EQ(04711u, Lstat(path).st_mode & 07777);
    ASSERT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice, .groups = {kStaff}},
                       [&] { return ErrnoOf(chmod(path.c_str(), 06711)); }));
    EXPECT_EQ(06711u, Lstat(path).st_mode & 07777);
  }
}

TEST_P(PrivilegeDetails, ChownToTheSameOwnerByUserClearsSetid) {
  for (const std::string origin : {"low", "up"}) {
    const std::string path = P(origin + "setid");
    ASSERT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice, .groups = {kStaff}},
                       [&] { return ErrnoOf(chown(path.c_str(), kAlice, kStaff)); }));
    EXPECT_EQ(0755u, Lstat(path).st_mode & 07777) << origin;
  }
}

TEST_P(PrivilegeDetails, SharedMappingWriteByUserIsWrittenThrough) {
  // mmap cannot clear bits at the store; the content must arrive all the same.
  const std::string path = P("alice/file");
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] {
              const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
              if (fd < 0) return errno;
              void* map = mmap(nullptr, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
              if (map == MAP_FAILED) return errno;
              memcpy(map, "ALICE", 5);
              return ErrnoOf(msync(map, 6, MS_SYNC));
            }));
  EXPECT_EQ("ALICE\n", ReadFile(path));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, PrivilegeDetails, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
