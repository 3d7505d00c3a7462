// stack_test.cc: which directories make a union, and what is said about those that do not.
// Not here: the syntax of options (tests/mount).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fs/layer/layer.h"
#include "fs/layer/layer_stack.h"
#include "fs/layer/upper_layer.h"
#include "fs/layer/upper_probe.h"
#include "fs/layer/work_dir.h"
#include "tests/harness/child.h"
#include "tests/harness/temp_dir.h"

namespace plyfs {
namespace {

// What a row changes about options that would do; and what the message must hold.
struct RefusalCase {
  const char* name;
  std::function<void(const test::TempDir&, LayerStackOptions*)> change;
  std::vector<std::string> message;
};
const RefusalCase kRefusalCases[] = {
    {"MissingLower",
     [](const auto& t, auto* o) { o->lowers.push_back(t / "none"); },
     {"lowerdir", "none", "must exist"}},
    {"LowerIsAFile",
     [](const auto& t, auto* o) { o->lowers = {t / "file"}; },
     {"lowerdir", "file", "must be a directory"}},
    {"MissingUpper",
     [](const auto& t, auto* o) { o->upper = t / "none"; },
     {"upperdir", "none", "must exist"}},
    {"MissingWork",
     [](const auto& t, auto* o) { o->work = t / "none"; },
     {"workdir", "none", "must exist"}},
    {"WorkIsUpper",
     [](const auto&, auto* o) { o->work = o->upper; },
     {"upperdir", "overlaps workdir", "apart"}},
    {"WorkInsideUpper", [](const auto& t, auto* o) { o->work = t / "upper/sub"; }, {"overlaps"}},
    {"UpperInsideWork",
     [](const auto& t, auto* o) {
       o->work = t / "upper";
       o->upper = t / "upper/sub";
     },
     {"overlaps"}},
    {"UpperIsALower",
     [](const auto& t, auto* o) { o->lowers.push_back(t / "upper"); },
     {"upperdir", "overlaps lowerdir"}},
    {"UpperInsideALower",
     [](const auto& t, auto* o) { o->upper = t / "lower/sub"; },
     {"overlaps lowerdir"}},
    {"UpperIsALowerByASymlink",
     [](const auto& t, auto* o) { o->lowers.push_back(t / "link_to_upper"); },
     {"overlaps"}},
    {"WorkOnAnotherFilesystem",
     [](const auto&, auto* o) { o->work = "/dev/shm"; },
     {"workdir", "same filesystem"}},
    {"UpperNotWritable",
     [](const auto& t, auto* o) { o->upper = t / "readonly"; },
     {"upperdir", "must be writable"}},
};

class RefusalTest : public testing::TestWithParam<RefusalCase> {
 protected:
  RefusalTest() {
    for (const char* dir : {"lower", "lower/sub", "upper", "upper/sub", "work", "readonly"})
      temp_.MakeDir(dir);
    std::ofstream(temp_ / "file") << "x";
    std::filesystem::create_directory_symlink(temp_ / "upper", temp_ / "link_to_upper");
    options_.lowers = {temp_ / "lower"};
    options_.upper = temp_ / "upper";
    options_.work = temp_ / "work";
    // A read-only mount of its own.
    ::mount((temp_ / "readonly").c_str(), (temp_ / "readonly").c_str(), nullptr, MS_BIND, nullptr);
    ::mount(nullptr, (temp_ / "readonly").c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY,
            nullptr);
  }
  ~RefusalTest() override { ::umount2((temp_ / "readonly").c_str(), MNT_DETACH); }

  test::TempDir temp_;
  LayerStackOptions options_;
};

TEST_P(RefusalTest, TheMessageNamesOptionAndPathAndSaysWhatToDo) {
  GetParam().change(temp_, &options_);
  LayerStack stack;
  MountError error;
  ASSERT_FALSE(OpenLayerStack(options_, &stack, &error));
  for (const std::string& part : GetParam().message)
    EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
}
INSTANTIATE_TEST_SUITE_P(Directories, RefusalTest, testing::ValuesIn(kRefusalCases),
                         [](const auto& row) { return std::string(row.param.name); });

class StackTest : public testing::Test {
 protected:
  StackTest() {
    for (const char* dir : {"lower", "upper", "work"}) temp_.MakeDir(dir);
    options_.lowers = {temp_ / "lower"};
    options_.upper = temp_ / "upper";
    options_.work = temp_ / "work";
  }
  bool Open(LayerStack* stack) { return OpenLayerStack(options_, stack, &error_); }

  test::TempDir temp_;
  LayerStackOptions options_;
  MountError error_;
};

TEST_F(StackTest, AReadOnlyUnionHasNoUpper) {
  options_.upper = options_.work = "";
  LayerStack stack;
  ASSERT_TRUE(Open(&stack)) << error_.message;
  EXPECT_EQ(stack.upper, nullptr);
  EXPECT_EQ(stack.layers.size(), 2u);
  EXPECT_FALSE(stack.layers[0]);
}

TEST_F(StackTest, AnUpperInUseIsRefusedUntilItIsFree) {
  {
    LayerStack first;
    ASSERT_TRUE(Open(&first)) << error_.message;
    LayerStack second;
    ASSERT_FALSE(Open(&second));
    EXPECT_NE(error_.message.find("in use by another mount"), std::string::npos) << error_.message;
  }
  LayerStack third;
  EXPECT_TRUE(Open(&third)) << error_.message;
}

TEST_F(StackTest, AVolatileUpperIsNotBelievedAgain) {
  options_.volatile_upper = true;
  {
    LayerStack first;
    ASSERT_TRUE(Open(&first)) << error_.message;
  }
  LayerStack second;
  ASSERT_FALSE(Open(&second));
  EXPECT_NE(error_.message.find("work/incompat/volatile"), std::string::npos) << error_.message;
  ASSERT_TRUE(std::filesystem::remove_all(temp_ / "work/work/incompat/volatile") > 0);
  LayerStack third;
  EXPECT_TRUE(Open(&third)) << error_.message;
}

// --- what an upper can do
void ExpectNativeUpper(const std::string& dir, bool force_wh) {
  Result<std::unique_ptr<WorkDir>> work =
      WorkDir::Open(UniqueFd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  ASSERT_TRUE(work.ok());
  const Result<UpperCapabilities> can = ProbeUpper(**work, {.force_wh_whiteouts = force_wh});
  ASSERT_TRUE(can.ok());
  EXPECT_EQ(can->whiteouts, force_wh ? WhiteoutFormat::kWhFile : WhiteoutFormat::kDevice);
  EXPECT_EQ(can->rename_whiteout, !force_wh);
  EXPECT_TRUE(can->rename_exchange);
  EXPECT_TRUE(can->xattr_marks);
  EXPECT_EQ(can->mark_namespace, MarkNamespace::kTrusted);
  EXPECT_TRUE(std::filesystem::is_empty(dir + "/plyfs/tmp")) << "the probe left something behind";
}

TEST(ProbeTest, Ext4CanDoAllThatNativeMarksNeed) {
  const test::TempDir temp;
  ExpectNativeUpper(temp.MakeDir("work"), false);
}
TEST(ProbeTest, ForcedWhiteoutFilesAreUsedThoughDevicesWork) {
  const test::TempDir temp;
  ExpectNativeUpper(temp.MakeDir("work"), true);
}
TEST(ProbeTest, TmpfsCanDoAllThatNativeMarksNeed) {
  const test::TempDir temp;
  const std::string dir = temp.MakeDir("tmpfs");
  ASSERT_EQ(::mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=1m"), 0)
      << "this test mounts: run it as root";
  ExpectNativeUpper(dir, false);
  EXPECT_EQ(::umount(dir.c_str()), 0);
}
TEST(ProbeTest, AFilesystemThatIsFullIsAnError) {
  const test::TempDir temp;
  const std::string dir = temp.MakeDir("tmpfs");
  ASSERT_EQ(::mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=1m,nr_inodes=5"), 0)
      << "this test mounts: run it as root";
  Result<std::unique_ptr<WorkDir>> work =
      WorkDir::Open(UniqueFd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (work.ok()) {
    EXPECT_EQ(ProbeUpper(**work, {}).error().value(), ENOSPC);
  } else {
    EXPECT_EQ(work.error().value(), ENOSPC);
  }
  work = Errno(EIO);
  EXPECT_EQ(::umount(dir.c_str()), 0);
}

// --- who creates
struct OwnerCase {
  const char* name;
  CreateAs as;
  mode_t mode;
  mode_t expected;
};
constexpr OwnerCase kOwnerCases[] = {
    {"AnotherOwner", {.uid = 1234, .gid = 4321, .umask = 0}, 0666, 0666},
    {"Umask022", {.uid = 0, .gid = 0, .umask = 022}, 0666, 0644},
    {"AnotherOwnerAndUmask", {.uid = 1, .gid = 0, .umask = 077}, 0777, 0700},
    {"AnotherGroupOnly", {.uid = 0, .gid = 9, .umask = 0}, 0600, 0600},
};

TEST(CallerScopeTest, WhatIsMadeHasItsOwnerAndModeAtOnce) {
  const test::TempDir temp;
  ASSERT_EQ(::chmod(temp.path().c_str(), 0700),
            0);  // the other owner may not write there by itself
  for (const OwnerCase& row : kOwnerCases) {
    const int error = test::RunInChild([&] {
      const std::string path = temp / row.name;
      {
        const CallerScope scope(row.as);
        if (!scope.owner_taken()) return 200;
        const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, row.mode);
        if (fd < 0) return errno;
        ::close(fd);
      }
      struct stat stat;
      if (::stat(path.c_str(), &stat) != 0) return errno;
      if (stat.st_uid != row.as.uid || stat.st_gid != row.as.gid) return 201;
      if ((stat.st_mode & 07777) != row.expected) return 202;
      // Afterwards the thread is itself again, with all that it may do.
      const int after =
          ::open((path + ".after").c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
      if (after < 0) return errno;
      if (::fstat(after, &stat) != 0 || stat.st_uid != 0 || stat.st_gid != 0 ||
          (stat.st_mode & 07777) != 0666)
        return 203;
      return 0;
    });
    EXPECT_EQ(error, 0) << row.name;
  }
}

TEST(CallerScopeTest, WithoutPrivilegeAnotherOwnerIsNotTaken) {
  const int error = test::RunAs({.uid = 1000, .gid = 1000}, [] {
    {
      const CallerScope same({.uid = 1000, .gid = 1000});
      if (!same.owner_taken()) return 200;
    }
    const CallerScope other({.uid = 1234, .gid = 1000});
    return other.owner_taken() ? 201 : 0;
  });
  EXPECT_EQ(error, 0);
}

}  // namespace
}  // namespace plyfs
