// times_test.cc: utimensat and which calls change which times.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

const timespec kNow{0, UTIME_NOW};
const timespec kOmit{0, UTIME_OMIT};

int SetTimes(const std::string& path, const timespec& atime, const timespec& mtime, int flags = 0) {
  const timespec times[2] = {atime, mtime};
  return ErrnoOf(utimensat(AT_FDCWD, path.c_str(), times, flags));
}

struct TimeCase {
  const char* name;
  timespec value;
};

const TimeCase kTimes[] = {
    {"Epoch", {0, 0}},
    {"OneNanosecond", {0, 1}},
    {"LastNanosecond", {1, 999999999}},
    {"BeforeEpoch", {-1, 0}},
    {"BeforeEpochWithNanoseconds", {-1, 999999999}},
    {"Year1901", {-2147483648LL, 0}},
    {"Year1902WithNanoseconds", {-2145916800LL, 123456789}},
    {"After2038", {2147483648LL, 5}},
    {"Year2446", {15032385535LL, 0}},
};

using TimeValues = RowTest<TimeCase>;

TEST_P(TimeValues, AreKeptByEveryKindOfObjectAndByCopyUp) {
  for (const TreeObject& object : kTreeObjects) {
    const std::string path = P(object.path);
    ASSERT_EQ(0, SetTimes(path, row().value, row().value, AT_SYMLINK_NOFOLLOW)) << object.path;
    EXPECT_EQ(TimeOf(row().value), TimeOf(Lstat(path).st_mtim)) << object.path;
    EXPECT_EQ(TimeOf(row().value), TimeOf(Lstat(path).st_atim)) << object.path;
  }
}

TEST_P(TimeValues, OfALowerSurviveCopyUp) {
  mount().Unmount();
  for (const char* name : {"lowfile", "lowdir", "lowlink", "lowfifo"}) {
    const timespec times[2] = {row().value, row().value};
    ASSERT_EQ(0, utimensat(AT_FDCWD, InMiddle(name).c_str(), times, AT_SYMLINK_NOFOLLOW));
  }
  mount().Mount();
  for (const char* name : {"lowfile", "lowdir", "lowlink", "lowfifo"}) {
    ASSERT_EQ(0, lchown(P(name).c_str(), kAlice, kAlice));
    EXPECT_EQ(TimeOf(row().value), TimeOf(Lstat(P(name)).st_mtim)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, TimeValues,
                         testing::Combine(AllTargets(), testing::ValuesIn(kTimes)), NameRow());

using TimesTest = SyscallTest;

TEST_P(TimesTest, OmitLeavesOneTimeAlone) {
  ASSERT_EQ(0, SetTimes(P("lowfile"), {5, 5}, kOmit));
  EXPECT_EQ("5.000000005", TimeOf(Lstat(P("lowfile")).st_atim));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
  ASSERT_EQ(0, SetTimes(P("deepfile"), kOmit, {6, 6}));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("deepfile")).st_atim));
  EXPECT_EQ("6.000000006", TimeOf(Lstat(P("deepfile")).st_mtim));
}

TEST_P(TimesTest, OmittingBothChangesNothing) {
  const std::string ctime = TimeOf(Lstat(P("lowfile")).st_ctim);
  ASSERT_EQ(0, SetTimes(P("lowfile"), kOmit, kOmit));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
  EXPECT_EQ(ctime, TimeOf(Lstat(P("lowfile")).st_ctim));
  if (is_union()) {
    EXPECT_FALSE(Exists(InUpper("lowfile")));
  }
}

TEST_P(TimesTest, NowIsTheClock) {
  const time_t start = time(nullptr) - 1;
  ASSERT_EQ(0, SetTimes(P("lowfile"), kNow, kNow));
  EXPECT_GE(Lstat(P("lowfile")).st_mtim.tv_sec, start);
  EXPECT_LE(Lstat(P("lowfile")).st_mtim.tv_sec, time(nullptr) + 1);
  ASSERT_EQ(0, SetTimes(P("deepfile"), {7, 7}, kNow));
  EXPECT_EQ("7.000000007", TimeOf(Lstat(P("deepfile")).st_atim));
  EXPECT_GE(Lstat(P("deepfile")).st_mtim.tv_sec, start);
  ASSERT_EQ(0, utimes(P("both").c_str(), nullptr));
  EXPECT_GE(Lstat(P("both")).st_atim.tv_sec, start);
}

TEST_P(TimesTest, InvalidNanosecondsAreRefused) {
  EXPECT_EQ(EINVAL, SetTimes(P("lowfile"), {0, 1000000000}, {0, 0}));
  EXPECT_EQ(EINVAL, SetTimes(P("lowfile"), {0, 0}, {0, -1}));
}

TEST_P(TimesTest, SymlinkTimesCanBeSetAndSurviveCopyUp) {
  ASSERT_EQ(0, SetTimes(P("lowlink"), {8, 8}, {9, 9}, AT_SYMLINK_NOFOLLOW));
  EXPECT_EQ("9.000000009", TimeOf(Lstat(P("lowlink")).st_mtim));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
  ASSERT_EQ(0, rename(P("lowdirlink").c_str(), P("moved").c_str()));
  Remount();
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("moved")).st_mtim));
  EXPECT_EQ("9.000000009", TimeOf(Lstat(P("lowlink")).st_mtim));
}

TEST_P(TimesTest, OwnerSetsAnyTimeWriterOnlyNow) {
  const std::string path = P("alice/file");
  ASSERT_EQ(0, chmod(path.c_str(), 0646));
  const Credentials alice{.uid = kAlice, .gid = kAlice}, bob{.uid = kBob, .gid = kBob};
  EXPECT_EQ(0, RunAs(alice, [&] { return SetTimes(path, {1, 1}, {2, 2}); }));
  EXPECT_EQ(EPERM, RunAs(bob, [&] { return SetTimes(path, {1, 1}, {2, 2}); }));
  EXPECT_EQ(EPERM, RunAs(bob, [&] { return SetTimes(path, kNow, kOmit); }));
  EXPECT_EQ(0, RunAs(bob, [&] { return SetTimes(path, kNow, kNow); }));
  EXPECT_EQ(0, RunAs(bob, [&] { return SetTimes(path, kOmit, kOmit); }));
  ASSERT_EQ(0, chmod(path.c_str(), 0644));
  EXPECT_EQ(EACCES, RunAs(bob, [&] { return SetTimes(path, kNow, kNow); }));
  ASSERT_EQ(0, chmod(path.c_str(), 0000));
  EXPECT_EQ(0, RunAs(alice, [&] { return SetTimes(path, kNow, kNow); }));
}

TEST_P(TimesTest, DescriptorTimes) {
  OpenFile file(P("lowfile"), O_RDONLY);
  const timespec times[2] = {{3, 3}, {4, 4}};
  ASSERT_EQ(0, futimens(file.fd(), times));
  EXPECT_EQ("4.000000004", TimeOf(Fstat(file.fd()).st_mtim));
  EXPECT_EQ("4.000000004", TimeOf(Lstat(P("lowfile")).st_mtim));
}

TEST_P(TimesTest, TimesSetThroughADescriptorAreNotOverwrittenByItsEarlierWrites) {
  // What tar and rsync do: write, futimens, close.
  OpenFile file(P("extracted"), O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(4, write(file.fd(), "data", 4));
  const timespec times[2] = {{3, 3}, {4, 4}};
  ASSERT_EQ(0, futimens(file.fd(), times));
  file.Close();
  EXPECT_EQ("4.000000004", TimeOf(Lstat(P("extracted")).st_mtim));
  Remount();
  EXPECT_EQ("4.000000004", TimeOf(Lstat(P("extracted")).st_mtim));
}

TEST_P(TimesTest, WriteAndTruncateChangeMtimeAndCtime) {
  AppendFile(P("lowfile"), "x");
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
  ASSERT_EQ(0, truncate(P("deepfile").c_str(), 1));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("deepfile")).st_mtim));
  ASSERT_EQ(0, truncate(P("both").c_str(), Lstat(P("both")).st_size));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("both")).st_mtim)) << "truncate to the same size is a change";
}

TEST_P(TimesTest, ReadingKeepsMtimeAndCtime) {
  const struct stat before = Lstat(P("lowfile"));
  EXPECT_EQ("low\n", ReadFile(P("lowfile")));
  EXPECT_EQ(TimeOf(before.st_mtim), TimeOf(Lstat(P("lowfile")).st_mtim));
  EXPECT_EQ(TimeOf(before.st_ctim), TimeOf(Lstat(P("lowfile")).st_ctim));
}

TEST_P(TimesTest, RenameAndLinkChangeParentsAndKeepMtime) {
  ASSERT_EQ(0, rename(P("lowdir/a").c_str(), P("updir/moved").c_str()));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("lowdir")).st_mtim));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("updir")).st_mtim));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("updir/moved")).st_mtim));
  ASSERT_EQ(0, link(P("lowfile").c_str(), P("merged/linked").c_str()));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("merged")).st_mtim));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
}

TEST_P(TimesTest, RemovalChangesTheParent) {
  ASSERT_EQ(0, unlink(P("lowdir/a").c_str()));
  EXPECT_NE(OldTime(), TimeOf(Lstat(P("lowdir")).st_mtim));
  ASSERT_EQ(0, rmdir(P("mergedempty").c_str()));
  EXPECT_NE(OldTime(), TimeOf(Lstat(Root()).st_mtim));
}

TEST_P(TimesTest, FailedCallsChangeNoTime) {
  EXPECT_EQ(EEXIST, ErrnoOf(mkdir(P("lowdir/a").c_str(), 0755)));
  EXPECT_EQ(ENOTEMPTY, ErrnoOf(rmdir(P("lowdir/sub").c_str())));
  EXPECT_EQ(ENOENT, ErrnoOf(unlink(P("lowdir/missing").c_str())));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowdir")).st_mtim));
}

TEST_P(TimesTest, UnlinkChangesTheCtimeOfTheRemainingLink) {
  ASSERT_EQ(0, chmod(P("uphard1").c_str(), 0600));
  const std::string before = TimeOf(Lstat(P("uphard1")).st_ctim);
  usleep(20000);  // coarse clock of the filesystem: one tick is 4 ms at most
  ASSERT_EQ(0, unlink(P("uphard2").c_str()));
  EXPECT_NE(before, TimeOf(Lstat(P("uphard1")).st_ctim));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, TimesTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
