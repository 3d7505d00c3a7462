// layer_writer_test.cc: which entries a layer has, their order, and that the same changes give the same bytes.
// Not here: the bytes of an entry (tar_test.cc), other readers (round_trip_test.cc).
#include "fs/oci/layer_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fs/base/unique_fd.h"
#include "fs/oci/tar_reader.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/oci/layer_fixture.h"

namespace plyfs::test {
namespace {

using Entries = std::vector<std::string>;

class LayerWriterTest : public testing::Test {
 protected:
  LayerWriterTest() {
    dir_.MakeDir("upper");
    dir_.MakeDir("lower");
  }
  std::string upper(const std::string& path = "") const { return dir_ / "upper" + path; }
  std::string lower(const std::string& path = "") const { return dir_ / "lower" + path; }
  Written WriteIt(LayerWriterOptions options = {}) const { return WriteUpper(upper(), lower(), std::move(options)); }
  // The entries with all their attributes.
  static std::vector<TarEntry> Read(const std::string& tar) {
    const TempDir dir;
    WriteFile(dir / "tar", tar);
    const UniqueFd fd(::open((dir / "tar").c_str(), O_RDONLY | O_CLOEXEC));
    TarReader reader(fd.get());
    std::vector<TarEntry> entries(1);
    while (reader.Next(&entries.back()) == TarReader::Status::kSome) entries.emplace_back();
    entries.pop_back();
    EXPECT_EQ(reader.error(), "");
    return entries;
  }

  TempDir dir_;
};

TEST_F(LayerWriterTest, NothingChangedIsAnEmptyTar) {
  const Written written = Write(*OpenUnion({lower()}), {});
  ASSERT_TRUE(written.ok) << written.error;
  EXPECT_EQ(written.bytes, std::string(1024, '\0'));
  EXPECT_EQ(written.summary.diff_id, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
  EXPECT_EQ(written.summary.digest, written.summary.diff_id);
  EXPECT_EQ(written.summary.entries, 0u);
}

TEST_F(LayerWriterTest, WhiteoutsComeBeforeTheirSiblingsAndChildrenBehindTheirDirectory) {
  for (const char* name : {"/gone", "/zgone"}) WriteFile(lower(name), "");
  MakeDirs(lower("/d"));
  WriteFile(lower("/d/gone"), "");
  for (const char* name : {"/gone", "/zgone"}) MakeWhiteout(upper(name));
  MakeDirs(upper("/d/e"));
  MakeWhiteout(upper("/d/gone"));
  for (const char* name : {"/a", "/d-", "/d/a", "/d/e/f"}) WriteFile(upper(name), "");
  EXPECT_EQ(EntriesOf(WriteIt().bytes), (Entries{"./ directory", ".wh.gone file", ".wh.zgone file", "a file", "d/ directory",
                                                 "d/.wh.gone file", "d/a file", "d/e/ directory", "d/e/f file", "d- file"}));
}

TEST_F(LayerWriterTest, AWhiteoutIsAnEmptyFileOfItsDirectorysTime) {
  MakeDirs(lower("/d"));
  WriteFile(lower("/d/gone"), "");
  MakeDirs(upper("/d"));
  MakeWhiteout(upper("/d/gone"));
  SetTimes(upper("/d"), 1600000000, 42);
  const std::vector<TarEntry> entries = Read(WriteIt().bytes);
  const TarEntry& whiteout = entries.back();
  EXPECT_EQ(whiteout.path, "d/.wh.gone");
  EXPECT_EQ(whiteout.mode, S_IFREG | 0u);
  EXPECT_EQ(whiteout.size, 0u);
  EXPECT_EQ(whiteout.mtime.tv_sec, 1600000000);
  EXPECT_EQ(whiteout.mtime.tv_nsec, 42);
  EXPECT_EQ(Read(WriteIt({.source_date_epoch = 1000}).bytes).back().mtime.tv_sec, 1000);
}

TEST_F(LayerWriterTest, AReplacedDirectoryIsOpaqueAndWhole) {
  MakeDirs(lower("/d/old"));
  MakeDirs(upper("/d/sub/deep"));
  MakeOpaque(upper("/d"));
  WriteFile(upper("/d/sub/f"), "");
  EXPECT_EQ(EntriesOf(WriteIt().bytes), (Entries{"./ directory", "d/ directory", "d/.wh..wh..opq file", "d/sub/ directory",
                                                 "d/sub/deep/ directory", "d/sub/f file"}));
}

TEST_F(LayerWriterTest, ADirectoryInThePlaceOfAFileIsOpaque) {
  WriteFile(lower("/x"), "");
  MakeDirs(upper("/x"));
  WriteFile(upper("/x/f"), "");
  EXPECT_EQ(EntriesOf(WriteIt().bytes), (Entries{"./ directory", "x/ directory", "x/.wh..wh..opq file", "x/f file"}));
}

// Engines know no redirects: what a renamed directory shows from the lower is in the layer.
TEST_F(LayerWriterTest, ARenamedDirectoryIsWholeWithoutBeingOpaque) {
  MakeDirs(lower("/old/sub"));
  WriteFile(lower("/old/sub/f"), "content");
  WriteFile(lower("/old/gone"), "");
  MakeDirs(upper("/new"));
  ASSERT_EQ(SetXattr(upper("/new"), "trusted.overlay.redirect", "/old"), 0);
  MakeWhiteout(upper("/new/gone"));
  MakeWhiteout(upper("/old"));
  const std::vector<Change> changes = {
      {.kind = ChangeKind::kAdded, .path = "/new", .type = S_IFDIR, .renamed_from = "/old"},
      {.kind = ChangeKind::kDeleted, .path = "/new/gone"},
      {.kind = ChangeKind::kDeleted, .path = "/old"},
  };
  const Written written = Write(*OpenUnion({upper(), lower()}), changes);
  EXPECT_EQ(EntriesOf(written.bytes), (Entries{"./ directory", ".wh.old file", "new/ directory", "new/sub/ directory", "new/sub/f file"}));
}

TEST_F(LayerWriterTest, LinksLeadToTheFirstNameOfTheSameLayer) {
  MakeDirs(upper("/d"));
  WriteFile(upper("/z"), "content");
  MakeHardLink(upper("/z"), upper("/d/a"));
  MakeHardLink(upper("/z"), upper("/b"));
  MakeSymlink("target", upper("/s1"));
  MakeHardLink(upper("/s1"), upper("/s2"));
  WriteFile(upper("/other"), "one name in the layer, another outside");
  MakeHardLink(upper("/other"), dir_ / "elsewhere");
  const Written written = WriteIt();
  EXPECT_EQ(EntriesOf(written.bytes), (Entries{"./ directory", "b file", "d/ directory", "d/a link -> b", "other file",
                                               "s1 symlink -> target", "s2 link -> s1", "z link -> b"}));
  EXPECT_EQ(written.summary.entries, 8u);
}

TEST_F(LayerWriterTest, WhatALayerCannotHoldIsLeftOutWithAWarning) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", upper("/socket").c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  WriteFile(upper("/.wh.name"), "not a whiteout");
  WriteFile(upper("/f"), "");
  const Written written = WriteIt();
  EXPECT_EQ(EntriesOf(written.bytes), (Entries{"./ directory", "f file"}));
  ASSERT_EQ(written.warnings.size(), 2u);
  EXPECT_NE(written.warnings[0].find(".wh.name"), std::string::npos);
  EXPECT_NE(written.warnings[1].find("socket"), std::string::npos);
}

TEST_F(LayerWriterTest, NoTimeIsLaterThanTheSourceDateEpoch) {
  WriteFile(upper("/old"), "");
  WriteFile(upper("/new"), "");
  SetTimes(upper("/old"), 1000, 5);
  SetTimes(upper("/new"), 3000, 5);
  for (const TarEntry& entry : Read(WriteIt({.source_date_epoch = 2000}).bytes)) {
    const bool old = entry.path == "old";
    EXPECT_EQ(entry.mtime.tv_sec, old ? 1000 : 2000) << entry.path;
    EXPECT_EQ(entry.mtime.tv_nsec, old ? 5 : 0) << entry.path;
  }
}

TEST_F(LayerWriterTest, TheSameChangesGiveTheSameBytes) {
  const auto build = [&](const std::string& root, bool backwards) {
    std::vector<std::string> names;
    for (int i = 0; i < 50; ++i) names.push_back("/f" + std::to_string(i));
    if (backwards) std::reverse(names.begin(), names.end());
    for (const std::string& name : names) {
      WriteFile(root + name, name);
      SetXattr(root + name, backwards ? "user.a" : "user.b", "v");
      SetXattr(root + name, backwards ? "user.b" : "user.a", "v");
      SetTimes(root + name, 1700000000, 99);
    }
    MakeHardLink(root + "/f7", root + "/linked");
    SetTimes(root, 1700000000, 98);
  };
  build(upper(), false);
  const std::string other = dir_.MakeDir("other");
  build(other, true);
  for (const LayerCompression compression : {LayerCompression::kNone, LayerCompression::kGzip, LayerCompression::kZstd}) {
    const Written first = WriteUpper(upper(), "", {.compression = compression});
    const Written second = WriteUpper(other, "", {.compression = compression});
    EXPECT_EQ(first.bytes, second.bytes);
    EXPECT_EQ(first.summary.diff_id, second.summary.diff_id);
    EXPECT_EQ(first.summary.digest, second.summary.digest);
  }
}

TEST_F(LayerWriterTest, DigestsAreThoseOfTheTarAndOfWhatIsWritten) {
  WriteFile(upper("/f"), std::string(100000, 'x'));
  const auto sha = [&](const std::string& command) { return RunProgram({"sh", "-c", command + " | sha256sum"}).out.substr(0, 64); };
  const std::pair<LayerCompression, const char*> kinds[] = {
      {LayerCompression::kNone, "cat "}, {LayerCompression::kGzip, "gzip -dc <"}, {LayerCompression::kZstd, "zstd -dc <"}};
  for (const auto& [compression, decompress] : kinds) {
    const Written written = WriteIt({.compression = compression});
    WriteFile(dir_ / "layer", written.bytes);
    EXPECT_EQ(written.summary.digest, "sha256:" + sha("cat " + (dir_ / "layer")));
    EXPECT_EQ(written.summary.diff_id, "sha256:" + sha(decompress + (dir_ / "layer")));
    EXPECT_EQ(written.summary.written_bytes, written.bytes.size());
    EXPECT_GE(written.summary.tar_bytes, 100000u);
  }
}

TEST_F(LayerWriterTest, HolesAreWrittenAsZerosWithoutReadingThem) {
  WriteFile(upper("/sparse"), "");
  const UniqueFd fd(::open(upper("/sparse").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "middle", 6, 40 << 20), 6);
  ASSERT_EQ(::ftruncate(fd.get(), 100 << 20), 0);
  const std::unique_ptr<Overlay> content = OpenUnion({upper()});
  const Written written = Write(*content, ChangesOf(upper(), ""), {.compression = LayerCompression::kZstd});
  ASSERT_TRUE(written.ok) << written.error;
  const TempDir out;
  ASSERT_TRUE(Apply(written.bytes, out.path()).ok);
  EXPECT_TRUE(ReadFile(out / "sparse") == ReadFile(upper("/sparse")));
  EXPECT_LT(Lstat(out / "sparse").st_blocks * 512, 1 << 20) << "holes again";
}

TEST_F(LayerWriterTest, AFileThatShrinksIsFilledWithZerosAndReported) {
  WriteFile(upper("/f"), std::string(3 << 20, 'x'));
  WriteFile(upper("/g"), "behind it");
  const std::unique_ptr<Overlay> content = OpenUnion({upper()});
  LayerWriterOptions options;
  // After its header, before its end.
  options.progress = [&, cut = false](const LayerProgress& progress) mutable {
    if (progress.bytes == 0 || std::exchange(cut, true)) return;
    EXPECT_EQ(::truncate(upper("/f").c_str(), 2 << 20), 0);
  };
  const Written written = Write(*content, ChangesOf(upper(), ""), options);
  ASSERT_TRUE(written.ok) << written.error;
  EXPECT_EQ(written.summary.changed_files, 1u);
  ASSERT_EQ(written.warnings.size(), 1u);
  EXPECT_NE(written.warnings[0].find("'f' has changed"), std::string::npos);
  const TempDir out;
  ASSERT_TRUE(Apply(written.bytes, out.path()).ok);
  EXPECT_EQ(Lstat(out / "f").st_size, 3 << 20);
  EXPECT_EQ(ReadFile(out / "g"), "behind it");
}

TEST_F(LayerWriterTest, WhatIsGoneMeanwhileIsHiddenIfItWasBelow) {
  const std::vector<Change> changes = {{.kind = ChangeKind::kAdded, .path = "/added", .type = S_IFREG},
                                       {.kind = ChangeKind::kChanged, .path = "/changed", .type = S_IFREG}};
  const Written written = Write(*OpenUnion({upper()}), changes);
  EXPECT_EQ(EntriesOf(written.bytes), (Entries{"./ directory", ".wh.changed file"}));
  EXPECT_EQ(written.summary.changed_files, 2u);
}

TEST_F(LayerWriterTest, AFullDiskIsAnError) {
  WriteFile(upper("/f"), std::string(1 << 20, 'x'));
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const std::unique_ptr<Overlay> content = OpenUnion({upper()});
  for (const LayerCompression compression : {LayerCompression::kNone, LayerCompression::kGzip}) {
    LayerSummary summary;
    LayerError error;
    EXPECT_FALSE(WriteLayer(*content, ChangesOf(upper(), ""), full.get(), {.compression = compression}, &summary, &error));
    EXPECT_NE(error.message.find("No space left"), std::string::npos) << error.message;
  }
}

TEST_F(LayerWriterTest, ReferencesAreGivenBack) {
  MakeDirs(upper("/a/b/c"));
  for (int i = 0; i < 20; ++i) WriteFile(upper("/a/b/f" + std::to_string(i)), "");
  MakeHardLink(upper("/a/b/f1"), upper("/a/b/link"));
  MakeHardLink(upper("/a/b/f2"), dir_ / "outside of the layer");
  const std::unique_ptr<Overlay> content = OpenUnion({upper()});
  ASSERT_TRUE(Write(*content, ChangesOf(upper(), "")).ok);
  EXPECT_EQ(content->Counters().nodes, 1u);
}

}  // namespace
}  // namespace plyfs::test
