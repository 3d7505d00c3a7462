// deep_tree_test.cc: trees deeper than PATH_MAX, and paths near it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

constexpr int kDepth = 600;  // times 8 bytes: beyond PATH_MAX
constexpr char kName[] = "deeper7";

// Makes or follows `kDepth` levels below `root` and returns the descriptor of the last.
int Descend(const std::string& root, bool create) {
  int dir = open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < kDepth && dir >= 0; ++i) {
    if (create) mkdirat(dir, kName, 0755);
    const int next = openat(dir, kName, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(dir);
    dir = next;
  }
  return dir;
}

int WriteAt(int dir, const char* name, const std::string& content) {
  const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  const int error = write(fd, content.data(), content.size()) < 0 ? errno : 0;
  close(fd);
  return error;
}

std::string ReadAt(int dir, const char* name) {
  const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
  char buffer[64];
  const ssize_t got = fd < 0 ? -1 : read(fd, buffer, sizeof buffer);
  if (fd >= 0) close(fd);
  return got < 0 ? "errno " + std::to_string(errno) : std::string(buffer, static_cast<size_t>(got));
}

class DeepTree : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    layers.middle.Dir("low");
    const int dir = Descend(layers.middle.root() + "/low", true);
    ASSERT_GE(dir, 0);
    EXPECT_EQ(0, WriteAt(dir, "file", "deep\n"));
    close(dir);
    // AgeTree and snapshots work with paths, so they stop above.
  }
  void SetUp() override {}
};

TEST_P(DeepTree, CanBeWalkedAndReadAndCopiedUp) {
  Start(GetParam());
  int dir = Descend(P("low"), false);
  ASSERT_GE(dir, 0);
  EXPECT_EQ("deep\n", ReadAt(dir, "file"));
  EXPECT_EQ(0, WriteAt(dir, "file", "more\n"));
  EXPECT_EQ("deep\nmore\n", ReadAt(dir, "file"));
  EXPECT_EQ(0, WriteAt(dir, "new", "new\n"));
  close(dir);
  Remount();
  dir = Descend(P("low"), false);
  ASSERT_GE(dir, 0);
  EXPECT_EQ("deep\nmore\n", ReadAt(dir, "file"));
  EXPECT_EQ("new\n", ReadAt(dir, "new"));
  EXPECT_EQ(0, ErrnoOf(renameat(dir, "new", dir, "file")));
  EXPECT_EQ("new\n", ReadAt(dir, "file"));
  EXPECT_EQ(0, ErrnoOf(unlinkat(dir, "file", 0)));
  EXPECT_EQ("errno " + std::to_string(ENOENT), ReadAt(dir, "file"));
  close(dir);
}

TEST_P(DeepTree, CanBeMadeInTheUnionAndRemoved) {
  Start(GetParam());
  ASSERT_EQ(0, mkdir(P("up").c_str(), 0755));
  int dir = Descend(P("up"), true);
  ASSERT_GE(dir, 0);
  EXPECT_EQ(0, WriteAt(dir, "file", "x"));
  close(dir);
  Remount();
  dir = Descend(P("up"), false);
  ASSERT_GE(dir, 0);
  EXPECT_EQ("x", ReadAt(dir, "file"));
  close(dir);
  EXPECT_EQ(0, RunProgram({"rm", "-rf", P("up")}).exit_code);
  EXPECT_EQ(ENOENT, LstatErrno(P("up")));
}

TEST_P(DeepTree, LowerOneCanBeRemovedAsAWhole) {
  Start(GetParam());
  EXPECT_EQ(0, RunProgram({"rm", "-rf", P("low")}).exit_code);
  EXPECT_EQ(ENOENT, LstatErrno(P("low")));
  Remount();
  EXPECT_EQ(ENOENT, LstatErrno(P("low")));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, DeepTree, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
