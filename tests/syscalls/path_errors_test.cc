// path_errors_test.cc: every system call that takes a path, on every kind of path that must fail.
// Not here: calls that fail for other reasons (the file of that call).
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

enum Role {
  kUses,     // the last component must exist
  kReads,    // the same, and nothing is changed
  kCreates,  // the last component must not exist
  kUsesLink  // the last component must exist and is not followed
};

struct PathCall {
  const char* name;
  Role role;
  long (*call)(const char* path, const char* other);  // other: an existing file, on the union
};

long OpenAndClose(const char* path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0644);
  return fd < 0 ? fd : close(fd);
}

const std::vector<PathCall> kCalls = {
    {"open", kReads, [](auto p, auto) -> long { return OpenAndClose(p, O_RDONLY); }},
    {"open O_PATH", kReads, [](auto p, auto) -> long { return OpenAndClose(p, O_PATH); }},
    {"open O_RDWR", kUses, [](auto p, auto) -> long { return OpenAndClose(p, O_RDWR); }},
    {"open O_TRUNC", kUses,
     [](auto p, auto) -> long { return OpenAndClose(p, O_WRONLY | O_TRUNC); }},
    {"truncate", kUses, [](auto p, auto) -> long { return truncate(p, 1); }},
    {"chmod", kUses, [](auto p, auto) -> long { return chmod(p, 0600); }},
    {"chown", kUses, [](auto p, auto) -> long { return chown(p, 1, 1); }},
    {"lchown", kUsesLink, [](auto p, auto) -> long { return lchown(p, 1, 1); }},
    {"stat", kReads,
     [](auto p, auto) -> long {
       struct stat st;
       return stat(p, &st);
     }},
    {"lstat", kUsesLink,
     [](auto p, auto) -> long {
       struct stat st;
       return lstat(p, &st);
     }},
    {"access", kReads, [](auto p, auto) -> long { return access(p, F_OK); }},
    {"statfs", kReads,
     [](auto p, auto) -> long {
       struct statfs fs;
       return statfs(p, &fs);
     }},
    {"chdir", kReads, [](auto p, auto) -> long { return chdir(p); }},
    {"utimes", kUses, [](auto p, auto) -> long { return utimes(p, nullptr); }},
    {"readlink", kUsesLink,
     [](auto p, auto) -> long {
       char b[9];
       return readlink(p, b, 9);
     }},
    {"unlink", kUsesLink, [](auto p, auto) -> long { return unlink(p); }},
    {"rmdir", kUsesLink, [](auto p, auto) -> long { return rmdir(p); }},
    {"rename from", kUsesLink,
     [](auto p, auto o) -> long { return rename(p, (std::string(o) + "x").c_str()); }},
    {"link from", kUsesLink,
     [](auto p, auto o) -> long { return link(p, (std::string(o) + "x").c_str()); }},
    {"getxattr", kReads, [](auto p, auto) -> long { return listxattr(p, nullptr, 0); }},
    {"lgetxattr", kUsesLink, [](auto p, auto) -> long { return llistxattr(p, nullptr, 0); }},
    {"setxattr", kUses, [](auto p, auto) -> long { return setxattr(p, "user.a", "b", 1, 0); }},
    {"removexattr", kUses, [](auto p, auto) -> long { return removexattr(p, "user.color"); }},
    {"open O_CREAT", kCreates,
     [](auto p, auto) -> long { return OpenAndClose(p, O_RDWR | O_CREAT); }},
    {"open O_EXCL", kCreates,
     [](auto p, auto) -> long { return OpenAndClose(p, O_RDWR | O_CREAT | O_EXCL); }},
    {"mkdir", kCreates, [](auto p, auto) -> long { return mkdir(p, 0755); }},
    {"mkfifo", kCreates, [](auto p, auto) -> long { return mkfifo(p, 0644); }},
    {"mknod", kCreates, [](auto p, auto) -> long { return mknod(p, S_IFREG | 0644, 0); }},
    {"mknod socket", kCreates, [](auto p, auto) -> long { return mknod(p, S_IFSOCK | 0644, 0); }},
    {"symlink", kCreates, [](auto p, auto) -> long { return symlink("target", p); }},
    {"link to", kCreates, [](auto p, auto o) -> long { return link(o, p); }},
    {"rename to", kCreates, [](auto p, auto o) -> long { return rename(o, p); }},
};

enum Applies { kAllCalls, kExistingCalls, kFollowingCalls };

struct PathCase {
  const char* name;
  std::string path;
  int expected;
  Applies applies = kAllCalls;
  uid_t uid = 0;
};

const std::string kLong255(255, 'n');
const std::string kLong256(256, 'n');

const PathCase kCases[] = {
    {"MissingName", "missing", ENOENT, kExistingCalls},
    {"MissingNameInLowerDirectory", "lowdir/missing", ENOENT, kExistingCalls},
    {"MissingNameInMergedDirectory", "merged/missing", ENOENT, kExistingCalls},
    {"MissingNameOf255Bytes", kLong255, ENOENT, kExistingCalls},
    {"WhitedOutFile", "gone", ENOENT, kExistingCalls},
    {"WhitedOutDirectory", "gonedir", ENOENT, kExistingCalls},
    {"WhitedOutFileInMergedDirectory", "merged/gone", ENOENT, kExistingCalls},
    {"NameHiddenByOpaqueDirectory", "opaque/hidden", ENOENT, kExistingCalls},
    {"MissingDirectory", "missing/x", ENOENT},
    {"MissingDirectoryInLowerDirectory", "lowdir/missing/x", ENOENT},
    {"WhitedOutFileAsDirectory", "gone/x", ENOENT},
    {"BelowWhitedOutDirectory", "gonedir/x", ENOENT},
    {"BelowDirectoryCoveredByFile", "dirfile/x", ENOTDIR},
    {"LowerFileAsDirectory", "lowfile/x", ENOTDIR},
    {"UpperFileAsDirectory", "upfile/x", ENOTDIR},
    {"CoveredFileAsDirectory", "covered/x", ENOTDIR},
    {"FifoAsDirectory", "lowfifo/x", ENOTDIR},
    {"DeviceAsDirectory", "lowchr/x", ENOTDIR},
    {"FileBehindSymlinkAsDirectory", "lowlink/x", ENOTDIR},
    {"DanglingSymlinkAsDirectory", "dangling/x", ENOENT},
    {"DanglingSymlink", "dangling", ENOENT, kFollowingCalls},
    {"LoopOfSymlinks", "loop1", ELOOP, kFollowingCalls},
    {"LoopOfSymlinksAsDirectory", "loop1/x", ELOOP},
    {"NameOf256Bytes", kLong256, ENAMETOOLONG},
    {"NameOf256BytesInLowerDirectory", "lowdir/" + kLong256, ENAMETOOLONG},
    {"NameOf256BytesInUpperDirectory", "updir/" + kLong256, ENAMETOOLONG},
    {"NameOf256BytesInMergedDirectory", "merged/" + kLong256, ENAMETOOLONG},
    {"DirectoryOf256Bytes", kLong256 + "/x", ENAMETOOLONG},
    {"UnsearchableDirectory", "private/file", EACCES, kAllCalls, kAlice},
    {"BelowUnsearchableDirectory", "private/file/x", EACCES, kAllCalls, kAlice},
    {"MissingNameInUnsearchableDirectory", "private/missing", EACCES, kAllCalls, kAlice},
    {"ParentOfUnsearchableDirectory", "private/../lowfile", EACCES, kAllCalls, kAlice},
};

bool Applicable(const PathCase& row, const PathCall& call) {
  switch (row.applies) {
    case kAllCalls:
      return true;
    case kExistingCalls:
      return call.role != kCreates;
    case kFollowingCalls:
      return call.role == kUses || call.role == kReads;
  }
  return false;
}

using PathErrors = RowTest<PathCase>;

TEST_P(PathErrors, AreTheSameForEveryCall) {
  const std::string path = P(row().path);
  const std::string other = P("alice/file");
  for (const PathCall& call : kCalls) {
    if (!Applicable(row(), call)) continue;
    const int error = RunAs({.uid = row().uid, .gid = row().uid},
                            [&] { return ErrnoOf(call.call(path.c_str(), other.c_str())); });
    EXPECT_EQ(row().expected, error) << call.name << " " << row().path;
  }
  EXPECT_EQ("alice\n", ReadFile(other));
  EXPECT_FALSE(Exists(other + "x"));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, PathErrors,
                         testing::Combine(AllTargets(), testing::ValuesIn(kCases)), NameRow());

using PathLength = SyscallTest;

TEST_P(PathLength, PathOf4095BytesWorksAnd4096IsTooLong) {
  // The limit counts the terminating NUL.
  const std::string base = Root() + "/";
  std::string path = base;
  while (path.size() + 9 < 4095) path += "./";
  path.resize(path.size() - path.size() % 2 + base.size() % 2);
  while (path.size() < 4095 - 7) path += '/';
  const std::string longest = path + "lowfile";
  ASSERT_EQ(4095u, longest.size());
  struct stat st;
  EXPECT_EQ(0, stat(longest.c_str(), &st));
  EXPECT_EQ(0, chmod(longest.c_str(), 0600));
  EXPECT_EQ("low\n", ReadFile(longest));
  for (const PathCall& call : kCalls) {
    const std::string too_long = path + "/lowfile";
    errno = 0;
    EXPECT_EQ(-1, call.call(too_long.c_str(), P("alice/file").c_str())) << call.name;
    EXPECT_EQ(ENAMETOOLONG, errno) << call.name;
  }
}

TEST_P(PathLength, NameOf255BytesCanBeCreatedAndSurvivesRemount) {
  for (const char* parent : {"", "lowdir/", "updir/", "merged/"}) {
    const std::string name = std::string(parent) + kLong255;
    WriteFile(P(name), "long\n");
    EXPECT_EQ("long\n", ReadFile(P(name)));
    const std::string moved = std::string(parent) + std::string(255, 'm');
    EXPECT_EQ(0, rename(P(name).c_str(), P(moved).c_str()));
    EXPECT_EQ(0, link(P(moved).c_str(), P(name).c_str()));
  }
  Remount();
  for (const char* parent : {"", "lowdir/", "updir/", "merged/"}) {
    EXPECT_EQ("long\n", ReadFile(P(std::string(parent) + kLong255)));
    EXPECT_EQ(0, unlink(P(std::string(parent) + std::string(255, 'm')).c_str()));
  }
}

TEST_P(PathLength, NameOf255BytesOfALowerIsCopiedUpRemovedAndMadeAgain) {
  // The names that stand beside it in the upper (a whiteout, a temporary) must not be longer.
  const std::string name = std::string("lowdir/") + kLong255;
  mount().Unmount();
  WriteFile(InMiddle(name), "lower\n");
  mount().Mount();
  AppendFile(P(name), "more\n");
  EXPECT_EQ("lower\nmore\n", ReadFile(P(name)));
  EXPECT_EQ(0, unlink(P(name).c_str()));
  EXPECT_EQ(ENOENT, LstatErrno(P(name)));
  EXPECT_EQ(0, mkdir(P(name).c_str(), 0755));
  Remount();
  EXPECT_TRUE(S_ISDIR(Lstat(P(name)).st_mode));
}

TEST_P(PathLength, FourtyOneSymlinksAreOneTooMany) {
  MakeSymlink("lowfile", P("link1"));
  for (int i = 2; i <= 41; ++i)
    MakeSymlink("link" + std::to_string(i - 1), P("link" + std::to_string(i)));
  struct stat st;
  EXPECT_EQ(0, stat(P("link40").c_str(), &st));
  EXPECT_EQ(-1, stat(P("link41").c_str(), &st));
  EXPECT_EQ(ELOOP, errno);
}

TEST_P(PathLength, NamesAreBytes) {
  const std::vector<std::string> names = {" ",     "\n",   "\xff\xfe", "a\\b", "a:b",  "a,b",
                                          "\"q\"", "...",  ".hidden",  "-r",   "\x01", "%s",
                                          "~",     "*?[]", "\xc3\xa9", "#x",   "work", "index"};
  for (const std::string& name : names) WriteFile(P("merged/" + name), name);
  Remount();
  for (const std::string& name : names) EXPECT_EQ(name, ReadFile(P("merged/" + name)));
  const std::vector<std::string> listed = ListDir(P("merged"));
  EXPECT_EQ(names.size() + 5, listed.size());
  for (const std::string& name : names) EXPECT_EQ(0, unlink(P("merged/" + name).c_str())) << name;
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, PathLength, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
