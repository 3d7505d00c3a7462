// owner_in_attribute_test.cc: mounts with xattr_permissions=1 and 2, on layers that were made without.
// Not here: the format of the attributes (on_disk_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

using OwnerInAttribute = PlyfsTest;

constexpr char kCapability[] = "security.capability";
// A VFS_CAP_REVISION_2 value, effective, with CAP_CHOWN or CAP_KILL.
const std::string kChownCapability("\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
const std::string kKillCapability("\1\0\0\2\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

TEST_F(OwnerInAttribute, ARemovedDirectoryKeepsItsOwnerWhileItIsOpen) {
  for (const char* mode : {"1", "2"}) {
    SCOPED_TRACE(mode);
    MakeDirs(Lower("low" + std::string(mode)));
    Mount("xattr_permissions=" + std::string(mode));
    MakeDirs(P("new"));
    MakeDirs(P("other"));
    for (const std::string& name : {"low" + std::string(mode), std::string("new")}) {
      ASSERT_EQ(0, chown(P(name).c_str(), 7, 8));
      ASSERT_EQ(0, chmod(P(name).c_str(), 01751));
      const int fd = open(P(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      ASSERT_LE(0, fd);
      // Removed, and replaced.
      ASSERT_EQ(0, name == "new" ? rename(P("other").c_str(), P(name).c_str()) : rmdir(P(name).c_str()));
      struct stat st = {};
      EXPECT_EQ(0, ErrnoOf(fstat(fd, &st))) << name;
      EXPECT_EQ(7u, st.st_uid) << name;
      EXPECT_EQ(8u, st.st_gid) << name;
      EXPECT_EQ(S_IFDIR | 01751u, st.st_mode) << name;
      EXPECT_EQ(0u, st.st_nlink) << name;
      close(fd);
    }
    ASSERT_EQ(0, rmdir(P("new").c_str()));
    ExpectServerLives();
    Unmount();
  }
}

// A server that takes the file for a directory dies of it.
TEST_F(OwnerInAttribute, AFileCannotSayThatItIsADirectory) {
  for (const std::string& layer : {Lower(""), Upper("")}) {
    const std::string name = layer == Lower("") ? "low" : "up";
    ASSERT_EQ(0, SetXattr(layer, "user.containers.override_stat", "0:0:755:dir"));
    WriteFile(layer + name, "x");
    ASSERT_EQ(0, SetXattr(layer + name, "user.containers.override_stat", "0:0:755:dir"));
    WriteFile(layer + name + "-right", "x");
    ASSERT_EQ(0, SetXattr(layer + name + "-right", "user.containers.override_stat", "1:2:640:file"));
  }
  Mount("xattr_permissions=2");
  for (const char* name : {"low", "up"}) {
    EXPECT_EQ(EIO, LstatErrno(P(name))) << name;
    EXPECT_EQ(1u, Lstat(P(name + std::string("-right"))).st_uid);
  }
  ListDir(P(""));
  ExpectServerLives();
}

TEST_F(OwnerInAttribute, ARealCapabilityIsListedAndReadAndChangedAlike) {
  for (const std::string& layer : {Lower(""), Upper("")}) {
    const std::string name = layer + (layer == Lower("") ? "low" : "up");
    WriteFile(name, "x", 0755);
    ASSERT_EQ(0, SetXattr(name, kCapability, kChownCapability));
  }
  Mount("xattr_permissions=2");
  for (const char* name : {"low", "up"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(std::vector<std::string>{kCapability}, ListXattrs(P(name)));
    EXPECT_EQ(kChownCapability, GetXattr(P(name), kCapability));
    EXPECT_EQ(EEXIST, SetXattr(P(name), kCapability, kKillCapability, XATTR_CREATE));
    EXPECT_EQ(0, SetXattr(P(name), kCapability, kKillCapability, XATTR_REPLACE));
    for (const bool remounted : {false, true}) {
      EXPECT_EQ(std::vector<std::string>{kCapability}, ListXattrs(P(name))) << remounted;
      EXPECT_EQ(kKillCapability, GetXattr(P(name), kCapability)) << remounted;
      Remount();
    }
    EXPECT_EQ(0, RemoveXattr(P(name), kCapability));
    EXPECT_EQ(std::vector<std::string>{}, ListXattrs(P(name)));
    EXPECT_EQ(std::nullopt, GetXattr(P(name), kCapability));
    EXPECT_EQ(ENODATA, SetXattr(P(name), kCapability, kKillCapability, XATTR_REPLACE));
    EXPECT_EQ(ENODATA, RemoveXattr(P(name), kCapability));
  }
}

// Such an object cannot hold a user. attribute.
TEST_F(OwnerInAttribute, ARealFifoOfTheUpperChangesItsOwn) {
  ASSERT_EQ(0, mkfifo(Upper("fifo").c_str(), 0600));
  for (const char* mode : {"1", "2"}) {
    SCOPED_TRACE(mode);
    Mount("xattr_permissions=" + std::string(mode));
    EXPECT_EQ(0, ErrnoOf(chown(P("fifo").c_str(), 7, 8)));
    EXPECT_EQ(0, ErrnoOf(chmod(P("fifo").c_str(), 0640)));
    for (const bool remounted : {false, true}) {
      const struct stat st = Lstat(P("fifo"));
      EXPECT_EQ(7u, st.st_uid) << remounted;
      EXPECT_EQ(8u, st.st_gid) << remounted;
      EXPECT_EQ(S_IFIFO | 0640u, st.st_mode) << remounted;
      Remount();
    }
    Unmount();
  }
}

}  // namespace
}  // namespace plyfs::test
