// option_text_test.cc: how -o texts fall apart: commas, quotes, backslashes, the colons of
// lowerdir.
#include "fs/mount/option_text.h"

#include <gtest/gtest.h>

namespace plyfs {
namespace {

// "key=value" of each option, values as split but still escaped; a key without value stands alone.
std::vector<std::string> Parts(std::string_view text) {
  std::vector<std::string> parts;
  for (const OptionText& option : SplitOptions(text)) {
    parts.push_back(option.value ? option.key + "=" + *option.value : option.key);
  }
  return parts;
}

struct SplitCase {
  const char* name;
  const char* text;
  std::vector<std::string> parts;
};

class SplitOptionsTest : public testing::TestWithParam<SplitCase> {};

TEST_P(SplitOptionsTest, FallsApartAtTheRightCommas) {
  EXPECT_EQ(Parts(GetParam().text), GetParam().parts);
}

const SplitCase kSplitCases[] = {
    {"Nothing", "", {}},
    {"OneFlag", "ro", {"ro"}},
    {"FlagsAndValues", "ro,fsync=0,dev", {"ro", "fsync=0", "dev"}},
    {"EmptyOptionsAreLeftOut", ",ro,,dev,", {"ro", "dev"}},
    {"EmptyValue", "upperdir=,ro", {"upperdir=", "ro"}},
    {"OnlyTheFirstEqualsSplits", "context=a=b", {"context=a=b"}},
    {"EscapedCommaStays", R"(upperdir=/a\,b,ro)", {R"(upperdir=/a\,b)", "ro"}},
    {"EscapedBackslashBeforeComma", R"(upperdir=/a\\,ro)", {R"(upperdir=/a\\)", "ro"}},
    {"EscapedColonStays", R"(lowerdir=/a\:b:/c)", {R"(lowerdir=/a\:b:/c)"}},
    {"QuotedCommas", R"(context="u:r:t:s0:c1,c2",ro)", {"context=u:r:t:s0:c1,c2", "ro"}},
    {"QuotedAtTheEnd", R"(ro,context="u:r:t:s0:c1,c2")", {"ro", "context=u:r:t:s0:c1,c2"}},
    {"EmptyQuotes", R"(context="",ro)", {"context=", "ro"}},
    {"QuoteInTheMiddleOfAPath", R"(upperdir=/a"b,ro)", {R"(upperdir=/a"b)", "ro"}},
    {"QuoteThatNeverCloses", R"(upperdir="a,ro)", {R"(upperdir="a)", "ro"}},
    {"QuoteThatClosesBeforeTheEndOfTheValue", R"(upperdir="a"b,ro)", {R"(upperdir="a"b)", "ro"}},
    {"QuoteClosesAtTheNextSeparator", R"(a="x"y,z",ro)", {R"(a=x"y,z)", "ro"}},
    {"BackslashAtTheEnd", R"(upperdir=/a\)", {R"(upperdir=/a\)"}},
};
INSTANTIATE_TEST_SUITE_P(Rows, SplitOptionsTest, testing::ValuesIn(kSplitCases),
                         [](const auto& row) { return row.param.name; });

TEST(OptionText, KeepsWhatWasWrittenForMessages) {
  const std::vector<OptionText> options = SplitOptions(R"(context="a,b",what\,ever)");
  ASSERT_EQ(options.size(), 2u);
  EXPECT_EQ(options[0].written, R"(context="a,b")");
  EXPECT_EQ(options[1].written, R"(what\,ever)");
}

TEST(OptionText, UnescapeTakesOneBackslashOffAndReadsOctalBytes) {
  EXPECT_EQ(Unescape(R"(/a\,b\:c\\d)"), R"(/a,b:c\d)");
  EXPECT_EQ(Unescape(R"(/a\054b)"), "/a,b");
  EXPECT_EQ(Unescape(R"(/\377)"), "/\377");
  EXPECT_EQ(Unescape(R"(/\477)"), "/477");
  EXPECT_EQ(Unescape(R"(\05)"), "05");
  EXPECT_EQ(Unescape(R"(end\)"), R"(end\)");
}

TEST(OptionText, LowersSplitAtColonsThatAreNotEscaped) {
  using List = std::vector<std::string>;
  EXPECT_EQ(SplitLowers("/a:/b:c"), (List{"/a", "/b", "c"}));
  EXPECT_EQ(SplitLowers(R"(/a\:b:/c\,d)"), (List{"/a:b", "/c,d"}));
  EXPECT_EQ(SplitLowers(R"(/a\\:/b)"), (List{R"(/a\)", "/b"}));
  EXPECT_EQ(SplitLowers(":/a:"), (List{"/a"}));
  EXPECT_EQ(SplitLowers(""), List{});
}

TEST(OptionText, AnEmptyLayerInTheMiddleIsRefused) {
  EXPECT_EQ(SplitLowers("/a::/b"), std::nullopt);
  EXPECT_EQ(SplitLowers("::/b"), std::nullopt);
  EXPECT_EQ(SplitLowers("/a::"), std::nullopt);
}

TEST(OptionText, FiveHundredLowersAreAllKept) {
  std::string raw;
  for (int i = 0; i < 500; ++i) raw += (i ? ":l/" : "l/") + std::to_string(i);
  const auto lowers = SplitLowers(raw);
  ASSERT_TRUE(lowers);
  ASSERT_EQ(lowers->size(), 500u);
  EXPECT_EQ(lowers->front(), "l/0");
  EXPECT_EQ(lowers->back(), "l/499");
}

}  // namespace
}  // namespace plyfs
