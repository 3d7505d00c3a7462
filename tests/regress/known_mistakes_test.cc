// known_mistakes_test.cc: what users of other union filesystems reported, one case for each report.
// Not here: what belongs to the format on disk (on_disk_test.cc), concurrency and memory
// (stress_test.cc).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

using KnownMistakes = PlyfsTest;

TEST_F(KnownMistakes, CopyUpOfADirectoryKeepsItsNarrowMode) {
  MakeDirs(Lower("secret/inner"));
  WriteFile(Lower("secret/inner/key"), "k", 0600);
  ASSERT_EQ(0, chmod(Lower("secret").c_str(), 0700));
  ASSERT_EQ(0, chmod(Lower("secret/inner").c_str(), 0750));
  Mount();
  WriteFile(P("secret/inner/new"), "n");
  EXPECT_EQ(0700u, Lstat(P("secret")).st_mode & 07777);
  EXPECT_EQ(0700u, Lstat(Upper("secret")).st_mode & 07777);
  EXPECT_EQ(0750u, Lstat(Upper("secret/inner")).st_mode & 07777);
}

TEST_F(KnownMistakes, RemovedAndRemadeNestedDirectoryStaysEmpty) {
  WriteFile((MakeDirs(Lower("a/b/c")), Lower("a/b/c/file")), "x");
  Mount();
  ASSERT_EQ(0, RunProgram({"rm", "-r", P("a/b")}).exit_code);
  ASSERT_EQ(0, mkdir(P("a/b").c_str(), 0755));
  ASSERT_EQ(0, mkdir(P("a/b/c").c_str(), 0755));
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("a/b/c")));
  EXPECT_EQ(ENOENT, LstatErrno(P("a/b/c/file")));
  Remount();
  EXPECT_EQ(std::vector<std::string>{}, ListDir(P("a/b/c")));
}

TEST_F(KnownMistakes, UserMadeDeviceZeroHidesNothing) {
  WriteFile(Lower("file"), "x");
  WriteFile(Lower("other"), "x");
  Mount();
  ASSERT_EQ(0, unlink(P("other").c_str()));
  for (const char* name : {"new", "other"})
    EXPECT_EQ(0, mknod(P(name).c_str(), S_IFCHR | 0600, makedev(0, 0)));
  EXPECT_EQ(EEXIST, ErrnoOf(mknod(P("file").c_str(), S_IFCHR | 0600, makedev(0, 0))));
  ASSERT_EQ(0, rename(P("new").c_str(), P("moved").c_str()));
  for (const bool remounted : {false, true}) {
    EXPECT_EQ((std::vector<std::string>{"file", "moved", "other"}), ListDir(P(""))) << remounted;
    for (const char* name : {"moved", "other"}) {
      EXPECT_TRUE(S_ISCHR(Lstat(P(name)).st_mode)) << name << remounted;
      EXPECT_EQ(makedev(0, 0), Lstat(P(name)).st_rdev) << name << remounted;
      EXPECT_EQ(0600u, Lstat(P(name)).st_mode & 07777) << name << remounted;
    }
    Remount();
  }
  ASSERT_EQ(0, rename(P("moved").c_str(), P("file").c_str()));
  EXPECT_TRUE(S_ISCHR(Lstat(P("file")).st_mode)) << "renamed over a lower file";
  ASSERT_EQ(0, unlink(P("other").c_str()));
  Remount();
  EXPECT_EQ(std::vector<std::string>{"file"}, ListDir(P("")));
}

TEST_F(KnownMistakes, LinkCountsAreThoseOfTheUnion) {
  MakeDirs(Lower("d"));
  WriteFile(Lower("d/one"), "x");
  MakeHardLink(Lower("d/one"), Lower("d/two"));
  Mount();
  EXPECT_EQ(2u, Lstat(P("d/one")).st_nlink);
  ASSERT_EQ(0, link(P("d/one").c_str(), P("three").c_str()));
  EXPECT_EQ(3u, Lstat(P("d/two")).st_nlink);
  ASSERT_EQ(0, unlink(P("d/one").c_str()));
  EXPECT_EQ(2u, Lstat(P("three")).st_nlink);
  Remount();
  EXPECT_EQ(2u, Lstat(P("d/two")).st_nlink);
  EXPECT_EQ(2u, Lstat(P("three")).st_nlink);
}

TEST_F(KnownMistakes, LinkCountIsNotCountedOnEveryStat) {
  // 2,000 names of one file: a stat that looked at each would need 4 million steps for all.
  MakeDirs(Lower("links"));
  WriteFile(Lower("links/0"), "x");
  for (int i = 1; i < 2000; ++i)
    MakeHardLink(Lower("links/0"), Lower("links/" + std::to_string(i)));
  Mount();
  ASSERT_EQ(0, chmod(P("links/7").c_str(), 0600));
  for (int i = 0; i < 2000; ++i) {
    const struct stat st = Lstat(P("links/" + std::to_string(i)));
    ASSERT_EQ(2000u, st.st_nlink) << i;
    ASSERT_EQ(0600u, st.st_mode & 07777) << i;
  }
}

TEST_F(KnownMistakes, OpenUnlinkedFileHasNoLinks) {
  WriteFile(Lower("low"), "low");
  Mount();
  WriteFile(P("up"), "up");
  for (const char* name : {"low", "up"}) {
    const int fd = open(P(name).c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(0, unlink(P(name).c_str()));
    struct stat st = {};
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0u, st.st_nlink) << name;
    close(fd);
  }
}

TEST_F(KnownMistakes, NameOf256BytesIsTooLong) {
  Mount();
  const std::string name(256, 'n');
  EXPECT_EQ(ENAMETOOLONG, LstatErrno(P(name)));
  EXPECT_EQ(ENAMETOOLONG, ErrnoOf(mkdir(P(name).c_str(), 0755)));
  EXPECT_EQ(ENOENT, LstatErrno(P(std::string(255, 'n'))));
}

TEST_F(KnownMistakes, UmaskIsAppliedByMkfifoAndMknod) {
  Mount();
  umask(027);
  EXPECT_EQ(0, mkfifo(P("fifo").c_str(), 0666));
  EXPECT_EQ(0, mknod(P("file").c_str(), S_IFREG | 0666, 0));
  umask(022);
  EXPECT_EQ(0640u, Lstat(P("fifo")).st_mode & 07777);
  EXPECT_EQ(0640u, Lstat(P("file")).st_mode & 07777);
}

TEST_F(KnownMistakes, DirectoriesOfEqualInodeNumbersAreAllListed) {
  // One directory is seen at two paths: as a lower of its own and inside of another lower.
  for (const char* name : {"x", "y", "z"}) MakeDirs(dir() / ("base/one/" + std::string(name)));
  MakeDirs(dir() / "base/two");
  WriteFile(dir() / "base/one/x/file", "x");
  UnionOptions options = Options();
  options.lowers = {dir() / "base/one", dir() / "base"};
  Mount(options);
  EXPECT_EQ((std::vector<std::string>{"one", "two", "x", "y", "z"}), ListDir(P("")));
  EXPECT_EQ((std::vector<std::string>{"x", "y", "z"}), ListDir(P("one")));
  EXPECT_EQ("x", ReadFile(P("x/file")));
  EXPECT_EQ("x", ReadFile(P("one/x/file")));
  ASSERT_EQ(0, mkdir(P("x/new").c_str(), 0755));
  EXPECT_EQ(std::vector<std::string>{"file"}, ListDir(P("one/x"))) << "two paths, two directories";
}

TEST_F(KnownMistakes, ListedNumberIsStatsNumber) {
  WriteFile((MakeDirs(Lower("d")), Lower("d/low")), "x");
  MakeDirs(Upper("d"));
  WriteFile(Upper("d/up"), "x");
  Mount();
  AppendFile(P("d/low"), "y");
  DIR* dir = opendir(P("d").c_str());
  ASSERT_NE(nullptr, dir);
  while (const dirent* entry = readdir(dir))
    EXPECT_EQ(Lstat(P("d/" + std::string(entry->d_name))).st_ino, entry->d_ino) << entry->d_name;
  closedir(dir);
}

TEST_F(KnownMistakes, TarOfAFreshCopyUpSeesNoChange) {
  MakeDirs(Lower("d"));
  for (int i = 0; i < 50; ++i) WriteFile(Lower("d/f" + std::to_string(i)), std::string(5000, 'x'));
  Mount();
  ASSERT_EQ(0, RunProgram({"chmod", "-R", "g+w", P("d")}).exit_code);
  for (int i = 0; i < 50; ++i) AppendFile(P("d/f" + std::to_string(i)), "y");
  const ProgramResult tar = RunProgram({"tar", "-cf", dir() / "out.tar", "-C", P(""), "d"});
  EXPECT_EQ(0, tar.exit_code);
  EXPECT_EQ("", tar.err);
}

TEST_F(KnownMistakes, ChildsCopyUpKeepsTheParentsMtime) {
  WriteFile((MakeDirs(Lower("a/b")), Lower("a/b/file")), "x");
  const timespec old[2] = {{1000, 1}, {1000, 1}};
  for (const char* name : {"a/b/file", "a/b", "a"})
    ASSERT_EQ(0, utimensat(AT_FDCWD, Lower(name).c_str(), old, 0));
  Mount();
  AppendFile(P("a/b/file"), "y");
  EXPECT_EQ(1000, Lstat(P("a/b")).st_mtim.tv_sec);
  EXPECT_EQ(1, Lstat(P("a")).st_mtim.tv_nsec);
  Remount();
  EXPECT_EQ(1000, Lstat(P("a/b")).st_mtim.tv_sec);
}

TEST_F(KnownMistakes, SymlinkTimesSurviveCopyUp) {
  MakeSymlink("target", Lower("link"));
  const timespec old[2] = {{-1000, 1}, {-2000, 2}};
  ASSERT_EQ(0, utimensat(AT_FDCWD, Lower("link").c_str(), old, AT_SYMLINK_NOFOLLOW));
  Mount();
  ASSERT_EQ(0, lchown(P("link").c_str(), 7, 7));
  EXPECT_EQ(-2000, Lstat(P("link")).st_mtim.tv_sec);
  EXPECT_EQ(2, Lstat(P("link")).st_mtim.tv_nsec);
}

TEST_F(KnownMistakes, MkdirWithoutWriteBitWorksForAUser) {
  Mount();
  ASSERT_EQ(0, mkdir(P("home").c_str(), 0777));
  ASSERT_EQ(0, chmod(P("home").c_str(), 0777));
  const std::string path = P("home/ro");
  EXPECT_EQ(0,
            RunAs({.uid = 1234, .gid = 1234}, [&] { return ErrnoOf(mkdir(path.c_str(), 0555)); }));
  EXPECT_EQ(0555u, Lstat(path).st_mode & 07777);
}

TEST_F(KnownMistakes, FilesAreNotEmptyWithWriteback) {
  Mount("writeback=1");
  for (int i = 0; i < 100; ++i) WriteFile(P("f" + std::to_string(i)), std::string(100, 'x'));
  Remount();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(100, Lstat(P("f" + std::to_string(i))).st_size) << i;
}

TEST_F(KnownMistakes, DirectoryRenameWorksWithRedirects) {
  WriteFile((MakeDirs(Lower("a/b")), Lower("a/b/file")), "x");
  Mount("redirect_dir=on");
  ASSERT_EQ(0, rename(P("a").c_str(), P("moved").c_str()));
  EXPECT_EQ("x", ReadFile(P("moved/b/file")));
  Remount();
  EXPECT_EQ("x", ReadFile(P("moved/b/file")));
  EXPECT_EQ(ENOENT, LstatErrno(P("a")));
}

TEST_F(KnownMistakes, FlockDoesNotReachTheLayers) {
  // A lock on the layer's file held by somebody else once blocked the whole server.
  WriteFile(Lower("file"), "x");
  Mount();
  const int below = open(Lower("file").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(0, flock(below, LOCK_EX));
  const int fd = open(P("file").c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(0, flock(fd, LOCK_EX | LOCK_NB));
  EXPECT_EQ(1, pwrite(fd, "y", 1, 0));
  close(fd);
  close(below);
}

TEST_F(KnownMistakes, MountpointMayBeALower) {
  WriteFile(Lower("file"), "x");
  UnionOptions options = Options();
  options.mountpoint = dir() / "lower";
  Mount(options);
  EXPECT_EQ("x", ReadFile(P("file")));
  AppendFile(P("file"), "y");
  EXPECT_EQ((std::vector<std::string>{"file"}), ListDir(P("")));
  ExpectServerLives();
  Unmount();
  EXPECT_EQ("x", ReadFile(Lower("file")));
}

TEST_F(KnownMistakes, MountpointMayBeInsideALower) {
  WriteFile(Lower("file"), "x");
  MakeDirs(Lower("mnt"));
  WriteFile(Lower("mnt/hidden"), "x");
  UnionOptions options = Options();
  options.mountpoint = dir() / "lower/mnt";
  Mount(options);
  EXPECT_EQ((std::vector<std::string>{"file", "mnt"}), ListDir(P("")));
  EXPECT_EQ(std::vector<std::string>{"hidden"}, ListDir(P("mnt"))) << "no self reference";
  ExpectServerLives();
}

TEST_F(KnownMistakes, LargeXattrsAreNotTruncated) {
  WriteFile(Lower("file"), "x");
  const std::string value(3900, 'v');
  ASSERT_EQ(0, SetXattr(Lower("file"), "user.big", value));
  Mount();
  EXPECT_EQ(value, GetXattr(P("file"), "user.big"));
  AppendFile(P("file"), "y");
  EXPECT_EQ(value, GetXattr(P("file"), "user.big"));
}

TEST_F(KnownMistakes, XattrNamesAreBytes) {
  WriteFile(Lower("file"), "x");
  ASSERT_EQ(0, SetXattr(Lower("file"), "user.\xff\xfe", "v"));
  Mount();
  AppendFile(P("file"), "y");
  EXPECT_EQ("v", GetXattr(P("file"), "user.\xff\xfe"));
  EXPECT_EQ(std::vector<std::string>{"user.\xff\xfe"}, ListXattrs(P("file")));
}

TEST_F(KnownMistakes, LeftoversInTheWorkdirAreNeverUsed) {
  WriteFile(Lower("file"), "good");
  Mount();
  AppendFile(P("file"), "!");
  Unmount();
  // As a crash would have left them, under every name that is in use there.
  const ProgramResult found = RunProgram({"find", dir() / "work", "-type", "d"});
  for (size_t at = 0; at < found.out.size();) {
    const size_t end = found.out.find('\n', at);
    const std::string directory = found.out.substr(at, end - at);
    at = end + 1;
    for (int i = 0; i < 32; ++i) {
      const int fd =
          open((directory + "/" + std::to_string(i)).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
      if (fd < 0) continue;
      EXPECT_EQ(5, write(fd, "stale", 5));
      close(fd);
    }
  }
  Mount();
  EXPECT_EQ("good!", ReadFile(P("file")));
  WriteFile(Lower("unused"), "");
  WriteFile(P("new"), "new");
  ASSERT_EQ(0, chmod(P("file").c_str(), 0600));
  EXPECT_EQ("new", ReadFile(P("new")));
  EXPECT_EQ((std::vector<std::string>{"file", "new"}), [&] {
    std::vector<std::string> names = ListDir(P(""));
    std::erase(names, "unused");
    return names;
  }());
}

TEST_F(KnownMistakes, ListingSurvivesForgottenHandles) {
  MakeDirs(Lower("many"));
  for (int i = 0; i < 3000; ++i) WriteFile(Lower("many/n" + std::to_string(i)), "");
  Mount();
  DIR* dir_stream = opendir(P("many").c_str());
  ASSERT_NE(nullptr, dir_stream);
  std::set<std::string> seen;
  for (int i = 0; const dirent* entry = readdir(dir_stream); ++i) {
    EXPECT_TRUE(seen.insert(entry->d_name).second);
    if (i % 1000 == 0) mount().DropCaches();
  }
  closedir(dir_stream);
  EXPECT_EQ(3002u, seen.size());
}

}  // namespace
}  // namespace plyfs::test
