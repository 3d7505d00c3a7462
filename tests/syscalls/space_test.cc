// space_test.cc: holes, preallocation, and how much room a file takes.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

constexpr off_t kMiB = 1 << 20;

// data at 0, hole, data at 4 MiB, hole up to 8 MiB
void WriteSparse(const std::string& path) {
  OpenFile file(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  EXPECT_EQ(4096, pwrite(file.fd(), std::string(4096, 'a').data(), 4096, 0));
  EXPECT_EQ(4096, pwrite(file.fd(), std::string(4096, 'b').data(), 4096, 4 * kMiB));
  EXPECT_EQ(0, ftruncate(file.fd(), 8 * kMiB));
  EXPECT_EQ(0, fsync(file.fd()));
}

class SpaceTest : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    BuildStandardTree(layers);
    WriteSparse(layers.middle.root() + "/lowsparse");
    WriteSparse(layers.upper.root() + "/upsparse");
    layers.middle.File("lowfull", std::string(64 * 1024, 'f'));
    layers.upper.File("upfull", std::string(64 * 1024, 'f'));
  }
};

TEST_P(SpaceTest, SeekFindsDataAndHoles) {
  for (const char* name : {"lowsparse", "upsparse"}) {
    OpenFile file(P(name), O_RDONLY);
    EXPECT_EQ(0, lseek(file.fd(), 0, SEEK_DATA)) << name;
    EXPECT_EQ(4096, lseek(file.fd(), 0, SEEK_HOLE)) << name;
    EXPECT_EQ(4 * kMiB, lseek(file.fd(), 4096, SEEK_DATA)) << name;
    EXPECT_EQ(4 * kMiB + 4096, lseek(file.fd(), 4 * kMiB, SEEK_HOLE)) << name;
    EXPECT_EQ(ENXIO, ErrnoOf(lseek(file.fd(), 5 * kMiB, SEEK_DATA))) << name;
    EXPECT_EQ(ENXIO, ErrnoOf(lseek(file.fd(), 8 * kMiB, SEEK_DATA))) << name;
    EXPECT_EQ(ENXIO, ErrnoOf(lseek(file.fd(), 8 * kMiB, SEEK_HOLE))) << name;
    EXPECT_EQ(ENXIO, ErrnoOf(lseek(file.fd(), -1, SEEK_HOLE))) << name;
    EXPECT_EQ(8 * kMiB, lseek(file.fd(), 0, SEEK_END)) << name;
  }
}

TEST_P(SpaceTest, SeekInALowerIsRightAfterCopyUp) {
  OpenFile file(P("lowsparse"), O_RDWR);
  EXPECT_EQ(Expected(kDataAfterHoleOfSparseCopy), lseek(file.fd(), 4096, SEEK_DATA));
  ASSERT_EQ(1, pwrite(file.fd(), "x", 1, 2 * kMiB));
  ASSERT_EQ(0, fsync(file.fd()));
  EXPECT_EQ(2 * kMiB, lseek(file.fd(), 3 * kMiB / 2, SEEK_DATA));
}

TEST_P(SpaceTest, CopyUpKeepsHoles) {
  EXPECT_EQ(16, Lstat(P("lowsparse")).st_blocks);
  ASSERT_EQ(0, chmod(P("lowsparse").c_str(), 0600));
  EXPECT_EQ(Expected(kBlocksOfSparseCopy), Lstat(P("lowsparse")).st_blocks);
  EXPECT_EQ(8 * kMiB, Lstat(P("lowsparse")).st_size);
  OpenFile file(P("lowsparse"), O_RDONLY);
  EXPECT_EQ(Expected(kDataAfterHoleOfSparseCopy), lseek(file.fd(), 4096, SEEK_DATA));
  char byte = 0;
  EXPECT_EQ(1, pread(file.fd(), &byte, 1, 4 * kMiB));
  EXPECT_EQ('b', byte);
}

TEST_P(SpaceTest, FileOfOnlyAHoleIsCopiedUp) {
  mount().Unmount();
  WriteFile(InMiddle("hole"), "");
  ASSERT_EQ(0, truncate(InMiddle("hole").c_str(), off_t{1} << 40));
  mount().Mount();
  ASSERT_EQ(0, chmod(P("hole").c_str(), 0600));
  EXPECT_EQ(off_t{1} << 40, Lstat(P("hole")).st_size);
  EXPECT_EQ(0, Lstat(P("hole")).st_blocks);
}

TEST_P(SpaceTest, FallocateExtendsTheFile) {
  for (const char* name : {"lowfile", "upfile"}) {
    OpenFile file(P(name), O_RDWR);
    ASSERT_EQ(0, fallocate(file.fd(), 0, 0, kMiB)) << name;
    EXPECT_EQ(kMiB, Fstat(file.fd()).st_size);
    EXPECT_GE(Fstat(file.fd()).st_blocks, 2048);
    char byte = 1;
    EXPECT_EQ(1, pread(file.fd(), &byte, 1, 5000));
    EXPECT_EQ(0, byte);
  }
}

TEST_P(SpaceTest, KeepSizeAllocatesBeyondTheEnd) {
  for (const char* name : {"lowfile", "upfile"}) {
    OpenFile file(P(name), O_RDWR);
    const off_t size = Fstat(file.fd()).st_size;
    ASSERT_EQ(0, fallocate(file.fd(), FALLOC_FL_KEEP_SIZE, 0, kMiB)) << name;
    EXPECT_EQ(size, Fstat(file.fd()).st_size);
    EXPECT_GE(Fstat(file.fd()).st_blocks, 2048);
  }
}

TEST_P(SpaceTest, PunchedHoleReadsZerosAtOnce) {
  for (const char* name : {"lowfull", "upfull"}) {
    OpenFile file(P(name), O_RDWR);
    EXPECT_EQ(std::string(64 * 1024, 'f'), file.Content());  // fills the page cache
    ASSERT_EQ(0, fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 16384));
    const std::string expected =
        std::string(8192, 'f') + std::string(16384, '\0') + std::string(64 * 1024 - 24576, 'f');
    EXPECT_TRUE(expected == file.Content()) << name;
    mount().DropCaches();
    EXPECT_TRUE(expected == ReadFile(P(name))) << name;
  }
}

TEST_P(SpaceTest, ZeroRangeReadsZeros) {
  for (const char* name : {"lowfull", "upfull"}) {
    OpenFile file(P(name), O_RDWR);
    EXPECT_EQ(std::string(64 * 1024, 'f'), file.Content());
    ASSERT_EQ(0, fallocate(file.fd(), FALLOC_FL_ZERO_RANGE, 100, 20000));
    const std::string expected =
        std::string(100, 'f') + std::string(20000, '\0') + std::string(64 * 1024 - 20100, 'f');
    EXPECT_TRUE(expected == file.Content()) << name;
  }
}

TEST_P(SpaceTest, InvalidFallocateCallsAreRefused) {
  OpenFile file(P("lowfull"), O_RDWR), reader(P("lowfull"), O_RDONLY), dir(P("lowdir"), O_RDONLY);
  EXPECT_EQ(EINVAL, ErrnoOf(fallocate(file.fd(), 0, -1, 10)));
  EXPECT_EQ(EINVAL, ErrnoOf(fallocate(file.fd(), 0, 0, 0)));
  EXPECT_EQ(EBADF, ErrnoOf(fallocate(reader.fd(), 0, 0, 10)));
  EXPECT_EQ(EOPNOTSUPP, ErrnoOf(fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE, 0, 10)));
  EXPECT_EQ(EBADF, ErrnoOf(fallocate(dir.fd(), 0, 0, 10)));
}

TEST_P(SpaceTest, RangeModesAreAsListed) {
  OpenFile file(P("lowfull"), O_RDWR);
  EXPECT_EQ(Expected(kCollapseRange),
            ErrnoOf(fallocate(file.fd(), FALLOC_FL_COLLAPSE_RANGE, 4096, 4096)));
  EXPECT_EQ(Expected(kCollapseRange),
            ErrnoOf(fallocate(file.fd(), FALLOC_FL_INSERT_RANGE, 4096, 4096)));
}

TEST_P(SpaceTest, WritingZerosIsNotAHole) {
  WriteFile(P("zeros"), std::string(kMiB, '\0'));
  sync();
  EXPECT_GE(Lstat(P("zeros")).st_blocks, 2048);
}

TEST_P(SpaceTest, PosixFallocateWorks) {
  OpenFile file(P("new"), O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(0, posix_fallocate(file.fd(), 0, 100000));
  EXPECT_EQ(100000, Fstat(file.fd()).st_size);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, SpaceTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
