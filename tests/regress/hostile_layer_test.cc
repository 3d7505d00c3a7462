// hostile_layer_test.cc: layers that somebody made to lead the server astray or to crash it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

class HostileLayer : public PlyfsTest {
 protected:
  void SetUp() override {
    MakeDirs(dir() / "outside/sub");
    WriteFile(dir() / "outside/secret", "secret");
    WriteFile(dir() / "outside/sub/deep", "secret");
  }
  void ExpectOutsideUntouched() {
    EXPECT_EQ((std::vector<std::string>{"secret", "sub"}), ListDir(dir() / "outside"));
    EXPECT_EQ("secret", ReadFile(dir() / "outside/secret"));
    EXPECT_EQ(std::vector<std::string>{"deep"}, ListDir(dir() / "outside/sub"));
    EXPECT_EQ(0644u, Lstat(dir() / "outside/secret").st_mode & 07777);
  }
};

TEST_F(HostileLayer, SymlinkPlantedAsADirectoryInTheUpperIsNotFollowed) {
  // The lower has d/, the upper has d -> ../outside: what is seen is the symlink, and everything
  // that the server does below d stays in the layers.
  WriteFile((MakeDirs(Lower("d/sub")), Lower("d/file")), "low");
  MakeSymlink(dir() / "outside", Upper("d"));
  Mount();
  EXPECT_TRUE(S_ISLNK(Lstat(P("d")).st_mode));
  EXPECT_EQ(dir() / "outside", ReadLink(P("d")));
  ASSERT_EQ(0, unlink(P("d").c_str()));
  EXPECT_EQ(ENOENT, LstatErrno(P("d")));
  ExpectOutsideUntouched();
}

TEST_F(HostileLayer, DirectorySwappedForASymlinkWhileMounted) {
  WriteFile((MakeDirs(Lower("d/sub")), Lower("d/file")), "low");
  MakeDirs(Upper("d"));
  Mount();
  const int dir_fd = open(P("d").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(0, rename(Upper("d").c_str(), Upper("elsewhere").c_str()));
  MakeSymlink(dir() / "outside", Upper("d"));
  // Whatever these return, they must not reach outside.
  const int created = openat(dir_fd, "planted", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (created >= 0) close(created);
  unlinkat(dir_fd, "secret", 0);
  mkdirat(dir_fd, "planted2", 0755);
  fchmodat(dir_fd, "file", 0777, 0);
  renameat(dir_fd, "file", dir_fd, "file2");
  close(dir_fd);
  ExpectOutsideUntouched();
  ExpectServerLives();
}

TEST_F(HostileLayer, SymlinkInALowerWhereAnotherLowerHasADirectory) {
  WriteFile((MakeDirs(dir() / "l2/d"), dir() / "l2/d/file"), "l2");
  MakeSymlink(dir() / "outside", Lower("d"));
  UnionOptions options = Options();
  options.lowers = {dir() / "lower", dir() / "l2"};
  Mount(options);
  EXPECT_TRUE(S_ISLNK(Lstat(P("d")).st_mode));
  Unmount();
  options.lowers = {dir() / "l2", dir() / "lower"};
  Mount(options);
  EXPECT_EQ(std::vector<std::string>{"file"}, ListDir(P("d")));
  EXPECT_EQ(ENOENT, LstatErrno(P("d/secret")));
  AppendFile(P("d/file"), "x");
  ExpectOutsideUntouched();
}

TEST_F(HostileLayer, RedirectThatLeadsOutIsRefused) {
  const std::string redirects[] = {
      "/../outside", "../outside", "..", "/..",  "/d/../../outside", "a/b",
      "/",           "",           ".",  "/./d", "//outside",        std::string(5000, 'x')};
  int number = 0;
  MakeDirs(Lower("d"));
  for (const std::string& redirect : redirects) {
    const std::string name = "r" + std::to_string(number++);
    MakeDirs(Upper(name));
    if (redirect.size() < 4000) {
      ASSERT_EQ(0, SetXattr(Upper(name), "trusted.overlay.redirect", redirect)) << redirect;
    }
  }
  Mount("redirect_dir=on");
  for (int i = 0; i < number; ++i) {
    const std::string path = P("r" + std::to_string(i));
    EXPECT_NE(0, LstatErrno(path + "/secret")) << redirects[i];
    struct stat st = {};
    // Refused, or seen as a directory of its own.
    if (stat(path.c_str(), &st) == 0) {
      for (const std::string& name : ListDir(path)) {
        EXPECT_NE("secret", name) << redirects[i];
        EXPECT_NE("outside", name) << redirects[i];
      }
    } else {
      EXPECT_TRUE(errno == EIO || errno == ESTALE || errno == EPERM) << redirects[i] << errno;
    }
  }
  ExpectOutsideUntouched();
  ExpectServerLives();
}

TEST_F(HostileLayer, RedirectThroughASymlinkIsNotFollowed) {
  MakeSymlink(dir() / "outside", Lower("link"));
  MakeDirs(Upper("r"));
  ASSERT_EQ(0, SetXattr(Upper("r"), "trusted.overlay.redirect", "/link"));
  MakeDirs(Upper("s"));
  ASSERT_EQ(0, SetXattr(Upper("s"), "trusted.overlay.redirect", "/link/sub"));
  Mount("redirect_dir=on");
  for (const std::string name : {"r", "s"}) {
    EXPECT_NE(0, LstatErrno(P(name + "/secret")));
    EXPECT_NE(0, LstatErrno(P(name + "/deep")));
  }
  ExpectOutsideUntouched();
  ExpectServerLives();
}

TEST_F(HostileLayer, RedirectLoopDoesNotHang) {
  for (const char* layer : {"lower", "l2", "l3"}) {
    MakeDirs(dir() / (std::string(layer) + "/a"));
    MakeDirs(dir() / (std::string(layer) + "/b"));
    ASSERT_EQ(0, SetXattr(dir() / (std::string(layer) + "/a"), "trusted.overlay.redirect", "/b"));
    ASSERT_EQ(0, SetXattr(dir() / (std::string(layer) + "/b"), "trusted.overlay.redirect", "/a"));
  }
  UnionOptions options = Options("redirect_dir=on");
  options.lowers = {dir() / "lower", dir() / "l2", dir() / "l3"};
  Mount(options);
  LstatErrno(P("a"));
  LstatErrno(P("b/x"));
  ExpectServerLives();
}

TEST_F(HostileLayer, MarksForgedByUsersAreEscaped) {
  WriteFile((MakeDirs(Lower("d")), Lower("d/file")), "low");
  ASSERT_EQ(0, lchown(Lower("d").c_str(), 1234, 1234));
  Mount();
  const std::string path = P("d");
  EXPECT_EQ(0, RunAs({.uid = 1234, .gid = 1234}, [&] {
              int error = SetXattr(path, "user.overlay.opaque", "y");
              if (error == 0) error = SetXattr(path, "user.overlay.redirect", "/../outside");
              return error;
            }));
  const int private_name = SetXattr(path, "user.fuseoverlayfs.opaque", "y");
  EXPECT_TRUE(private_name == EPERM || private_name == EOPNOTSUPP || private_name == 0)
      << private_name;
  SetXattr(path, "user.fuseoverlayfs.origin", "junk");
  SetXattr(path, "user.containers.override_stat", "0:0:4777");
  EXPECT_EQ(std::vector<std::string>{"file"}, ListDir(path));
  Remount();
  EXPECT_EQ(std::vector<std::string>{"file"}, ListDir(path)) << "a user made the directory opaque";
  EXPECT_EQ(1234u, Lstat(path).st_uid);
  EXPECT_EQ(0755u, Lstat(path).st_mode & 07777);
}

TEST_F(HostileLayer, MarksOfALowerMadeByAUserStandAsTheyAre) {
  // user.overlay.* in a lower is a mark of a rootless overlay: it is honoured, and not shown.
  WriteFile((MakeDirs(dir() / "l2/d"), dir() / "l2/d/file"), "x");
  MakeDirs(Lower("d"));
  ASSERT_EQ(0, SetXattr(Lower("d"), "user.overlay.opaque", "y"));
  UnionOptions options = Options();
  options.lowers = {dir() / "lower", dir() / "l2"};
  Mount(options);
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("d")));
  EXPECT_EQ(std::vector<std::string>{}, ListXattrs(P("d")));
}

TEST_F(HostileLayer, CorruptMarksNeverCrash) {
  const std::string names[] = {"trusted.overlay.opaque",        "trusted.overlay.redirect",
                               "trusted.overlay.origin",        "trusted.overlay.metacopy",
                               "trusted.overlay.whiteout",      "trusted.overlay.impure",
                               "trusted.overlay.nlink",         "trusted.overlay.upper",
                               "user.containers.override_stat", "user.fuseoverlayfs.override_stat",
                               "user.fuseoverlayfs.origin",     "trusted.overlay.protattr",
                               "trusted.overlay.uuid",          "user.overlay.origin"};
  const std::string values[] = {"",
                                "\xff",
                                std::string(1, '\0'),
                                "junk",
                                std::string(3000, 'A'),
                                "99999999999999999999",
                                "-1",
                                "0:0",
                                ":::::",
                                "/",
                                "U+999",
                                std::string("\x00\xfb\x21\x00\x81", 5)};
  int number = 0;
  for (const std::string& layer : {dir() / "upper/", dir() / "lower/"}) {
    for (const std::string& name : names) {
      for (const std::string& value : values) {
        const std::string base = layer + "n" + std::to_string(number++);
        MakeDirs(base + "d/sub");
        WriteFile(base + "f", "content");
        SetXattr(base + "d", name, value);
        SetXattr(base + "f", name, value);
      }
    }
  }
  Mount("redirect_dir=on");
  const std::vector<std::string> listed = ListDir(P(""));
  EXPECT_LE(listed.size(), 2u * static_cast<size_t>(number));
  for (const std::string& name : listed) {
    struct stat st = {};
    if (lstat(P(name).c_str(), &st) != 0) {
      EXPECT_TRUE(errno == EIO || errno == ENOENT || errno == ESTALE) << name << " " << errno;
      continue;
    }
    const int fd = open(P(name).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char buffer[16];
    if (fd >= 0 && read(fd, buffer, sizeof buffer) < 0) {
      EXPECT_TRUE(errno == EIO || errno == EISDIR) << name << " " << errno;
    }
    if (fd >= 0) close(fd);
    chmod(P(name).c_str(), 0700);
    rename(P(name).c_str(), P(name + "moved").c_str());
  }
  ExpectServerLives();
  ExpectOutsideUntouched();
  // Everything else goes on.
  WriteFile(P("healthy"), "yes");
  EXPECT_EQ("yes", ReadFile(P("healthy")));
}

TEST_F(HostileLayer, MetacopyOfALowerNeverShowsWrongData) {
  // A file whose data is elsewhere: its own content (zeros) must not be shown as the file's.
  MakeDirs(dir() / "l2");
  WriteFile(dir() / "l2/file", "real data");
  WriteFile(Lower("file"), "");
  ASSERT_EQ(0, truncate(Lower("file").c_str(), 9));
  ASSERT_EQ(0, SetXattr(Lower("file"), "trusted.overlay.metacopy", ""));
  UnionOptions options = Options();
  options.lowers = {dir() / "lower", dir() / "l2"};
  Mount(options);
  const int fd = open(P("file").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    EXPECT_TRUE(errno == EIO || errno == EPERM) << errno;
    return;
  }
  char data[16] = {};
  const ssize_t got = read(fd, data, sizeof data);
  close(fd);
  if (got >= 0) {
    EXPECT_EQ("real data", std::string(data, static_cast<size_t>(got)));
  }
}

TEST_F(HostileLayer, WhiteoutPrefixNamesThatAreOnlyThePrefix) {
  for (const char* name : {".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh..opq2", ".wh..wh..wh."})
    WriteFile(Lower(name), "");
  WriteFile(Lower("file"), "x");
  Mount();
  EXPECT_EQ("x", ReadFile(P("file")));
  ListDir(P(""));
  EXPECT_EQ(0, LstatErrno(P(".")));
  ExpectServerLives();
}

TEST_F(HostileLayer, DeviceNodesOfALayerAreNotOpenedByTheServer) {
  // Opening a device or a fifo of a layer could hang or harm; copy-up and chmod must not open it.
  ASSERT_EQ(0, mkfifo(Lower("fifo").c_str(), 0644));
  ASSERT_EQ(0, mknod(Lower("tape").c_str(), S_IFCHR | 0644, makedev(9, 128)));
  Mount();
  ASSERT_EQ(0, chmod(P("fifo").c_str(), 0600));
  ASSERT_EQ(0, rename(P("tape").c_str(), P("tape2").c_str()));
  EXPECT_EQ(makedev(9, 128), Lstat(P("tape2")).st_rdev);
  EXPECT_EQ(EPERM, SetXattr(P("fifo"), "user.x", "y"));
  ExpectServerLives();
}

TEST_F(HostileLayer, LayerEntriesThatVanishWhileMounted) {
  WriteFile((MakeDirs(Lower("d")), Lower("d/file")), "x");
  WriteFile(Lower("f"), "x");
  Mount();
  EXPECT_TRUE(Exists(P("d/file")));
  EXPECT_TRUE(Exists(P("f")));
  ASSERT_EQ(0, RemoveTree(Lower("d")));
  ASSERT_EQ(0, unlink(Lower("f").c_str()));
  chmod(P("f").c_str(), 0600);
  chmod(P("d/file").c_str(), 0600);
  const int fd = open(P("f").c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) close(fd);
  mount().DropCaches();
  LstatErrno(P("f"));
  WriteFile(P("healthy"), "yes");
  ExpectServerLives();
}

}  // namespace
}  // namespace plyfs::test
