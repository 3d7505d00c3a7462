// format_test.cc: texts that the layers keep or users write: id ranges, override_stat, names of
// attributes, redirects. Not here: anything on a disk (disk_test.cc).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/layer/id_map.h"
#include "fs/layer/overlay_xattr.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/whiteout.h"

namespace plyfs {
namespace {

template <typename Row>
std::string RowName(const testing::TestParamInfo<Row>& row) {
  return row.param.name;
}

// --- id ranges
struct RangesCase {
  const char* name;
  const char* text;
  bool parses;
};
constexpr RangesCase kRangesCases[] = {
    {"OneRange", "0:1000:1", true},
    {"TwoRanges", "0:1000:1:1:100000:65536", true},
    {"EmptySegmentsAtTheStart", "::0:1000:1", true},
    {"AllIds", "0:0:4294967295", true},
    {"TheLastId", "4294967295:4294967295:1", true},
    {"Empty", "", false},
    {"ColonsOnly", ":::", false},
    {"TwoNumbers", "0:1000", false},
    {"FourNumbers", "0:1000:1:5", false},
    {"LengthZero", "0:1000:0", false},
    {"NoNumber", "0:root:1", false},
    {"Negative", "0:-1:1", false},
    {"PlusSign", "+0:1:1", false},
    {"SpaceInside", "0: 1:1", false},
    {"NumberBeyond32Bits", "0:4294967296:1", false},
    {"RangeBeyond32Bits", "4294967295:0:2", false},
    {"EmptySegmentInside", "0::1:1", false},
    {"OverlapOnDisk", "0:1000:10:5:2000:10", false},
    {"OverlapOfTheShown", "0:1000:10:100:1005:10", false},
    {"NeighboursDoNotOverlap", "0:1000:10:10:1010:10", true},
};
class RangesTest : public testing::TestWithParam<RangesCase> {};
TEST_P(RangesTest, IsParsed) {
  EXPECT_EQ(IdRanges::Parse(GetParam().text).has_value(), GetParam().parses);
}
INSTANTIATE_TEST_SUITE_P(Texts, RangesTest, testing::ValuesIn(kRangesCases), RowName<RangesCase>);

TEST(IdRangesTest, IdsAreMappedBothWaysAndTheRestOverflows) {
  const IdRanges ranges = *IdRanges::Parse("0:1000:1:1:100000:65536");
  const std::pair<uint32_t, uint32_t> mapped[] = {
      {0, 1000}, {1, 100000}, {2, 100001}, {65536, 165535}};
  for (const auto& [disk, shown] : mapped) {
    EXPECT_EQ(ranges.ToShown(disk), shown);
    EXPECT_EQ(ranges.ToDisk(shown), disk);
  }
  for (const uint32_t disk : {65537u, 4294967295u}) EXPECT_EQ(ranges.ToShown(disk), 65534u) << disk;
  for (const uint32_t shown : {0u, 999u, 1001u, 165536u})
    EXPECT_FALSE(ranges.ToDisk(shown)) << shown;
}

TEST(IdRangesTest, WithoutRangesEveryIdIsItself) {
  for (const uint32_t id : {0u, 1u, 65534u, 4294967294u}) {
    EXPECT_EQ(IdRanges().ToShown(id), id);
    EXPECT_EQ(IdRanges().ToDisk(id), id);
  }
}

TEST(IdMapTest, SquashShowsOneOwnerAndWritesIt) {
  IdMap map;
  EXPECT_TRUE(map.identity());
  map.squash_uid = 0;
  EXPECT_FALSE(map.identity());
  EXPECT_EQ(map.ShownUid(1234), 0u);
  EXPECT_EQ(map.ShownGid(1234), 1234u) << "only uids are squashed";
  EXPECT_EQ(map.DiskUid(1234), 0u);
  map.uids = *IdRanges::Parse("500:0:10");
  EXPECT_EQ(map.DiskUid(1234), 500u) << "what is squashed is mapped too";
}

// --- override_stat
struct OverrideCase {
  const char* name;
  std::string text;
  bool parses;
  OverriddenStat stat = {};
};
const OverrideCase kOverrideCases[] = {
    {"WithoutType", "1:2:644", true, {.uid = 1, .gid = 2, .mode = 0644}},
    {"SetuidAndSticky", "0:0:5755", true, {.mode = 05755}},
    {"TypeBitsOfTheModeDoNotCount", "0:0:100644", true, {.mode = 0644}},
    {"TerminatingNul", std::string("1:2:644\0", 8), true, {.uid = 1, .gid = 2, .mode = 0644}},
    {"Directory", "1:2:755:dir", true, {.uid = 1, .gid = 2, .mode = 0755, .type = S_IFDIR}},
    {"Fifo", "1:2:644:pipe", true, {.uid = 1, .gid = 2, .mode = 0644, .type = S_IFIFO}},
    {"Symlink", "1:2:777:symlink", true, {.uid = 1, .gid = 2, .mode = 0777, .type = S_IFLNK}},
    {"BlockDevice",
     "0:6:660:block-8-1",
     true,
     {.gid = 6, .mode = 0660, .type = S_IFBLK, .rdev = makedev(8, 1)}},
    {"CharDevice",
     "0:0:666:char-1-3",
     true,
     {.mode = 0666, .type = S_IFCHR, .rdev = makedev(1, 3)}},
    {"LargestIds", "4294967295:4294967295:0", true, {.uid = 4294967295u, .gid = 4294967295u}},
    {"Empty", "", false},
    {"TwoNumbers", "0:0", false},
    {"FiveParts", "0:0:644:file:x", false},
    {"ModeNotOctal", "0:0:689", false},
    {"NegativeOwner", "-1:0:644", false},
    {"OwnerTooLarge", "4294967296:0:644", false},
    {"UnknownType", "0:0:644:door", false},
    {"DeviceWithoutNumbers", "0:0:644:block", false},
    {"DeviceWithOneNumber", "0:0:644:char-1", false},
    {"NumbersOfAFile", "0:0:644:file-1-2", false},
    {"RubbishAtTheEnd", "0:0:644 ", false},
    {"EmptyType", "0:0:644:", false},
};
class OverrideTest : public testing::TestWithParam<OverrideCase> {};
TEST_P(OverrideTest, IsParsedAndWrittenBack) {
  const std::optional<OverriddenStat> stat = ParseOverrideStat(GetParam().text);
  ASSERT_EQ(stat.has_value(), GetParam().parses);
  if (!stat) return;
  const OverriddenStat& expected = GetParam().stat;
  for (const auto& read : {*stat, ParseOverrideStat(FormatOverrideStat(*stat)).value()}) {
    EXPECT_EQ(read.uid, expected.uid);
    EXPECT_EQ(read.gid, expected.gid);
    EXPECT_EQ(read.mode, expected.mode);
    EXPECT_EQ(read.type, expected.type);
    EXPECT_EQ(read.rdev, expected.rdev);
  }
}
INSTANTIATE_TEST_SUITE_P(Texts, OverrideTest, testing::ValuesIn(kOverrideCases),
                         RowName<OverrideCase>);

// --- names of attributes
struct XattrCase {
  const char* name;
  const char* shown;   // null: nobody may have it
  const char* stored;  // null: cannot be stored
};
constexpr XattrCase kXattrCases[] = {
    {"UserAttribute", "user.a", "user.a"},
    {"SecurityAttribute", "security.capability", "security.capability"},
    {"Acl", "system.posix_acl_access", "system.posix_acl_access"},
    {"TrustedAttribute", "trusted.a", "trusted.a"},
    {"UsersOwnOverlayMark", "trusted.overlay.opaque", "trusted.overlay.overlay.opaque"},
    {"UsersOwnUserMark", "user.overlay.redirect", "user.overlay.overlay.redirect"},
    {"TwiceNested", "user.overlay.overlay.opaque", "user.overlay.overlay.overlay.opaque"},
    {"PrefixWithoutDot", "user.overlayx", "user.overlayx"},
    {"PrivateMark", nullptr, "trusted.overlay.opaque"},
    {"PrivateUserMark", nullptr, "user.overlay.origin"},
    {"BarePrefix", nullptr, "user.overlay."},
    {"FuseOverlayfsMark", nullptr, "user.fuseoverlayfs.opaque"},
    {"ForgedOwner", nullptr, "user.containers.override_stat"},
    {"ForgedPrivilegedOwner", nullptr, "security.fuseoverlayfs.override_stat"},
};
class XattrNameTest : public testing::TestWithParam<XattrCase> {};
TEST_P(XattrNameTest, IsEscapedAndShown) {
  const XattrCase& row = GetParam();
  const std::optional<std::string> shown = UnescapeXattrName(row.stored);
  EXPECT_EQ(shown, row.shown == nullptr ? std::nullopt : std::optional<std::string>(row.shown));
  EXPECT_EQ(IsPrivateXattr(row.stored), row.shown == nullptr);
  if (row.shown != nullptr) {
    EXPECT_EQ(EscapeXattrName(row.shown), row.stored);
  }
}
INSTANTIATE_TEST_SUITE_P(Names, XattrNameTest, testing::ValuesIn(kXattrCases), RowName<XattrCase>);

TEST(XattrNameTest, NobodyMayForgeOwnersFromInside) {
  for (const char* name : {"user.fuseoverlayfs.opaque", "user.containers.override_stat",
                           "security.fuseoverlayfs.override_stat"}) {
    EXPECT_FALSE(EscapeXattrName(name)) << name;
  }
}

// --- redirects
struct RedirectCase {
  const char* name;
  std::string text;
  bool safe;
};
const RedirectCase kRedirectCases[] = {
    {"NameBeside", "a", true},
    {"PathFromTheRoot", "/a/b", true},
    {"HiddenName", "/.a", true},
    {"ThreeDots", "/...", true},
    {"LongestComponent", "/" + std::string(255, 'a'), true},
    {"Empty", "", false},
    {"RootItself", "/", false},
    {"RelativePath", "a/b", false},
    {"ParentBeside", "..", false},
    {"DotBeside", ".", false},
    {"ParentInside", "/a/../b", false},
    {"ParentAtTheEnd", "/a/..", false},
    {"DotInside", "/a/./b", false},
    {"DoubleSlash", "/a//b", false},
    {"SlashAtTheEnd", "/a/", false},
    {"TwoSlashesAtTheStart", "//a", false},
    {"NulInside", std::string("/a\0b", 4), false},
    {"ComponentTooLong", "/" + std::string(256, 'a'), false},
    {"PathTooLong", "/" + std::string(5000, 'a'), false},
};
class RedirectTest : public testing::TestWithParam<RedirectCase> {};
TEST_P(RedirectTest, LeadsOnlyIntoTheLayer) {
  EXPECT_EQ(IsSafeRedirect(GetParam().text), GetParam().safe);
}
INSTANTIATE_TEST_SUITE_P(Texts, RedirectTest, testing::ValuesIn(kRedirectCases),
                         RowName<RedirectCase>);

TEST(WhiteoutNameTest, OnlyANameThatLeavesRoomHasAWhiteoutFile) {
  EXPECT_EQ(WhNameOf("a"), ".wh.a");
  EXPECT_TRUE(CanHaveWhFile(std::string(251, 'a')));
  EXPECT_FALSE(CanHaveWhFile(std::string(252, 'a')));
  EXPECT_TRUE(HasWhPrefix(".wh."));
  EXPECT_FALSE(HasWhPrefix(".wha"));
}

}  // namespace
}  // namespace plyfs
