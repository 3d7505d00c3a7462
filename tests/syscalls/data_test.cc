// data_test.cc: reading, writing, truncating and copying content.
// Not here: holes and preallocation (space_test.cc), mappings (mmap_test.cc), open flags
// (open_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

constexpr size_t kBig = (5 << 20) + 77;

class DataTest : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    BuildStandardTree(layers);
    layers.middle.File("lowbig", Pattern(kBig));
    layers.upper.File("upbig", Pattern(kBig));
  }
};

TEST_P(DataTest, BigFilesReadBackFromEveryLayer) {
  EXPECT_TRUE(Pattern(kBig) == ReadFile(P("lowbig")));
  EXPECT_TRUE(Pattern(kBig) == ReadFile(P("upbig")));
}

TEST_P(DataTest, OverwriteInTheMiddleOfALowerFileKeepsTheRest) {
  std::string expected = Pattern(kBig);
  OpenFile file(P("lowbig"), O_RDWR);
  for (const size_t at : {size_t{0}, size_t{4095}, size_t{1 << 20}, kBig - 3}) {
    EXPECT_EQ(3, pwrite(file.fd(), "xyz", 3, static_cast<off_t>(at)));
    expected.replace(at, 3, "xyz");
  }
  EXPECT_TRUE(expected == file.Content());
  file.Close();
  Remount();
  EXPECT_TRUE(expected == ReadFile(P("lowbig")));
  if (is_union()) {
    EXPECT_TRUE(Pattern(kBig) == ReadFile(InMiddle("lowbig")));
  }
}

TEST_P(DataTest, WriteBeyondTheEndLeavesZeros) {
  OpenFile file(P("lowfile"), O_RDWR);
  EXPECT_EQ(1, pwrite(file.fd(), "x", 1, 10000));
  EXPECT_EQ("low\n" + std::string(9996, '\0') + "x", file.Content());
}

TEST_P(DataTest, ReadStopsAtTheEnd) {
  OpenFile file(P("lowfile"), O_RDONLY);
  char buffer[16];
  EXPECT_EQ(4, read(file.fd(), buffer, sizeof buffer));
  EXPECT_EQ(0, read(file.fd(), buffer, sizeof buffer));
  EXPECT_EQ(0, pread(file.fd(), buffer, sizeof buffer, 1000000));
  EXPECT_EQ(1, pread(file.fd(), buffer, sizeof buffer, 3));
}

TEST_P(DataTest, VectoredCallsSplitAtTheirBuffers) {
  OpenFile file(P("new"), O_RDWR | O_CREAT, 0644);
  char one[] = "one", two[] = "twotwo", empty[] = "";
  const iovec out[] = {{one, 3}, {empty, 0}, {two, 6}};
  EXPECT_EQ(9, writev(file.fd(), out, 3));
  char first[4] = {}, second[16] = {};
  const iovec in[] = {{first, 3}, {second, 15}};
  EXPECT_EQ(9, preadv(file.fd(), in, 2, 0));
  EXPECT_STREQ("one", first);
  EXPECT_STREQ("twotwo", second);
}

TEST_P(DataTest, WrongDescriptorsAndArguments) {
  OpenFile reader(P("lowfile"), O_RDONLY), writer(P("upfile"), O_WRONLY),
      dir(P("lowdir"), O_RDONLY);
  char byte = 0;
  EXPECT_EQ(EBADF, ErrnoOf(write(reader.fd(), &byte, 1)));
  EXPECT_EQ(EBADF, ErrnoOf(read(writer.fd(), &byte, 1)));
  EXPECT_EQ(EISDIR, ErrnoOf(read(dir.fd(), &byte, 1)));
  EXPECT_EQ(EINVAL, ErrnoOf(ftruncate(reader.fd(), 0)));
  EXPECT_EQ(EINVAL, ErrnoOf(truncate(P("lowfile").c_str(), -1)));
  EXPECT_EQ(EISDIR, ErrnoOf(truncate(P("lowdir").c_str(), 0)));
  EXPECT_EQ(EINVAL, ErrnoOf(truncate(P("lowfifo").c_str(), 0)));
  EXPECT_EQ(EINVAL, ErrnoOf(lseek(reader.fd(), -1, SEEK_SET)));
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
}

TEST_P(DataTest, TruncateToEverySizeKeepsThePrefix) {
  for (const off_t size : {off_t{1}, off_t{4096}, off_t{4097}, off_t{1 << 20}, off_t(kBig)}) {
    const std::string name = "lowbig";
    Remount();
    mount().Unmount();
    if (is_union()) unlink(InUpper(name).c_str());
    if (!is_union()) WriteFile(InMiddle(name), Pattern(kBig));
    mount().Mount();
    ASSERT_EQ(0, truncate(P(name).c_str(), size));
    EXPECT_EQ(size, Lstat(P(name)).st_size);
    EXPECT_TRUE(Pattern(kBig).substr(0, static_cast<size_t>(size)) == ReadFile(P(name))) << size;
  }
}

TEST_P(DataTest, ShrinkThenGrowReadsZeros) {
  ASSERT_EQ(0, truncate(P("lowbig").c_str(), 5000));
  ASSERT_EQ(0, truncate(P("lowbig").c_str(), 20000));
  const std::string expected = Pattern(kBig).substr(0, 5000) + std::string(15000, '\0');
  EXPECT_TRUE(expected == ReadFile(P("lowbig")));
  Remount();
  EXPECT_TRUE(expected == ReadFile(P("lowbig")));
}

TEST_P(DataTest, FtruncateIsSeenByOtherDescriptors) {
  OpenFile one(P("upfile"), O_RDWR), two(P("upfile"), O_RDONLY);
  EXPECT_EQ("up\n", two.Content());
  ASSERT_EQ(0, ftruncate(one.fd(), 1));
  EXPECT_EQ("u", two.Content());
  EXPECT_EQ(1, Fstat(two.fd()).st_size);
}

TEST_P(DataTest, OffsetsBeyondFourGibibytes) {
  const off_t far = (off_t{6} << 30) + 12345;
  for (const char* name : {"lowfile", "upfile", "new"}) {
    OpenFile file(P(name), O_RDWR | O_CREAT, 0644);
    ASSERT_EQ(4, pwrite(file.fd(), "tail", 4, far));
    EXPECT_EQ(far + 4, Fstat(file.fd()).st_size);
    char data[4];
    EXPECT_EQ(4, pread(file.fd(), data, 4, far));
    EXPECT_EQ("tail", std::string(data, 4));
    EXPECT_EQ(1, pread(file.fd(), data, 1, far - 1));
    EXPECT_EQ(0, data[0]);
    EXPECT_LT(Fstat(file.fd()).st_blocks, 1000);
  }
  Remount();
  EXPECT_EQ(far + 4, Lstat(P("lowfile")).st_size);
}

TEST_P(DataTest, CopyFileRangeBetweenAllOrigins) {
  for (const char* from : {"lowbig", "upbig"}) {
    for (const char* to : {"lowfile", "upfile", "created"}) {
      OpenFile in(P(from), O_RDONLY), out(P(to), O_RDWR | O_CREAT, 0644);
      loff_t in_at = 1000, out_at = 2;
      size_t left = 3000000;
      while (left > 0) {
        const ssize_t copied = copy_file_range(in.fd(), &in_at, out.fd(), &out_at, left, 0);
        ASSERT_GT(copied, 0) << from << " " << to;
        left -= static_cast<size_t>(copied);
      }
      EXPECT_EQ(3001000, in_at);
      EXPECT_TRUE(Pattern(kBig).substr(1000, 3000000) == out.Content().substr(2)) << from << to;
      ASSERT_EQ(0, ftruncate(out.fd(), 0));
    }
  }
}

TEST_P(DataTest, CopyFileRangeWithinOneFileAndOverlap) {
  OpenFile file(P("lowbig"), O_RDWR);
  loff_t in = 0, out = 1 << 20;
  EXPECT_EQ(4096, copy_file_range(file.fd(), &in, file.fd(), &out, 4096, 0));
  EXPECT_TRUE(Pattern(kBig).substr(0, 4096) == file.Content().substr(1 << 20, 4096));
  in = 0, out = 100;
  EXPECT_EQ(EINVAL, ErrnoOf(copy_file_range(file.fd(), &in, file.fd(), &out, 4096, 0)));
  in = kBig;
  EXPECT_EQ(0, copy_file_range(file.fd(), &in, file.fd(), &out, 10, 0)) << "nothing at the end";
}

TEST_P(DataTest, SendfileFromLowerToUpper) {
  OpenFile in(P("lowbig"), O_RDONLY), out(P("created"), O_RDWR | O_CREAT, 0644);
  off_t at = 0;
  while (at < static_cast<off_t>(kBig))
    ASSERT_GT(sendfile(out.fd(), in.fd(), &at, kBig - static_cast<size_t>(at)), 0);
  EXPECT_TRUE(Pattern(kBig) == out.Content());
}

TEST_P(DataTest, SpliceThroughAPipe) {
  int pipe_fds[2];
  ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
  OpenFile in(P("lowfile"), O_RDONLY), out(P("upfile"), O_RDWR);
  EXPECT_EQ(4, splice(in.fd(), nullptr, pipe_fds[1], nullptr, 4, 0));
  EXPECT_EQ(4, splice(pipe_fds[0], nullptr, out.fd(), nullptr, 4, 0));
  EXPECT_EQ("low\n", out.Content());
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_P(DataTest, WritersOfOneFileSeeEachOther) {
  OpenFile one(P("lowfile"), O_RDWR), two(P("lowfile"), O_RDWR);
  EXPECT_EQ(1, pwrite(one.fd(), "1", 1, 0));
  EXPECT_EQ("1ow\n", two.Content());
  EXPECT_EQ(1, pwrite(two.fd(), "2", 1, 1));
  EXPECT_EQ("12w\n", one.Content());
}

TEST_P(DataTest, EmptyWriteDoesNotCopyUpNorChangeTimes) {
  OpenFile file(P("lowfile"), O_WRONLY);
  EXPECT_EQ(0, write(file.fd(), "", 0));
  file.Close();
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
}

TEST_P(DataTest, SizeLimitOfTheProcessIsRespected) {
  const std::string path = P("upfile");
  const int error = RunInChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};
    setrlimit(RLIMIT_FSIZE, &limit);
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (pwrite(fd, std::string(200, 'x').data(), 200, 0) != 100) return 200;
    return ErrnoOf(pwrite(fd, "x", 1, 100));
  });
  EXPECT_EQ(EFBIG, error);
  EXPECT_EQ(100, Lstat(path).st_size);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, DataTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
