// open_test.cc: the flags of open(2).
// Not here: O_TMPFILE (tmpfile_test.cc), path errors (path_errors_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct OpenCase {
  const char* name;
  const char* path;
  int flags;
  int expected;  // errno
  uid_t uid = 0;
};

const OpenCase kOpenCases[] = {
    {"LowerFileReadOnly", "lowfile", O_RDONLY, 0},
    {"LowerFileWriteOnly", "lowfile", O_WRONLY, 0},
    {"LowerFileReadWrite", "lowfile", O_RDWR, 0},
    {"UpperFileReadWrite", "upfile", O_RDWR, 0},
    {"LowerDirectoryReadOnly", "lowdir", O_RDONLY, 0},
    {"LowerDirectoryForWrite", "lowdir", O_RDWR, EISDIR},
    {"UpperDirectoryForWrite", "updir", O_WRONLY, EISDIR},
    {"MergedDirectoryForWrite", "merged", O_WRONLY, EISDIR},
    {"DirectoryWithCreate", "lowdir", O_RDONLY | O_CREAT, EISDIR},
    {"DirectoryWithTrunc", "lowdir", O_RDONLY | O_TRUNC, EISDIR},
    {"FileAsDirectory", "lowfile", O_RDONLY | O_DIRECTORY, ENOTDIR},
    {"FifoAsDirectory", "lowfifo", O_RDONLY | O_DIRECTORY, ENOTDIR},
    {"DirectoryAsDirectory", "merged", O_RDONLY | O_DIRECTORY, 0},
    {"SymlinkToDirectoryAsDirectory", "lowdirlink", O_RDONLY | O_DIRECTORY, 0},
    {"SymlinkNoFollow", "lowlink", O_RDONLY | O_NOFOLLOW, ELOOP},
    {"SymlinkNoFollowPath", "lowlink", O_PATH | O_NOFOLLOW, 0},
    {"SymlinkToDirectoryNoFollowDirectory", "lowdirlink", O_DIRECTORY | O_NOFOLLOW, ENOTDIR},
    {"FileNoFollow", "lowfile", O_RDONLY | O_NOFOLLOW, 0},
    {"SymlinkInTheMiddleNoFollow", "lowdirlink/a", O_RDONLY | O_NOFOLLOW, 0},
    {"ExclusiveOnLowerFile", "lowfile", O_RDWR | O_CREAT | O_EXCL, EEXIST},
    {"ExclusiveOnUpperFile", "upfile", O_RDWR | O_CREAT | O_EXCL, EEXIST},
    {"ExclusiveOnDirectory", "lowdir", O_RDWR | O_CREAT | O_EXCL, EEXIST},
    {"ExclusiveOnDanglingSymlink", "dangling", O_RDWR | O_CREAT | O_EXCL, EEXIST},
    {"ExclusiveOnWhiteout", "gone", O_RDWR | O_CREAT | O_EXCL, 0},
    {"ExclusiveOnNewName", "new", O_RDWR | O_CREAT | O_EXCL, 0},
    {"CreateOnLowerFile", "lowfile", O_RDWR | O_CREAT, 0},
    {"CreateThroughDanglingSymlink", "dangling", O_RDWR | O_CREAT, 0},
    {"CreateInLowerDirectory", "lowdir/sub/new", O_RDWR | O_CREAT, 0},
    {"CreateInMergedDirectory", "merged/sub/new", O_RDWR | O_CREAT, 0},
    {"CreateInOpaqueOverHiddenName", "opaque/hidden", O_RDWR | O_CREAT | O_EXCL, 0},
    {"CreateWithTrailingSlash", "new/", O_RDWR | O_CREAT, EISDIR},
    {"SocketCannotBeOpened", "lowsock", O_RDWR, ENXIO},
    {"FifoWriteOnlyWithoutReader", "lowfifo", O_WRONLY | O_NONBLOCK, ENXIO},
    {"FifoReadOnlyNonblocking", "lowfifo", O_RDONLY | O_NONBLOCK, 0},
    {"DeviceWithoutDriver", "lowblk", O_RDONLY, ENXIO},
    {"DeviceNull", "lowchr", O_RDWR, 0},
    {"UserReadsWorldReadable", "lowfile", O_RDONLY, 0, kAlice},
    {"UserWritesForeignFile", "lowfile", O_WRONLY, EACCES, kAlice},
    {"UserTruncatesForeignFile", "lowfile", O_RDONLY | O_TRUNC, EACCES, kAlice},
    {"UserWritesOwnLowerFile", "alice/file", O_WRONLY, 0, kAlice},
    {"OtherUserWritesAlicesFile", "alice/file", O_WRONLY, EACCES, kBob},
    {"UserCreatesInForeignDirectory", "lowdir/new", O_RDWR | O_CREAT, EACCES, kAlice},
    {"UserCreatesInOwnLowerDirectory", "alice/dir/new", O_RDWR | O_CREAT, 0, kAlice},
    {"NoatimeByOwner", "alice/file", O_RDONLY | O_NOATIME, 0, kAlice},
    {"NoatimeByOther", "alice/file", O_RDONLY | O_NOATIME, EPERM, kBob},
    {"AppendAndTruncLowerFile", "lowfile", O_WRONLY | O_APPEND | O_TRUNC, 0},
    {"DirectIo", "lowfile", O_RDONLY | O_DIRECT, 0},
    {"Sync", "lowfile", O_WRONLY | O_SYNC, 0},
    {"LargeFileNonblock", "lowfile", O_RDWR | O_NONBLOCK | O_NOCTTY, 0},
};

using OpenFlags = RowTest<OpenCase>;

TEST_P(OpenFlags, GiveTheErrnoOfTheKernel) {
  const std::string path = P(row().path);
  const int error = RunAs({.uid = row().uid, .gid = row().uid}, [&] {
    return ErrnoOf(open(path.c_str(), row().flags | O_CLOEXEC, 0644));
  });
  EXPECT_EQ(row().expected, error);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, OpenFlags,
                         testing::Combine(AllTargets(), testing::ValuesIn(kOpenCases)), NameRow());

using OpenTest = SyscallTest;

TEST_P(OpenTest, TruncEmptiesLowerFileAndKeepsItsInodeNumber) {
  const ino_t before = Lstat(P("lowfile")).st_ino;
  OpenFile file(P("lowfile"), O_RDWR | O_TRUNC);
  EXPECT_EQ(0, Fstat(file.fd()).st_size);
  EXPECT_EQ(before, Fstat(file.fd()).st_ino);
  EXPECT_EQ(3, write(file.fd(), "new", 3));
  file.Close();
  EXPECT_EQ("new", ReadFile(P("lowfile")));
  if (is_union()) {
    EXPECT_EQ("low\n", ReadFile(InMiddle("lowfile")));
  }
  Remount();
  EXPECT_EQ("new", ReadFile(P("lowfile")));
}

TEST_P(OpenTest, ReadOnlyWithTruncEmptiesTheFile) {
  OpenFile file(P("lowfile"), O_RDONLY | O_TRUNC);
  EXPECT_EQ(0, Lstat(P("lowfile")).st_size);
}

TEST_P(OpenTest, AppendWritesAtTheEndWhateverTheOffset) {
  OpenFile file(P("lowfile"), O_RDWR | O_APPEND);
  EXPECT_EQ(0, lseek(file.fd(), 0, SEEK_SET));
  EXPECT_EQ(2, write(file.fd(), "a\n", 2));
  EXPECT_EQ(6, lseek(file.fd(), 0, SEEK_CUR));
  AppendFile(P("lowfile"), "b\n");
  EXPECT_EQ(2, write(file.fd(), "c\n", 2));
  EXPECT_EQ("low\na\nb\nc\n", file.Content());
}

TEST_P(OpenTest, TwoProcessesAppendWithoutLosingALine) {
  constexpr int kLines = 500;
  const std::string path = P("lowfile");
  auto append = [&](char letter) {
    const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    const char line[2] = {letter, '\n'};
    for (int i = 0; i < kLines; ++i)
      if (write(fd, line, 2) != 2) return errno;
    return 0;
  };
  EXPECT_EQ(0, RunInChild([&] {
              const pid_t other = fork();
              if (other == 0) _exit(append('x'));
              return append('y');
            }));
  // The grandchild was handed to us (we are a subreaper); its end is seen in the file's size.
  for (int i = 0; i < 1000 && Lstat(path).st_size < 4 + 4 * kLines; ++i) usleep(10000);
  const std::string content = ReadFile(path);
  EXPECT_EQ(static_cast<size_t>(4 + 4 * kLines), content.size());
  EXPECT_EQ(kLines, std::count(content.begin(), content.end(), 'x'));
  EXPECT_EQ(kLines, std::count(content.begin(), content.end(), 'y'));
}

TEST_P(OpenTest, DescriptorOpenForReadingWhileTheFileIsCopiedUp) {
  OpenFile reader(P("lowfile"), O_RDONLY);
  EXPECT_EQ("low\n", reader.Content());
  AppendFile(P("lowfile"), "more\n");
  EXPECT_EQ("low\nmore\n", reader.Content());
  EXPECT_EQ("low\nmore\n", ReadFile(P("lowfile")));
}

TEST_P(OpenTest, DescriptorStaysValidWhenTheFileIsRenamedAndCopiedUp) {
  OpenFile reader(P("lowfile"), O_RDONLY);
  EXPECT_EQ(0, rename(P("lowfile").c_str(), P("lowdir/moved").c_str()));
  EXPECT_EQ("low\n", reader.Content());
  EXPECT_EQ(Lstat(P("lowdir/moved")).st_ino, Fstat(reader.fd()).st_ino);
}

TEST_P(OpenTest, PathDescriptorStatsAndReopens) {
  OpenFile path_fd(P("lowfile"), O_PATH);
  char byte;
  EXPECT_EQ(-1, read(path_fd.fd(), &byte, 1));
  EXPECT_EQ(EBADF, errno);
  EXPECT_EQ(4, Fstat(path_fd.fd()).st_size);
  const std::string self = "/proc/self/fd/" + std::to_string(path_fd.fd());
  OpenFile writer(self, O_WRONLY | O_APPEND);
  EXPECT_EQ(1, write(writer.fd(), "x", 1));
  EXPECT_EQ("low\nx", ReadFile(P("lowfile")));
  EXPECT_EQ(5, Fstat(path_fd.fd()).st_size);
}

TEST_P(OpenTest, EmptyPathCallsWorkOnPathDescriptors) {
  OpenFile path_fd(P("lowlink"), O_PATH | O_NOFOLLOW);
  struct stat st;
  EXPECT_EQ(0, fstatat(path_fd.fd(), "", &st, AT_EMPTY_PATH));
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  char target[32] = {};
  EXPECT_EQ(7, readlinkat(path_fd.fd(), "", target, sizeof target));
  EXPECT_STREQ("lowfile", target);
  EXPECT_EQ(0, fchownat(path_fd.fd(), "", 7, 8, AT_EMPTY_PATH));
  EXPECT_EQ(7u, Lstat(P("lowlink")).st_uid);
  EXPECT_EQ(0u, Lstat(P("lowfile")).st_uid);
}

TEST_P(OpenTest, DirectIoReadsAndWritesAlignedBlocks) {
  WriteFile(P("direct"), std::string(8192, 'a'));
  std::unique_ptr<void, decltype(&free)> block(aligned_alloc(4096, 4096), &free);
  memset(block.get(), 'b', 4096);
  OpenFile file(P("direct"), O_RDWR | O_DIRECT);
  EXPECT_EQ(4096, pwrite(file.fd(), block.get(), 4096, 4096));
  EXPECT_EQ(4096, pread(file.fd(), block.get(), 4096, 0));
  EXPECT_EQ(std::string(4096, 'a'), std::string(static_cast<char*>(block.get()), 4096));
  EXPECT_EQ(std::string(4096, 'a') + std::string(4096, 'b'), ReadFile(P("direct")));
}

TEST_P(OpenTest, DirectAndBufferedDescriptorsSeeOneFile) {
  WriteFile(P("direct"), std::string(4096, 'a'));
  OpenFile buffered(P("direct"), O_RDWR);
  OpenFile direct(P("direct"), O_RDWR | O_DIRECT);
  std::unique_ptr<void, decltype(&free)> block(aligned_alloc(4096, 4096), &free);
  EXPECT_EQ(std::string(4096, 'a'), buffered.Content());
  memset(block.get(), 'b', 4096);
  EXPECT_EQ(4096, pwrite(direct.fd(), block.get(), 4096, 0));
  EXPECT_EQ(std::string(4096, 'b'), buffered.Content());
  EXPECT_EQ(4096, pwrite(buffered.fd(), std::string(4096, 'c').data(), 4096, 0));
  EXPECT_EQ(4096, pread(direct.fd(), block.get(), 4096, 0));
  EXPECT_EQ('c', *static_cast<char*>(block.get()));
}

TEST_P(OpenTest, ExclusiveCreateHasOneWinner) {
  constexpr int kRacers = 8;
  int winners = 0;
  for (int i = 0; i < kRacers; ++i) {
    const int fd = open(P("gone").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    winners += fd >= 0;
    if (fd >= 0) close(fd);
  }
  EXPECT_EQ(1, winners);
}

TEST_P(OpenTest, CreatedFileIsWritableThroughItsReadOnlyMode) {
  OpenFile file(P("readonly"), O_RDWR | O_CREAT | O_EXCL, 0400);
  EXPECT_EQ(2, write(file.fd(), "ok", 2));
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] {
              const std::string path = P("alice/dir/readonly");
              const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0000);
              if (fd < 0) return errno;
              if (write(fd, "ok", 2) != 2) return errno;
              return ErrnoOf(fsync(fd));
            }));
  EXPECT_EQ("ok", ReadFile(P("alice/dir/readonly")));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, OpenTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
