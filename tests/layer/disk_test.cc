// disk_test.cc: marks, whiteouts, copied data and the work directory on a real filesystem.
// Not here: opening whole stacks (stack_test.cc).
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fs/layer/copy_data.h"
#include "fs/layer/layer.h"
#include "fs/layer/overlay_xattr.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/upper_layer.h"
#include "fs/layer/upper_probe.h"
#include "fs/layer/whiteout.h"
#include "tests/harness/child.h"
#include "tests/harness/temp_dir.h"

namespace plyfs {
namespace {

UniqueFd OpenDir(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// --- marks of directories
struct MarksCase {
  const char* name;
  std::vector<std::pair<const char*, const char*>> xattrs;
  int error;
  DirMarks marks;
};
const MarksCase kMarksCases[] = {
    {"NoMark", {}, 0, {}},
    {"OtherAttributes",
     {{"user.a", "y"}, {"trusted.b", "y"}, {"trusted.overlay.origin", "zz"}},
     0,
     {}},
    {"TrustedOpaque", {{"trusted.overlay.opaque", "y"}}, 0, {.opaque = true}},
    {"UserOpaque", {{"user.overlay.opaque", "y"}}, 0, {.opaque = true}},
    {"FuseOverlayfsOpaque", {{"user.fuseoverlayfs.opaque", "y"}}, 0, {.opaque = true}},
    {"OpaqueN", {{"trusted.overlay.opaque", "n"}}, 0, {}},
    {"OpaqueX", {{"trusted.overlay.opaque", "x"}}, 0, {.xattr_whiteouts = true}},
    {"EscapedOpaqueIsAUsersOwn", {{"trusted.overlay.overlay.opaque", "y"}}, 0, {}},
    {"UnknownOpaque", {{"trusted.overlay.opaque", "z"}}, EIO, {}},
    {"EmptyOpaque", {{"trusted.overlay.opaque", ""}}, EIO, {}},
    {"LongOpaque", {{"user.overlay.opaque", "yy"}}, EIO, {}},
    {"Redirect", {{"trusted.overlay.redirect", "/a/b"}}, 0, {.redirect = "/a/b"}},
    {"UserRedirectBeside", {{"user.overlay.redirect", "name"}}, 0, {.redirect = "name"}},
    {"RedirectOutside", {{"trusted.overlay.redirect", "/../etc"}}, EIO, {}},
    {"EmptyRedirect", {{"trusted.overlay.redirect", ""}}, EIO, {}},
    {"OpaqueAndRedirect",
     {{"trusted.overlay.opaque", "y"}, {"user.overlay.redirect", "/x"}},
     0,
     {.opaque = true, .redirect = "/x"}},
};
class MarksTest : public testing::TestWithParam<MarksCase> {};
TEST_P(MarksTest, AreReadFromADirectory) {
  const test::TempDir temp;
  const std::string dir = temp.MakeDir("d");
  for (const auto& [name, value] : GetParam().xattrs) {
    ASSERT_EQ(::setxattr(dir.c_str(), name, value, std::strlen(value), 0), 0)
        << name << ": run this test as root";
  }
  const UniqueFd parent = OpenDir(temp.path());
  const Result<DirMarks> marks = ReadDirMarks({.dir = parent.get(), .name = "d"});
  ASSERT_EQ(marks.error().value(), GetParam().error);
  if (!marks.ok()) return;
  EXPECT_EQ(marks->opaque, GetParam().marks.opaque);
  EXPECT_EQ(marks->xattr_whiteouts, GetParam().marks.xattr_whiteouts);
  EXPECT_EQ(marks->redirect, GetParam().marks.redirect);
}
INSTANTIATE_TEST_SUITE_P(OnExt4, MarksTest, testing::ValuesIn(kMarksCases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(OverrideStatOnDiskTest, IsFoundByItsNamesAndACorruptOneIsAnError) {
  const test::TempDir temp;
  const UniqueFd dir = OpenDir(temp.path());
  const ObjectRef root{.dir = dir.get()};
  EXPECT_EQ(DetectOverrideStat(root), OverrideStat::kNone);
  EXPECT_FALSE((*ReadOverrideStat(root, OverrideStat::kUser)).has_value());
  ASSERT_EQ(::fsetxattr(dir.get(), "user.fuseoverlayfs.override_stat", "3:4:700", 7, 0), 0);
  EXPECT_EQ(DetectOverrideStat(root), OverrideStat::kUser);
  EXPECT_EQ((*ReadOverrideStat(root, OverrideStat::kUser))->uid, 3u);
  ASSERT_TRUE(WriteOverrideStat(root, OverrideStat::kUser, {.uid = 9, .mode = 0711}).ok());
  EXPECT_EQ((*ReadOverrideStat(root, OverrideStat::kUser))->uid, 9u)
      << "the new name counts more than the old";
  ASSERT_EQ(::fsetxattr(dir.get(), "user.containers.override_stat", "rubbish", 7, 0), 0);
  EXPECT_EQ(ReadOverrideStat(root, OverrideStat::kUser).error().value(), EIO);
  ASSERT_TRUE(WriteOverrideStat(root, OverrideStat::kPrivileged, {}).ok());
  EXPECT_EQ(DetectOverrideStat(root), OverrideStat::kPrivileged);
}

// --- data
struct Piece {
  off_t offset;
  size_t length;
};
struct CopyCase {
  const char* name;
  off_t size;
  std::vector<Piece> pieces;  // where there is data
  uint64_t limit;
};
const CopyCase kCopyCases[] = {
    {"Empty", 0, {}, UINT64_MAX},
    {"OneByte", 1, {{0, 1}}, UINT64_MAX},
    {"Big", 9 << 20, {{0, 9 << 20}}, UINT64_MAX},
    {"AHoleOnly", 1 << 20, {}, UINT64_MAX},
    {"AHoleAtTheStart", 1 << 20, {{1 << 19, 1 << 19}}, UINT64_MAX},
    {"AHoleAtTheEnd", 1 << 20, {{0, 4096}}, UINT64_MAX},
    {"ManyHoles", 1 << 22, {{8192, 4096}, {1 << 20, 5000}, {3 << 20, 1}}, UINT64_MAX},
    {"AHugeHole", off_t{1} << 40, {{off_t{1} << 39, 10}}, UINT64_MAX},
    {"LimitZero", 1 << 20, {{0, 1 << 20}}, 0},
    {"LimitInsideTheData", 100000, {{0, 100000}}, 33333},
    {"LimitInsideAHole", 1 << 20, {{0, 4096}, {1 << 19, 4096}}, 300000},
    {"LimitInsideDataAfterAHole", 1 << 20, {{1 << 19, 1 << 19}}, (1 << 19) + 777},
};
class CopyTest : public testing::TestWithParam<CopyCase> {};
TEST_P(CopyTest, BytesAndHolesAreTheSame) {
  const CopyCase& row = GetParam();
  const test::TempDir temp;
  const UniqueFd from(::open((temp / "from").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const UniqueFd to(::open((temp / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(from.get(), row.size), 0);
  for (const Piece& piece : row.pieces) {
    std::string data(piece.length, '\0');
    for (size_t i = 0; i < data.size(); ++i)
      data[i] = static_cast<char>(1 + (i * 7 + piece.offset) % 251);
    ASSERT_EQ(::pwrite(from.get(), data.data(), data.size(), piece.offset),
              static_cast<ssize_t>(data.size()));
  }
  ASSERT_EQ(::fsync(from.get()), 0);
  struct stat source;
  ASSERT_EQ(::fstat(from.get(), &source), 0);
  const uint64_t size = std::min<uint64_t>(row.size, row.limit);

  DataCopier copier;
  for (int round = 0; round < 2; ++round) {  // the second knows what does not work here
    ASSERT_EQ(::ftruncate(to.get(), 0), 0);
    ASSERT_EQ(copier.Copy(from.get(), to.get(), size, source.st_blocks * 512).value(), 0);
    struct stat copy;
    ASSERT_EQ(::fstat(to.get(), &copy), 0);
    EXPECT_EQ(static_cast<uint64_t>(copy.st_size), size);
    EXPECT_LE(copy.st_blocks, source.st_blocks + 8) << "holes have been filled";
    for (const Piece& piece : row.pieces) {
      std::string expected(piece.length, '\0');
      std::string got(piece.length, '\0');
      const ssize_t there = ::pread(from.get(), expected.data(), expected.size(), piece.offset);
      const ssize_t copied = ::pread(to.get(), got.data(), got.size(), piece.offset);
      const ssize_t wanted =
          std::clamp<ssize_t>(static_cast<ssize_t>(size) - piece.offset, 0, there);
      ASSERT_EQ(copied, wanted);
      EXPECT_TRUE(expected.compare(0, wanted, got, 0, wanted) == 0) << "at " << piece.offset;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(OnExt4, CopyTest, testing::ValuesIn(kCopyCases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(CopyLimitTest, ATargetThatMayNotGrowIsAnError) {
  const test::TempDir temp;
  std::ofstream(temp / "from") << std::string(100000, 'x');
  const int error = test::RunInChild([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 4096, .rlim_max = 4096};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 200;
    const UniqueFd from(::open((temp / "from").c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd to(::open((temp / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    return DataCopier().Copy(from.get(), to.get(), 100000, 102400).value();
  });
  EXPECT_EQ(error, EFBIG);
}

// --- the work directory
class WorkTest : public testing::Test {
 protected:
  WorkTest() { temp_.MakeDir("work"); }
  std::unique_ptr<WorkDir> Open() {
    Result<std::unique_ptr<WorkDir>> work = WorkDir::Open(OpenDir(temp_ / "work"));
    EXPECT_EQ(work.error().value(), 0);
    return work.ok() ? std::move(*work) : nullptr;
  }
  size_t EntriesIn(const std::string& name) {
    const std::filesystem::directory_iterator all(temp_ / ("work/plyfs/" + name));
    return std::distance(begin(all), end(all));
  }
  test::TempDir temp_;
};

TEST_F(WorkTest, OpeningSweepsWhatAnEarlierServerLeftButKeepsTheIndex) {
  ASSERT_NE(Open(), nullptr);
  const std::string base = temp_ / "work/plyfs/";
  std::filesystem::create_directories(base + "tmp/t1/a/b");
  std::ofstream(base + "tmp/t1/a/file") << "x";
  ASSERT_EQ(::mknod((base + "tmp/t1/whiteout").c_str(), S_IFCHR, makedev(0, 0)), 0)
      << "run this test as root";
  ASSERT_EQ(::symlink("/etc", (base + "tmp/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((base + "tmp/fifo").c_str(), 0), 0);
  std::ofstream(base + "orphans/17") << "x";
  std::ofstream(base + "index/1-2") << "x";
  ASSERT_NE(Open(), nullptr);
  EXPECT_EQ(EntriesIn("tmp"), 0u);
  EXPECT_EQ(EntriesIn("orphans"), 0u);
  EXPECT_EQ(EntriesIn("index"), 1u);
  EXPECT_TRUE(std::filesystem::exists("/etc/passwd")) << "a symlink was followed";
}

TEST_F(WorkTest, ATemporaryThatIsNotCommittedGoesWithAllBelowIt) {
  const std::unique_ptr<WorkDir> work = Open();
  {
    const TempEntry temp(*work);
    ASSERT_EQ(::mkdirat(temp.ref().dir, temp.ref().name, 0700), 0);
    const std::string below = std::string(temp.ref().name) + "/below";
    ASSERT_EQ(::mkdirat(temp.ref().dir, below.c_str(), 0), 0);
    EXPECT_EQ(EntriesIn("tmp"), 1u);
  }
  EXPECT_EQ(EntriesIn("tmp"), 0u);
  {
    TempEntry temp(*work);
    ASSERT_EQ(::mkdirat(temp.ref().dir, temp.ref().name, 0700), 0);
    temp.Committed();
  }
  EXPECT_EQ(EntriesIn("tmp"), 1u);
}

TEST_F(WorkTest, DirectoriesWithoutPermissionAreOpenedUpAndRemoved) {
  ASSERT_EQ(::chown((temp_ / "work").c_str(), 1000, 1000), 0);
  ASSERT_EQ(::chmod(temp_.path().c_str(), 0755), 0);
  const int error = test::RunAs({.uid = 1000, .gid = 1000}, [&] {
    const UniqueFd dir = OpenDir(temp_ / "work");
    if (::mkdirat(dir.get(), "locked", 0700) != 0 || ::mkdirat(dir.get(), "locked/in", 0700) != 0)
      return errno;
    if (::fchmodat(dir.get(), "locked", 0, 0) != 0) return errno;
    return RemoveTree({.dir = dir.get(), .name = "locked"}).value();
  });
  EXPECT_EQ(error, 0);
  EXPECT_FALSE(std::filesystem::exists(temp_ / "work/locked"));
}

TEST_F(WorkTest, RemovingWhatIsNotThereIsNoError) {
  const UniqueFd dir = OpenDir(temp_ / "work");
  EXPECT_TRUE(RemoveTree({.dir = dir.get(), .name = "none"}).ok());
}

TEST_F(WorkTest, AFileInThePlaceOfOurDirectoryIsAnError) {
  std::ofstream(temp_ / "work/plyfs") << "x";
  EXPECT_EQ(WorkDir::Open(OpenDir(temp_ / "work")).error().value(), ENOTDIR);
}

// --- whiteouts
struct WhiteoutCase {
  const char* name;
  WhiteoutFormat format;
  bool rename_whiteout;
  bool rename_exchange;
};
constexpr WhiteoutCase kWhiteoutCases[] = {
    {"NativeAtomic", WhiteoutFormat::kDevice, true, true},
    {"NativeByExchange", WhiteoutFormat::kDevice, false, true},
    {"NativeWithNeither", WhiteoutFormat::kDevice, false, false},
    {"WhiteoutFile", WhiteoutFormat::kWhFile, false, true},
};
class WhiteoutTest : public testing::TestWithParam<WhiteoutCase> {
 protected:
  WhiteoutTest() {
    work_ = WorkDir::Open(OpenDir(temp_.MakeDir("work"))).value();
    const WhiteoutCase& row = GetParam();
    upper_ = std::make_unique<UpperLayer>(
        "upper", OpenDir(temp_.MakeDir("upper")), 0, OverrideStat::kNone,
        UpperCapabilities{.whiteouts = row.format,
                          .rename_whiteout = row.rename_whiteout,
                          .rename_exchange = row.rename_exchange});
  }
  ObjectRef In(const char* name) const { return {.dir = upper_->root(), .name = name}; }
  // Whether the upper hides `name` of the layers below, and shows nothing under it itself.
  bool Hides(const char* name) const {
    const LayerEntry entry = upper_->Lookup(upper_->root(), {}, Name::Trusted(name)).value();
    if (entry.kind == LayerEntry::kWhiteout) return true;
    return entry.kind == LayerEntry::kAbsent &&
           upper_->HasWhFile(upper_->root(), Name::Trusted(name)).value();
  }

  test::TempDir temp_;
  std::unique_ptr<WorkDir> work_;
  std::unique_ptr<UpperLayer> upper_;
};

TEST_P(WhiteoutTest, APlacedWhiteoutHidesTheName) {
  EXPECT_FALSE(Hides("a"));
  ASSERT_TRUE(upper_->PlaceWhiteout(In("a")).ok());
  EXPECT_TRUE(Hides("a"));
}

TEST_P(WhiteoutTest, AFileOrDirectoryIsReplacedAndMovesAway) {
  ASSERT_TRUE(upper_->MakeFile(In("file"), 0600).ok());
  ASSERT_TRUE(upper_->MakeDirectory(In("dir"), 0700).ok());
  for (const char* name : {"file", "dir"}) {
    const std::string away = work_->NewTempName();
    ASSERT_EQ(
        upper_->ReplaceByWhiteout(In(name), {.dir = work_->tmp(), .name = away.c_str()}, *work_)
            .value(),
        0)
        << name;
    EXPECT_TRUE(Hides(name));
    EXPECT_TRUE(StatObject({.dir = work_->tmp(), .name = away.c_str()}).ok()) << name;
    EXPECT_TRUE(work_->Discard(away).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(temp_ / "work/plyfs/tmp"));
}

TEST_P(WhiteoutTest, ANameThatCameBackCanBeHiddenAgain) {
  ASSERT_TRUE(upper_->PlaceWhiteout(In("a")).ok());
  if (GetParam().format == WhiteoutFormat::kDevice) {
    ASSERT_TRUE(upper_->Unlink(In("a")).ok());
  }
  ASSERT_TRUE(upper_->MakeFile(In("a"), 0600).ok());
  const std::string away = work_->NewTempName();
  EXPECT_EQ(upper_->ReplaceByWhiteout(In("a"), {.dir = work_->tmp(), .name = away.c_str()}, *work_)
                .value(),
            0);
  EXPECT_TRUE(Hides("a"));
}

TEST_P(WhiteoutTest, ANameTooLongForAWhiteoutFileIsRefusedByThatFormatOnly) {
  const std::string longest(255, 'n');
  const Errno error = upper_->PlaceWhiteout(In(longest.c_str()));
  EXPECT_EQ(error.value(), GetParam().format == WhiteoutFormat::kWhFile ? ENAMETOOLONG : 0);
}
INSTANTIATE_TEST_SUITE_P(EachFormat, WhiteoutTest, testing::ValuesIn(kWhiteoutCases),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace plyfs
