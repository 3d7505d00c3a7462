// mmap_test.cc: mappings, and what they see of writes and of copy-up.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

class Mapping {
 public:
  Mapping(int fd, size_t size, int prot, int flags) : size_(size) {
    void* map = mmap(nullptr, size, prot, flags, fd, 0);
    if (map == MAP_FAILED) {
      ADD_FAILURE() << "mmap: " << strerror(errno);
    }
    data_ = map == MAP_FAILED ? nullptr : static_cast<char*>(map);
  }
  ~Mapping() {
    if (data_ != nullptr) munmap(data_, size_);
  }
  char* data() const { return data_; }
  std::string text(size_t length) const { return std::string(data_, length); }
  int Sync() const { return ErrnoOf(msync(data_, size_, MS_SYNC)); }

 private:
  char* data_;
  size_t size_;
};

using MmapTest = SyscallTest;

TEST_P(MmapTest, SharedMappingWritesThrough) {
  for (const char* name : {"lowfile", "upfile", "both"}) {
    const size_t size = static_cast<size_t>(Lstat(P(name)).st_size);
    OpenFile file(P(name), O_RDWR);
    Mapping map(file.fd(), 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_NE(nullptr, map.data());
    map.data()[0] = 'X';
    EXPECT_EQ('X', ReadFile(P(name))[0]) << name;
    EXPECT_EQ(0, map.Sync());
    EXPECT_EQ(size, ReadFile(P(name)).size());
  }
  Remount();
  EXPECT_EQ("Xow\n", ReadFile(P("lowfile")));
  if (is_union()) {
    EXPECT_EQ("low\n", ReadFile(InMiddle("lowfile")));
  }
}

TEST_P(MmapTest, SharedMappingIsWrittenWithoutMsync) {
  {
    OpenFile file(P("lowfile"), O_RDWR);
    Mapping map(file.fd(), 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_NE(nullptr, map.data());
    file.Close();
    memcpy(map.data(), "map", 3);
  }
  Remount();
  EXPECT_EQ("map\n", ReadFile(P("lowfile")));
}

TEST_P(MmapTest, PrivateMappingNeverWritesThrough) {
  OpenFile file(P("lowfile"), O_RDWR);
  Mapping map(file.fd(), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  ASSERT_NE(nullptr, map.data());
  map.data()[0] = 'X';
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
  if (is_union()) {
    EXPECT_EQ("low\n", ReadFile(InMiddle("lowfile")));
  }
}

TEST_P(MmapTest, PrivateMappingOfReadOnlyDescriptorMayBeWritten) {
  OpenFile file(P("lowfile"), O_RDONLY);
  Mapping map(file.fd(), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  ASSERT_NE(nullptr, map.data());
  map.data()[0] = 'X';
  EXPECT_EQ("low\n", file.Content());
  EXPECT_EQ(MAP_FAILED, mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, file.fd(), 0));
  EXPECT_EQ(EACCES, errno);
}

TEST_P(MmapTest, WriteIsSeenThroughSharedMapping) {
  OpenFile file(P("upfile"), O_RDWR);
  Mapping map(file.fd(), 4096, PROT_READ, MAP_SHARED);
  ASSERT_NE(nullptr, map.data());
  EXPECT_EQ("up\n", map.text(3));
  EXPECT_EQ(2, pwrite(file.fd(), "UP", 2, 0));
  EXPECT_EQ("UP\n", map.text(3));
}

TEST_P(MmapTest, ReadOnlyMappingFromBeforeCopyUp) {
  OpenFile reader(P("lowfile"), O_RDONLY);
  Mapping map(reader.fd(), 4096, PROT_READ, MAP_SHARED);
  ASSERT_NE(nullptr, map.data());
  EXPECT_EQ("low\n", map.text(4));
  OpenFile writer(P("lowfile"), O_RDWR);
  EXPECT_EQ(3, pwrite(writer.fd(), "new", 3, 0));
  EXPECT_EQ(Expected(kOldSharedMappingSeesNewData), map.text(4) == "new\n") << map.text(4);
}

TEST_P(MmapTest, MappingOutlivesUnlinkAndRename) {
  for (const char* name : {"lowfile", "upfile"}) {
    OpenFile file(P(name), O_RDWR);
    Mapping map(file.fd(), 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_NE(nullptr, map.data());
    ASSERT_EQ(0, rename(P(name).c_str(), P("lowdir/moved").c_str()));
    map.data()[0] = 'R';
    EXPECT_EQ('R', ReadFile(P("lowdir/moved"))[0]);
    ASSERT_EQ(0, unlink(P("lowdir/moved").c_str()));
    map.data()[0] = 'U';
    EXPECT_EQ(0, map.Sync());
    EXPECT_EQ('U', file.Content()[0]);
  }
}

TEST_P(MmapTest, BigSharedMappingIsWrittenBack) {
  constexpr size_t kSize = 3 << 20;
  OpenFile file(P("big"), O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(0, ftruncate(file.fd(), kSize));
  {
    Mapping map(file.fd(), kSize, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_NE(nullptr, map.data());
    for (size_t i = 0; i < kSize; ++i) map.data()[i] = static_cast<char>(i * 7 + i / 4096);
  }
  file.Close();
  Remount();
  const std::string content = ReadFile(P("big"));
  ASSERT_EQ(kSize, content.size());
  bool same = true;
  for (size_t i = 0; i < kSize; ++i)
    same = same && content[i] == static_cast<char>(i * 7 + i / 4096);
  EXPECT_TRUE(same);
}

TEST_P(MmapTest, TouchingBeyondTheEndIsSigbus) {
  const std::string path = P("lowfile");
  const pid_t pid = fork();
  if (pid == 0) {
    const int fd = open(path.c_str(), O_RDONLY);
    const volatile char* map =
        static_cast<const char*>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0));
    signal(SIGBUS, [](int) { _exit(7); });
    _exit(map[5000] == 0 ? 1 : 2);
  }
  int status = 0;
  ASSERT_EQ(pid, waitpid(pid, &status, 0));
  EXPECT_EQ(7, WEXITSTATUS(status));
}

TEST_P(MmapTest, MsyncedStoreChangesMtime) {
  OpenFile file(P("upfile"), O_RDWR);
  Mapping map(file.fd(), 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_NE(nullptr, map.data());
  map.data()[0] = 'X';
  EXPECT_EQ(0, map.Sync());
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("upfile")).st_mtim));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, MmapTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
