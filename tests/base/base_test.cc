// base_test.cc: Name, Result and its macros, Errno, UniqueFd.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>

#include "fs/base/errno.h"
#include "fs/base/ids.h"
#include "fs/base/name.h"
#include "fs/base/result.h"
#include "fs/base/unique_fd.h"

namespace plyfs {
namespace {

struct NameCase {
  const char* name;
  std::string text;
  int error;  // 0: it is a name
};

const NameCase kNameCases[] = {
    {"AnOrdinaryName", "file.txt", 0},
    {"OneByte", "a", 0},
    {"TheLongestName", std::string(255, 'n'), 0},
    {"OneByteTooLong", std::string(256, 'n'), ENAMETOOLONG},
    {"Empty", "", EINVAL},
    {"Dot", ".", EINVAL},
    {"DotDot", "..", EINVAL},
    {"ThreeDots", "...", 0},
    {"HiddenFile", ".hidden", 0},
    {"DotDotAndMore", "..x", 0},
    {"SlashInside", "a/b", EINVAL},
    {"SlashAlone", "/", EINVAL},
    {"SlashAtTheEnd", "a/", EINVAL},
    {"NulInside", std::string("a\0b", 3), EINVAL},
    {"Newline", "a\nb", 0},
    {"InvalidUtf8", "\xff\xfe\x80", 0},
    {"SpaceAlone", " ", 0},
};

class NameTest : public testing::TestWithParam<NameCase> {};

TEST_P(NameTest, IsParsed) {
  const Result<Name> name = Name::Parse(GetParam().text);
  EXPECT_EQ(name.error().value(), GetParam().error);
  if (!name.ok()) return;
  EXPECT_EQ(name->str(), GetParam().text);
  EXPECT_EQ(name->size(), GetParam().text.size());
  EXPECT_STREQ(name->c_str(), GetParam().text.c_str());
}

INSTANTIATE_TEST_SUITE_P(Names, NameTest, testing::ValuesIn(kNameCases),
                         [](const auto& each) { return std::string(each.param.name); });

struct ErrnoCase {
  int value;
  bool absent;
  bool unsupported;
};

constexpr ErrnoCase kErrnoCases[] = {
    {0, false, false},           {ENOENT, true, false},  {ENOTDIR, true, false},
    {ENAMETOOLONG, true, false}, {EACCES, false, false}, {EIO, false, false},
    {ELOOP, false, false},       {ESTALE, false, false}, {EOPNOTSUPP, false, true},
    {ENOSYS, false, true},       {ENOTTY, false, true},  {EINVAL, false, true},
    {EPERM, false, false},       {EROFS, false, false},
};

TEST(ErrnoTest, EachValueIsOfItsClass) {
  for (const ErrnoCase& row : kErrnoCases) {
    EXPECT_EQ(MeansAbsent(Errno(row.value)), row.absent) << row.value;
    EXPECT_EQ(MeansUnsupported(Errno(row.value)), row.unsupported) << row.value;
    EXPECT_EQ(Errno(row.value).ok(), row.value == 0);
  }
}

TEST(ErrnoTest, OfTakesErrnoOnlyWhenTheCallFailed) {
  errno = EBUSY;
  EXPECT_TRUE(Errno::Of(0).ok());
  EXPECT_TRUE(Errno::Of(17).ok());
  EXPECT_EQ(Errno::Of(-1).value(), EBUSY);
  EXPECT_EQ(Errno::Of(-1L).value(), EBUSY);
}

TEST(ResultTest, AnErrorOfZeroIsAnErrorAllTheSame) {
  const Result<int> result = Errno(0);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.error().value(), EIO);
}

TEST(ResultTest, AValueHasNoError) {
  const Result<int> result = 7;
  EXPECT_TRUE(result.ok());
  EXPECT_TRUE(result.error().ok());
  EXPECT_EQ(*result, 7);
}

Errno FirstError(const std::vector<int>& errors, int* calls) {
  for (const int error : errors) {
    RETURN_IF_ERROR([&] {
      ++*calls;
      return Errno(error);
    }());
  }
  return kOk;
}

TEST(MacroTest, ReturnIfErrorStopsAtTheFirstErrorAndEvaluatesOnce) {
  int calls = 0;
  EXPECT_EQ(FirstError({0, 0, ENOSPC, EIO}, &calls).value(), ENOSPC);
  EXPECT_EQ(calls, 3);
  calls = 0;
  EXPECT_TRUE(FirstError({0, 0}, &calls).ok());
  EXPECT_EQ(calls, 2);
}

Result<std::unique_ptr<int>> MoveOnly(int value) {
  if (value < 0) return Errno(ERANGE);
  return std::make_unique<int>(value);
}

Result<int> Sum(int a, int b) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> first, MoveOnly(a));
  std::unique_ptr<int> second;
  ASSIGN_OR_RETURN(second, MoveOnly(b));
  return *first + *second;
}

TEST(MacroTest, AssignOrReturnMovesTheValueOrReturnsTheError) {
  EXPECT_EQ(*Sum(2, 3), 5);
  EXPECT_EQ(Sum(-1, 3).error().value(), ERANGE);
  EXPECT_EQ(Sum(1, -3).error().value(), ERANGE);
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, ClosesWhatItOwnsAndNothingElse) {
  const int first = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int second = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd a(first);
    UniqueFd b(second);
    UniqueFd moved(std::move(a));
    EXPECT_EQ(moved.get(), first);
    EXPECT_EQ(b.release(), second);
    EXPECT_FALSE(b.valid());
    moved.reset();
    EXPECT_FALSE(IsOpen(first));
  }
  EXPECT_TRUE(IsOpen(second));
  ::close(second);
}

TEST(IdsTest, DiskInodesAreEqualOnlyWithBothNumbers) {
  EXPECT_EQ((DiskInode{1, 2}), (DiskInode{1, 2}));
  EXPECT_NE((DiskInode{1, 2}), (DiskInode{2, 2}));
  EXPECT_NE((DiskInode{1, 2}), (DiskInode{1, 3}));
}

}  // namespace
}  // namespace plyfs
