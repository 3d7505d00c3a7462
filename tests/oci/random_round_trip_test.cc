// random_round_trip_test.cc: for random unions, the layer that `plyfs diff` writes of a live mount, over the lower, is the union.
// Not here: what a layer can hold (round_trip_test.cc), the list of changes itself (tests/overlay, tests/model).
// PLYFS_OCI_SEED=N runs that seed only, PLYFS_OCI_SEEDS=N as many from 1 on.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <regex>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/tree_snapshot.h"
#include "tests/harness/union_mount.h"
#include "tests/oci/layer_fixture.h"

namespace plyfs::test {
namespace {

// Few names, so that operations meet. What is not possible fails and is no matter.
class Storm {
 public:
  Storm(std::string root, unsigned seed) : root_(std::move(root)), random_(seed) {}

  void Run(int operations) {
    for (int i = 0; i < operations; ++i) Operate();
  }

 private:
  unsigned Pick(unsigned below) { return random_() % below; }
  std::string Path() {
    static const char* const kNames[] = {"a", "b", "c", "d", "gr\xc3\xbc", "long name with spaces"};
    std::string path = root_;
    for (unsigned depth = 1 + Pick(3); depth > 0; --depth) path += std::string("/") + kNames[Pick(std::size(kNames))];
    return path;
  }
  void Write(int flags) {
    const int fd = ::open(Path().c_str(), flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) return;
    const std::string data(Pick(3000), static_cast<char>('a' + Pick(26)));
    EXPECT_EQ(::pwrite(fd, data.data(), data.size(), Pick(2000)), static_cast<ssize_t>(data.size()));
    ::close(fd);
  }
  void Operate() {
    const std::string path = Path();
    int result = 0;
    switch (Pick(16)) {
      case 0: case 1: case 2: result = ::mkdir(path.c_str(), 0700 | Pick(0100)); break;
      case 3: case 4: Write(O_WRONLY); break;
      case 5: Write(O_WRONLY | O_TRUNC); break;
      case 6: case 7: result = ::unlink(path.c_str()); break;
      case 8: result = ::rmdir(path.c_str()); break;
      case 9: case 10: result = ::rename(path.c_str(), Path().c_str()); break;
      case 11: result = ::link(path.c_str(), Path().c_str()); break;
      case 12: result = ::symlink("a/target", path.c_str()); break;
      case 13: result = ::chmod(path.c_str(), 0600 | Pick(0200)); break;
      case 14: result = ::lchown(path.c_str(), Pick(100'000), Pick(100'000)); break;
      default: result = SetXattr(path, "user.x" + std::to_string(Pick(3)), std::to_string(Pick(1000))); break;
    }
    failed_ += result != 0;
  }

  const std::string root_;
  std::mt19937 random_;
  int failed_ = 0;
};

class RandomRoundTrip : public testing::TestWithParam<unsigned> {};

TEST_P(RandomRoundTrip, TheLayerOverTheLowerIsTheUnion) {
  const unsigned seed = GetParam();
  const TempDir dir;
  for (const char* name : {"lower", "upper", "work", "upper2", "work2", "union"}) dir.MakeDir(name);
  Storm(dir / "lower", seed * 2).Run(150);
  UnionOptions options{.target = Target::kPlyfs, .lowers = {dir / "lower"}, .upper = dir / "upper", .work = dir / "work",
                       .mountpoint = dir / "union", .extra = seed % 2 == 0 ? "redirect_dir=on" : "redirect_dir=off"};
  std::string expected;
  std::string changes;
  {
    UnionMount mount(options);
    ASSERT_TRUE(mount.ok());
    Storm(mount.path(), seed * 2 + 1).Run(150);
    expected = SnapshotOf(mount.path());
    const ProgramResult diff = RunProgram({PlyfsBinary(), "diff", "--output", dir / "layer.tar", mount.path()});
    ASSERT_EQ(diff.exit_code, 0) << diff.err;
    EXPECT_EQ(SnapshotOf(mount.path()), expected) << "to write a layer changes nothing";
    changes = RunProgram({PlyfsBinary(), "changes", mount.path()}).out;
    mount.Unmount();
    // Unmounted, from the same journal.
    const ProgramResult again = RunProgram({PlyfsBinary(), "diff", "--output", dir / "again.tar", "--upper", dir / "upper", "--work",
                                            dir / "work", "--lower", dir / "lower"});
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_TRUE(ReadFile(dir / "again.tar") == ReadFile(dir / "layer.tar"));
  }
  SCOPED_TRACE("changes:\n" + changes);
  const Applied applied = Apply(ReadFile(dir / "layer.tar"), dir / "upper2");
  ASSERT_TRUE(applied.ok) << applied.error;
  {
    // A lower file keeps the links that it has on disk, of which a new upper knows nothing.
    const auto without_nlink = [](const std::string& snapshot) { return std::regex_replace(snapshot, std::regex(" nlink=[0-9]+"), ""); };
    options.upper = dir / "upper2";
    options.work = dir / "work2";
    const UnionMount mount(options);
    EXPECT_EQ(without_nlink(SnapshotOf(mount.path())), without_nlink(expected));
  }
  if (RunProgram({"which", "umoci"}).exit_code != 0) return;
  WriteFile(dir / "base.tar", WriteUpper(dir / "lower", "").bytes);
  const std::string image = (dir / "image") + ":t";
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"umoci", "init", "--layout", dir / "image"},
           {"umoci", "new", "--image", image},
           {"umoci", "raw", "add-layer", "--image", image, dir / "base.tar"},
           {"umoci", "raw", "add-layer", "--image", image, dir / "layer.tar"},
           {"umoci", "raw", "unpack", "--image", image, dir / "rootfs"}}) {
    const ProgramResult result = RunProgram(command);
    ASSERT_EQ(result.exit_code, 0) << command[1] << ": " << result.err;
  }
  EXPECT_EQ(SnapshotOf(dir / "rootfs"), expected) << "through umoci";
}

std::vector<unsigned> Seeds() {
  const auto number = [](const char* name) {
    const char* text = std::getenv(name);
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : 0;
  };
  if (const unsigned seed = number("PLYFS_OCI_SEED"); seed != 0) return {seed};
  const unsigned count = number("PLYFS_OCI_SEEDS");
  std::vector<unsigned> seeds;
  for (unsigned seed = 1; seed <= (count != 0 ? count : 6); ++seed) seeds.push_back(seed);
  return seeds;
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomRoundTrip, testing::ValuesIn(Seeds()), testing::PrintToStringParamName());

}  // namespace
}  // namespace plyfs::test
