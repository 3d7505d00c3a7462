// create_test.cc: making files, directories, symlinks, fifos, sockets and devices.
// Not here: open(2) flags (open_test.cc), links (hard_link_test.cc), talking through what was made
// (special_file_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct Maker {
  const char* name;
  mode_t type;
  int (*make)(const std::string& path, mode_t mode);
};

const Maker kMakers[] = {
    {"Open", S_IFREG,
     [](const std::string& path, mode_t mode) {
       const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
       if (fd >= 0) close(fd);
       return ErrnoOf(fd);
     }},
    {"MknodFile", S_IFREG,
     [](const std::string& path, mode_t mode) {
       return ErrnoOf(mknod(path.c_str(), S_IFREG | mode, 0));
     }},
    {"Mkdir", S_IFDIR,
     [](const std::string& path, mode_t mode) { return ErrnoOf(mkdir(path.c_str(), mode)); }},
    {"Mkfifo", S_IFIFO,
     [](const std::string& path, mode_t mode) { return ErrnoOf(mkfifo(path.c_str(), mode)); }},
    {"MknodSocket", S_IFSOCK,
     [](const std::string& path, mode_t mode) {
       return ErrnoOf(mknod(path.c_str(), S_IFSOCK | mode, 0));
     }},
    {"MknodCharacterDevice", S_IFCHR,
     [](const std::string& path, mode_t mode) {
       return ErrnoOf(mknod(path.c_str(), S_IFCHR | mode, makedev(4095, 1048575)));
     }},
    {"MknodBlockDevice", S_IFBLK,
     [](const std::string& path, mode_t mode) {
       return ErrnoOf(mknod(path.c_str(), S_IFBLK | mode, makedev(259, 70000)));
     }},
    {"Symlink", S_IFLNK,
     [](const std::string& path, mode_t) { return ErrnoOf(symlink("some/target", path.c_str())); }},
};

bool IsDevice(const Maker& maker) { return maker.type == S_IFCHR || maker.type == S_IFBLK; }

using CreateTest = RowTest<Maker>;

TEST_P(CreateTest, FailsOnEveryExistingObject) {
  for (const TreeObject& object : kTreeObjects)
    EXPECT_EQ(EEXIST, row().make(P(object.path), 0644)) << object.path;
  EXPECT_EQ(EEXIST, row().make(P("dangling"), 0644));
  EXPECT_EQ(EEXIST, row().make(P("loop1"), 0644));
}

TEST_P(CreateTest, WorksInEveryKindOfDirectoryAndOverWhiteouts) {
  const std::vector<std::string> paths = {"new",           "lowdir/new",    "lowdir/sub/new",
                                          "updir/new",     "merged/new",    "merged/sub/new",
                                          "opaque/new",    "opaque/hidden", "merged/gone",
                                          "mergedempty/x", "gone",          "gonedir",
                                          "filedir/new",   "lowempty/new"};
  for (const std::string& path : paths) ASSERT_EQ(0, row().make(P(path), 0751)) << path;
  Remount();
  for (const std::string& path : paths) {
    const struct stat st = Lstat(P(path));
    EXPECT_EQ(row().type, st.st_mode & S_IFMT) << path;
    EXPECT_EQ(row().type == S_IFLNK ? 0777u : 0751u, st.st_mode & 07777) << path;
    if (row().type == S_IFDIR) {
      EXPECT_EQ(std::vector<std::string>{}, ListDir(P(path))) << path;
    }
    if (row().type == S_IFLNK) {
      EXPECT_EQ("some/target", ReadLink(P(path)));
    }
    if (row().type == S_IFCHR) {
      EXPECT_EQ(makedev(4095, 1048575), st.st_rdev);
    }
    if (row().type == S_IFBLK) {
      EXPECT_EQ(makedev(259, 70000), st.st_rdev);
    }
  }
}

TEST_P(CreateTest, UmaskClearsModeBits) {
  if (row().type == S_IFLNK) return;  // has no mode
  for (const mode_t mask : {0000, 0022, 0077, 0777}) {
    const std::string path = P("lowdir/mask" + std::to_string(mask));
    EXPECT_EQ(0, RunInChild([&] {
                umask(mask);
                return row().make(path, 0777);
              }));
    EXPECT_EQ(0777u & ~mask, Lstat(path).st_mode & 07777) << std::oct << mask;
  }
}

TEST_P(CreateTest, OwnerIsTheCallersFsuidAndFsgid) {
  const std::string path = P("alice/dir/new");
  const int error = RunAs({.uid = kAlice, .gid = kStaff}, [&] { return row().make(path, 0644); });
  if (IsDevice(row())) {
    EXPECT_EQ(EPERM, error);  // needs CAP_MKNOD
    return;
  }
  EXPECT_EQ(0, error);
  EXPECT_EQ(kAlice, Lstat(path).st_uid);
  EXPECT_EQ(kStaff, Lstat(path).st_gid);
}

TEST_P(CreateTest, GroupIsInheritedFromSetgidDirectory) {
  for (const std::string dir : {"alice/dir", "alice"}) {
    ASSERT_EQ(0, chown(P(dir).c_str(), kAlice, kBob));
    ASSERT_EQ(0, chmod(P(dir).c_str(), 02777));
    const std::string path = P(dir + "/new");
    const int error = RunAs({.uid = kAlice, .gid = kStaff}, [&] { return row().make(path, 0755); });
    if (IsDevice(row())) continue;
    ASSERT_EQ(0, error);
    EXPECT_EQ(kBob, Lstat(path).st_gid);
    // Only directories hand the bit on.
    const mode_t expected = row().type == S_IFDIR ? 02755 : row().type == S_IFLNK ? 0777 : 0755;
    EXPECT_EQ(expected, Lstat(path).st_mode & 07777);
  }
}

TEST_P(CreateTest, SetgidOfAForeignGroupIsNotGranted) {
  // Linux clears S_ISGID of a group-executable file whose group the creator is not in.
  if (row().type != S_IFREG) return;
  ASSERT_EQ(0, chown(P("alice/dir").c_str(), kAlice, kBob));
  ASSERT_EQ(0, chmod(P("alice/dir").c_str(), 02777));
  const std::string path = P("alice/dir/new");
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kStaff}, [&] { return row().make(path, 02775); }));
  EXPECT_EQ(0775u, Lstat(path).st_mode & 07777);
  const std::string member = P("alice/dir/member");
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kStaff, .groups = {kBob}},
                     [&] { return row().make(member, 02775); }));
  EXPECT_EQ(02775u, Lstat(member).st_mode & 07777);
}

TEST_P(CreateTest, ParentNeedsWriteAndSearchPermission) {
  const std::string dir = P("alice/dir");
  if (IsDevice(row())) return;  // OwnerIsTheCallersFsuidAndFsgid
  for (const mode_t mode : {0500, 0600, 0000}) {
    ASSERT_EQ(0, chmod(dir.c_str(), mode));
    EXPECT_EQ(EACCES,
              RunAs({.uid = kAlice, .gid = kAlice}, [&] { return row().make(dir + "/new", 0644); }))
        << std::oct << mode;
  }
}

TEST_P(CreateTest, ParentTimesChangeAndOtherParentsDoNot) {
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowdir/sub")).st_mtim));
  ASSERT_EQ(0, row().make(P("lowdir/sub/new"), 0644));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("lowdir/sub")).st_mtim));
  EXPECT_EQ(TimeOf(Lstat(P("lowdir/sub/new")).st_mtim), TimeOf(Lstat(P("lowdir/sub/new")).st_ctim));
  // The copy-up of the parents is no change of theirs.
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowdir")).st_mtim));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(Root()).st_mtim));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, CreateTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(kMakers)), NameRow());

using CreateDetails = SyscallTest;

TEST_P(CreateDetails, UsersDeviceZeroIsNoWhiteout) {
  const std::vector<std::string> paths = {"new", "lowdir/new", "gone", "updir/new", "merged/gone"};
  for (const std::string& path : paths) {
    EXPECT_EQ(Expected(kMknodOfWhiteout),
              ErrnoOf(mknod(P(path).c_str(), S_IFCHR | 0640, makedev(0, 0))))
        << path;
  }
  Remount();
  EXPECT_TRUE(Exists(P("lowdir/a")));
  for (const std::string& path : paths) {
    if (Expected(kMknodOfWhiteout) != 0) {
      EXPECT_EQ(ENOENT, LstatErrno(P(path))) << path;
      continue;
    }
    EXPECT_EQ(static_cast<mode_t>(S_IFCHR | 0640), Lstat(P(path)).st_mode) << path;
    EXPECT_EQ(makedev(0, 0), Lstat(P(path)).st_rdev) << path;
    EXPECT_EQ(0, unlink(P(path).c_str())) << path;
    EXPECT_EQ(ENOENT, LstatErrno(P(path))) << path;
  }
}

TEST_P(CreateDetails, BlockDeviceZeroIsNoWhiteout) {
  EXPECT_EQ(0, mknod(P("blk").c_str(), S_IFBLK | 0600, makedev(0, 0)));
  Remount();
  EXPECT_TRUE(S_ISBLK(Lstat(P("blk")).st_mode));
}

TEST_P(CreateDetails, MkdirWithTrailingSlashWorksAndForFilesItDoesNot) {
  EXPECT_EQ(0, mkdir(P("newdir/").c_str(), 0755));
  EXPECT_EQ(ENOENT, ErrnoOf(mkfifo(P("newfifo/").c_str(), 0644)));
  EXPECT_EQ(ENOENT, ErrnoOf(symlink("x", P("newlink/").c_str())));
  EXPECT_EQ(EEXIST, ErrnoOf(mkdir(P("lowdir/").c_str(), 0755)));
}

TEST_P(CreateDetails, MkdirOfDotFails) {
  EXPECT_EQ(EEXIST, ErrnoOf(mkdir(P("lowdir/.").c_str(), 0755)));
  EXPECT_EQ(EEXIST, ErrnoOf(mkdir(P("lowdir/..").c_str(), 0755)));
}

TEST_P(CreateDetails, MkdirKeepsStickyAndIgnoresSetuid) {
  EXPECT_EQ(0, RunInChild([&] {
              umask(0);
              return ErrnoOf(mkdir(P("sticky").c_str(), 07777));
            }));
  EXPECT_EQ(01777u, Lstat(P("sticky")).st_mode & 07777);
}

TEST_P(CreateDetails, MkdirOfModeZeroInLowerDirectory) {
  EXPECT_EQ(0, mkdir(P("lowdir/locked").c_str(), 0));
  WriteFile(P("lowdir/locked/x"), "root may\n");
  Remount();
  EXPECT_EQ(0u, Lstat(P("lowdir/locked")).st_mode & 07777);
  EXPECT_EQ("root may\n", ReadFile(P("lowdir/locked/x")));
}

TEST_P(CreateDetails, SymlinkTargetsOfEveryLength) {
  for (const size_t length : {size_t{1}, size_t{59}, size_t{60}, size_t{255}, size_t{4095}}) {
    const std::string target(length, 't'), path = P("lowdir/link" + std::to_string(length));
    ASSERT_EQ(0, symlink(target.c_str(), path.c_str())) << length;
  }
  EXPECT_EQ(ENAMETOOLONG, ErrnoOf(symlink(std::string(4096, 't').c_str(), P("long").c_str())));
  EXPECT_EQ(ENOENT, ErrnoOf(symlink("", P("empty").c_str())));
  Remount();
  for (const size_t length : {size_t{1}, size_t{59}, size_t{60}, size_t{255}, size_t{4095}}) {
    const std::string path = P("lowdir/link" + std::to_string(length));
    EXPECT_EQ(std::string(length, 't'), ReadLink(path));
    EXPECT_EQ(static_cast<off_t>(length), Lstat(path).st_size);
  }
}

TEST_P(CreateDetails, ReadlinkTruncatesToTheBuffer) {
  char target[3];
  EXPECT_EQ(3, readlink(P("lowlink").c_str(), target, 3));
  EXPECT_EQ("low", std::string(target, 3));
  EXPECT_EQ(EINVAL, ErrnoOf(readlink(P("lowfile").c_str(), target, 3)));
  EXPECT_EQ(EINVAL, ErrnoOf(readlink(P("merged").c_str(), target, 3)));
}

TEST_P(CreateDetails, NewFileAppearsInListingAtOnce) {
  const size_t before = ListDir(P("lowdir")).size();
  for (int i = 0; i < 50; ++i) {
    WriteFile(P("lowdir/n" + std::to_string(i)), "");
    EXPECT_EQ(before + static_cast<size_t>(i) + 1, ListDir(P("lowdir")).size());
  }
}

TEST_P(CreateDetails, NegativeLookupIsForgottenWhenTheNameIsCreated) {
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/later")));
  WriteFile(P("lowdir/later"), "x");
  EXPECT_EQ(0, LstatErrno(P("lowdir/later")));
  EXPECT_EQ(0, unlink(P("lowdir/later").c_str()));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowdir/later")));
  EXPECT_EQ(0, rename(P("lowfile").c_str(), P("lowdir/later").c_str()));
  EXPECT_EQ(0, LstatErrno(P("lowdir/later")));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, CreateDetails, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
