// tar_test.cc: entries survive the way into a tar and out of it, byte for byte, and others read the same.
// Not here: which entries a layer has (layer_writer_test.cc).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/base/unique_fd.h"
#include "fs/oci/tar_reader.h"
#include "fs/oci/tar_writer.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/oci/layer_fixture.h"

namespace plyfs::test {
namespace {

// The tar of one entry with content `data`.
std::string TarOf(const TarEntry& entry, const std::string& data = "") {
  const TempDir dir;
  WriteFile(dir / "tar", "");
  const UniqueFd fd(::open((dir / "tar").c_str(), O_RDWR | O_CLOEXEC));
  LayerStream stream(fd.get(), LayerCompression::kNone);
  TarWriter writer(stream);
  EXPECT_TRUE(writer.Header(entry)) << writer.error();
  EXPECT_TRUE(data.empty() || writer.Data(data)) << writer.error();
  EXPECT_TRUE(writer.Finish() && stream.Finish()) << writer.error();
  return ReadFile(dir / "tar");
}

TarEntry EntryIn(const std::string& tar) {
  const TempDir dir;
  WriteFile(dir / "tar", tar);
  const UniqueFd fd(::open((dir / "tar").c_str(), O_RDONLY | O_CLOEXEC));
  TarReader reader(fd.get());
  TarEntry entry;
  EXPECT_EQ(reader.Next(&entry), TarReader::Status::kSome) << reader.error();
  return entry;
}

struct NameCase {
  const char* name;
  std::string path;
};
const NameCase kNameCases[] = {
    {"Plain", "a/b"},
    {"Of100Bytes", std::string(100, 'x')},
    {"Of101Bytes", std::string(101, 'x')},
    {"Of255Bytes", std::string(255, 'x')},
    {"ThatFitsIntoThePrefix", std::string(150, 'p') + "/" + std::string(90, 'x')},
    {"OfThousandsOfBytes", std::string(250, 'a') + "/" + std::string(250, 'b') + "/" + std::string(250, 'c')},
    {"Utf8", "gr\xc3\xbc\xc3\x9f" "e"},
    {"DecomposedUtf8", "e\xcc\x81"},
    {"InvalidUtf8", "bad\xff\xfe\xc3("},
    {"LongInvalidUtf8", std::string(200, 'x') + "\xff"},
    {"Newline", "new\nline"},
    {"ControlCharacters", std::string("\x01\x1b[31m\x7f")},
    {"SpacesAndQuotes", " '\"\\ "},
    {"EqualsAndPercent", "a=b%3Dc"},
};
class NameSurvives : public testing::TestWithParam<NameCase> {};

TEST_P(NameSurvives, AsAPath) {
  EXPECT_EQ(EntryIn(TarOf({.path = GetParam().path, .mode = S_IFREG | 0644})).path, GetParam().path);
}
TEST_P(NameSurvives, AsATarget) {
  const std::string& name = GetParam().path;
  EXPECT_EQ(EntryIn(TarOf({.path = "s", .mode = S_IFLNK | 0777, .link = name})).link, name);
  const TarEntry link = EntryIn(TarOf({.path = "h", .mode = S_IFREG | 0644, .is_hard_link = true, .link = name}));
  EXPECT_TRUE(link.is_hard_link);
  EXPECT_EQ(link.link, name);
}
TEST_P(NameSurvives, WhateverTheLocale) {
  const std::string before = TarOf({.path = GetParam().path, .mode = S_IFREG | 0644});
  const locale_t utf8 = ::newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
  ASSERT_NE(utf8, nullptr);
  const locale_t old = ::uselocale(utf8);
  EXPECT_EQ(TarOf({.path = GetParam().path, .mode = S_IFREG | 0644}), before);
  EXPECT_EQ(EntryIn(before).path, GetParam().path);
  ::uselocale(old);
  ::freelocale(utf8);
}
// GNU tar and Python read other bytes than libarchive when a header is not as it should be.
TEST_P(NameSurvives, InGnuTarAndPython) {
  const TempDir dir;
  WriteFile(dir / "tar", TarOf({.path = GetParam().path, .mode = S_IFREG | 0644, .size = 3}, "abc"));
  const ProgramResult gnu = RunProgram({"tar", "--null", "--quoting-style=literal", "-tf", dir / "tar"});
  EXPECT_EQ(gnu.exit_code, 0) << gnu.err;
  EXPECT_EQ(gnu.out, GetParam().path + "\n");
  const ProgramResult python = RunProgram(
      {"python3", "-c",
       "import os, sys, tarfile\n"
       "for member in tarfile.open(sys.argv[1]): os.write(1, os.fsencode(member.name) + b'\\n')",
       dir / "tar"});
  EXPECT_EQ(python.out, GetParam().path + "\n") << python.err;
}
INSTANTIATE_TEST_SUITE_P(Names, NameSurvives, testing::ValuesIn(kNameCases),
                         [](const auto& row) { return std::string(row.param.name); });

struct TimeCase {
  const char* name;
  timespec time;
  timespec expected;
};
const TimeCase kTimeCases[] = {
    {"Seconds", {1700000000, 0}, {1700000000, 0}},
    {"Nanoseconds", {1700000000, 123456789}, {1700000000, 123456789}},
    {"OneNanosecond", {1700000000, 1}, {1700000000, 1}},
    {"TheEpoch", {0, 0}, {0, 0}},
    {"AfterTheEpoch", {0, 5}, {0, 5}},
    {"Before1970", {-1000, 0}, {-1000, 0}},
    {"Before1970WithNanoseconds", {-1000, 250000000}, {-1000, 250000000}},
    {"After2038", {5000000000, 7}, {5000000000, 7}},
    {"After2242", {9000000000, 0}, {9000000000, 0}},
};
class TimeSurvives : public testing::TestWithParam<TimeCase> {};
TEST_P(TimeSurvives, InTheTar) {
  const std::string tar = TarOf({.path = "f", .mode = S_IFREG | 0644, .mtime = GetParam().time});
  const timespec time = EntryIn(tar).mtime;
  EXPECT_EQ(time.tv_sec, GetParam().expected.tv_sec);
  EXPECT_EQ(time.tv_nsec, GetParam().expected.tv_nsec);

  const TempDir dir;
  WriteFile(dir / "tar", tar);
  ASSERT_EQ(RunProgram({"tar", "-C", dir.path(), "-xf", dir / "tar"}).exit_code, 0);
  const struct stat stat = Lstat(dir / "f");
  EXPECT_EQ(stat.st_mtim.tv_sec, GetParam().expected.tv_sec) << "GNU tar";
  EXPECT_EQ(stat.st_mtim.tv_nsec, GetParam().expected.tv_nsec) << "GNU tar";
}
INSTANTIATE_TEST_SUITE_P(Times, TimeSurvives, testing::ValuesIn(kTimeCases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(TarTest, NumbersBeyondTheFieldsOfAHeaderSurvive) {
  const TarEntry entry = EntryIn(TarOf({.path = "d", .mode = S_IFCHR | 0600, .uid = 4294967294u, .gid = 3000000000u, .rdev = makedev(4000, 1000000)}));
  EXPECT_EQ(entry.uid, 4294967294u);
  EXPECT_EQ(entry.gid, 3000000000u);
  EXPECT_EQ(entry.rdev, makedev(4000, 1000000));
}

TEST(TarTest, AttributesAreBinarySafeAndSorted) {
  const std::vector<TarXattr> xattrs = {
      {"security.capability", std::string("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)},
      {"user.empty", ""},
      {"user.equals=sign", "a=b"},
      {"user.newline", "a\nb\n"},
      {"user.percent%3D%25%20", "v"},
      {"user.\xff\xfe", std::string("\0\xff", 2)},
  };
  const std::string tar = TarOf({.path = "f", .mode = S_IFREG | 0644, .xattrs = xattrs});
  EXPECT_EQ(EntryIn(tar).xattrs, xattrs);
  EXPECT_EQ(tar.find("LIBARCHIVE"), std::string::npos);

  const TempDir dir;
  WriteFile(dir / "tar", tar);
  const ProgramResult gnu =
      RunProgram({"tar", "-C", dir.path(), "--xattrs", "--xattrs-include=*", "-xf", dir / "tar"});
  ASSERT_EQ(gnu.exit_code, 0) << gnu.err;
  for (const auto& [name, value] : xattrs) EXPECT_EQ(GetXattr(dir / "f", name), value) << name;
}

TEST(TarTest, APlainEntryHasNoExtendedHeader) {
  EXPECT_EQ(TarOf({.path = "f", .mode = S_IFREG | 0644, .uid = 1000, .mtime = {1700000000, 0}}).size(), 512u + 1024u);
}

TEST(TarTest, NamesForMessagesHoldNoControlCharacters) {
  EXPECT_EQ(Printable("a\x1b[31m\n\xff"), "a\\x1b[31m\\n\\xff");
  EXPECT_LT(Printable(std::string(100000, '\n')).size(), 1000u);
}

}  // namespace
}  // namespace plyfs::test
