// limits_test.cc: few descriptors, many lowers, many files.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

class FewDescriptors : public PlyfsTest, public testing::WithParamInterface<int> {};

TEST_P(FewDescriptors, LargeTreeWorks) {
  // More directories and open files than descriptors.
  constexpr int kDirs = 300, kFiles = 5;
  for (int d = 0; d < kDirs; ++d) {
    const std::string name = "d" + std::to_string(d);
    MakeDirs(Lower(name + "/sub"));
    for (int f = 0; f < kFiles; ++f) WriteFile(Lower(name + "/sub/f" + std::to_string(f)), name);
  }
  UnionOptions options = Options();
  const rlim_t limit = static_cast<rlim_t>(GetParam());
  options.before_exec = [limit] {
    const rlimit files{limit, limit};
    setrlimit(RLIMIT_NOFILE, &files);
  };
  Mount(options);
  std::vector<int> open_files;
  for (int d = 0; d < kDirs; ++d) {
    const std::string path = P("d" + std::to_string(d) + "/sub/f0");
    open_files.push_back(open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_GE(open_files.back(), 0) << path << errno;
  }
  for (int d = 0; d < kDirs; ++d) {
    ASSERT_EQ(1, pwrite(open_files[static_cast<size_t>(d)], "X", 1, 0)) << d;
    AppendFile(P("d" + std::to_string(d) + "/sub/f1"), "more");
    WriteFile(P("d" + std::to_string(d) + "/new"), "new");
    ASSERT_EQ(0, unlink(P("d" + std::to_string(d) + "/sub/f0").c_str()));
  }
  for (int d = 0; d < kDirs; ++d) {
    char byte = 0;
    EXPECT_EQ(1, pread(open_files[static_cast<size_t>(d)], &byte, 1, 0));
    EXPECT_EQ('X', byte) << d;
    close(open_files[static_cast<size_t>(d)]);
  }
  EXPECT_EQ(0, RunProgram({"find", P(""), "-type", "f"}).exit_code);
  ExpectServerLives();
  Remount();
  EXPECT_EQ("d7more", ReadFile(P("d7/sub/f1")));
  EXPECT_EQ(ENOENT, LstatErrno(P("d7/sub/f0")));
}

INSTANTIATE_TEST_SUITE_P(OfTheServer, FewDescriptors, testing::Values(256, 1024),
                         [](const auto& row) { return std::to_string(row.param); });

class ManyLowers : public PlyfsTest, public testing::WithParamInterface<int> {};

TEST_P(ManyLowers, AreMerged) {
  const int count = GetParam();
  UnionOptions options = Options();
  options.lowers.clear();
  for (int i = 0; i < count; ++i) {
    const std::string layer = dir() / ("l/" + std::to_string(i));
    MakeDirs(layer + "/shared/deep");
    WriteFile(layer + "/only" + std::to_string(i), std::to_string(i));
    WriteFile(layer + "/every", std::to_string(i));
    WriteFile(layer + "/shared/deep/in" + std::to_string(i), std::to_string(i));
    if (i % 10 == 5) MakeWhiteout(layer + "/only" + std::to_string(i + 1));
    options.lowers.push_back(layer);
  }
  Mount(options);
  EXPECT_EQ("0", ReadFile(P("every")));
  const std::string last = std::to_string(count - 1);
  EXPECT_EQ(last, ReadFile(P("only" + last)));
  EXPECT_EQ(ENOENT, LstatErrno(P("only6")));
  EXPECT_EQ(static_cast<size_t>(count), ListDir(P("shared/deep")).size());
  AppendFile(P("shared/deep/in" + last), "!");
  ASSERT_EQ(0, unlink(P("only" + std::to_string(count / 2 + 1)).c_str()));
  WriteFile(P("shared/new"), "new");
  Remount();
  EXPECT_EQ(last + "!", ReadFile(P("shared/deep/in" + last)));
  EXPECT_EQ(ENOENT, LstatErrno(P("only" + std::to_string(count / 2 + 1))));
  ExpectServerLives();
}

TEST_P(ManyLowers, WorkWithFewDescriptors) {
  const int count = GetParam();
  UnionOptions options = Options();
  options.lowers.clear();
  for (int i = 0; i < count; ++i) {
    const std::string layer = dir() / ("l/" + std::to_string(i));
    MakeDirs(layer + "/shared/deep");
    WriteFile(layer + "/shared/deep/in" + std::to_string(i), "x");
    options.lowers.push_back(layer);
  }
  options.before_exec = [] {
    const rlimit files{1024, 1024};
    setrlimit(RLIMIT_NOFILE, &files);
  };
  Mount(options);
  EXPECT_EQ(static_cast<size_t>(count), ListDir(P("shared/deep")).size());
  for (int i = 0; i < count; i += 7)
    EXPECT_EQ("x", ReadFile(P("shared/deep/in" + std::to_string(i))));
  WriteFile(P("shared/deep/new"), "new");
  EXPECT_EQ("new", ReadFile(P("shared/deep/new")));
}

INSTANTIATE_TEST_SUITE_P(OfAMount, ManyLowers, testing::Values(128, 500),
                         [](const auto& row) { return std::to_string(row.param); });

}  // namespace
}  // namespace plyfs::test
