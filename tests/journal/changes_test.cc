// changes_test.cc: for a sequence of operations, the list of changes, against the lowers and since a
// checkpoint; the same list after a remount. Without FUSE.
// Not here: random sequences and kills (tests/crash), damaged files (damage_test.cc).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/harness/file_ops.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

// A union, changed by paths ("d/f").
class Tree : public Union {
 public:
  explicit Tree(const UnionOptions& options = {}) : Union(options) {
    for (const char* dir : {"/d", "/d/e", "/m"}) fs::create_directory(layer(1) + dir);
    for (const char* file : {"/a", "/b", "/d/f", "/d/e/g", "/m/x"}) WriteHostFile(layer(1) + file, "lower");
    for (const char* name : {"/h1", "/h2", "/d/h3"}) {
      if (std::string(name) == "/h1") WriteHostFile(layer(1) + name, "linked");
      else fs::create_hard_link(layer(1) + "/h1", layer(1) + name);
    }
    Open();
  }

  void Create(const std::string& path, mode_t mode = S_IFREG | 0644) {
    Ok(path, overlay().Mknod(Dir(path), Component(Base(path)), {.mode = mode}, {}).error());
  }
  void Mkdir(const std::string& path) { Ok(path, overlay().Mkdir(Dir(path), Component(Base(path)), {.mode = 0755}, {}).error()); }
  void Symlink(const std::string& path) { Ok(path, overlay().Symlink(Dir(path), Component(Base(path)), "to", {}).error()); }
  void Write(const std::string& path) { Ok(path, overlay().Write(At(path), std::string_view("new"), 0, {}).error()); }
  void Remove(const std::string& path) {
    At(path);  // the kernel looks it up first
    Ok(path, overlay().Unlink(Dir(path), Component(Base(path))));
  }
  void Rmdir(const std::string& path) {
    At(path);
    Ok(path, overlay().Rmdir(Dir(path), Component(Base(path))));
  }
  void Rename(const std::string& from, const std::string& to, unsigned flags = 0) {
    Ok(from, overlay().Rename(Dir(from), Component(Base(from)), Dir(to), Component(Base(to)), flags));
  }
  void Link(const std::string& from, const std::string& to) {
    Ok(to, overlay().Link(At(from), Dir(to), Component(Base(to))).error());
  }
  void Chmod(const std::string& path, mode_t mode) { Ok(path, overlay().SetAttr(At(path), {.mode = mode}, {}).error()); }
  void Checkpoint(const std::string& name) { Ok(name, overlay().CreateCheckpoint(name)); }

  // "A /path", "c" for a directory that is listed only for what is in it, then "<- /from" and "replaced".
  Lines Listed(const std::string& since = "") {
    Result<std::vector<Change>> changes = overlay().Changes(since);
    EXPECT_EQ(changes.error().value(), 0);
    Lines lines;
    if (!changes.ok()) return lines;
    for (const Change& change : *changes) {
      std::string line = std::string(1, change.implied ? 'c' : static_cast<char>(change.kind)) + " " + change.path;
      if (!change.renamed_from.empty()) line += " <- " + change.renamed_from;
      if (change.replaced) line += " replaced";
      lines.push_back(std::move(line));
    }
    return lines;
  }
  Lines Findings(bool repair = false) {
    Lines lines;
    const Result<std::vector<FsckFinding>> findings = overlay().CheckJournal(repair);
    EXPECT_EQ(findings.error().value(), 0);
    if (!findings.ok()) return lines;
    for (const FsckFinding& finding : *findings) lines.push_back(finding.kind + " " + finding.path);
    return lines;
  }

 private:
  static std::string Base(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  NodeId Dir(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? NodeId::kRoot : At(path.substr(0, slash));
  }
  static void Ok(const std::string& what, Errno error) { EXPECT_EQ(error.value(), 0) << what; }
};

struct Case {
  const char* name;
  void (*before)(Tree&);  // until the checkpoint
  void (*after)(Tree&);
  Lines from_lowers;
  Lines since;
};

void Nothing(Tree&) {}

const Case kCases[] = {
    {"NothingAtAll", Nothing, Nothing, {}, {}},
    {"AFileIsMade", Nothing, [](Tree& t) { t.Create("n"); }, {"A /n"}, {"A /n"}},
    {"AFileIsWritten", Nothing, [](Tree& t) { t.Write("d/f"); }, {"c /d", "C /d/f"}, {"c /d", "C /d/f"}},
    {"AFileIsWrittenAgainAfterTheCheckpoint", [](Tree& t) { t.Write("a"); t.Write("b"); },
     [](Tree& t) { t.Write("a"); }, {"C /a", "C /b"}, {"C /a"}},
    {"AFileIsRemoved", Nothing, [](Tree& t) { t.Remove("a"); }, {"D /a"}, {"D /a"}},
    {"AFileIsMadeAndRemoved", Nothing, [](Tree& t) { t.Create("n"); t.Remove("n"); }, {}, {}},
    {"AFileIsMadeBeforeAndRemovedAfter", [](Tree& t) { t.Create("n"); }, [](Tree& t) { t.Remove("n"); }, {}, {"D /n"}},
    {"AFileIsRemovedBeforeAndMadeAfter", [](Tree& t) { t.Remove("a"); }, [](Tree& t) { t.Create("a"); }, {"C /a"}, {"A /a"}},
    {"AFileIsReplacedByADirectory", Nothing, [](Tree& t) { t.Remove("a"); t.Mkdir("a"); }, {"C /a replaced"}, {"C /a replaced"}},
    {"AFileIsRenamed", Nothing, [](Tree& t) { t.Rename("a", "z"); }, {"D /a", "A /z <- /a"}, {"D /a", "A /z <- /a"}},
    {"ARenameChain", Nothing, [](Tree& t) { t.Rename("a", "y"); t.Rename("y", "d/z"); },
     {"D /a", "c /d", "A /d/z <- /a"}, {"D /a", "c /d", "A /d/z <- /a"}},
    {"AFileIsRenamedThereAndBack", Nothing, [](Tree& t) { t.Rename("a", "y"); t.Rename("y", "a"); }, {"C /a"}, {"C /a"}},
    {"AFileIsRenamedOverAnother", Nothing, [](Tree& t) { t.Rename("a", "b"); }, {"D /a", "C /b <- /a"}, {"D /a", "C /b <- /a"}},
    {"FilesAreExchanged", Nothing, [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); },
     {"C /a <- /b", "C /b <- /a"}, {"C /a <- /b", "C /b <- /a"}},
    {"ARenamedFileIsExchanged", Nothing, [](Tree& t) { t.Rename("a", "y"); t.Rename("y", "b", RENAME_EXCHANGE); },
     {"D /a", "C /b <- /a", "A /y <- /b"}, {"D /a", "C /b <- /a", "A /y <- /b"}},
    {"AFileIsRenamedBeforeAndExchangedAfter", [](Tree& t) { t.Rename("a", "y"); },
     [](Tree& t) { t.Rename("y", "b", RENAME_EXCHANGE); }, {"D /a", "C /b <- /a", "A /y <- /b"}, {"C /b <- /y", "C /y <- /b"}},
    {"ARenameChainOverTheCheckpoint", [](Tree& t) { t.Rename("a", "y"); }, [](Tree& t) { t.Rename("y", "d/z"); },
     {"D /a", "c /d", "A /d/z <- /a"}, {"c /d", "A /d/z <- /y", "D /y"}},
    {"AFileIsRenamedThereBeforeAndBackAfter", [](Tree& t) { t.Rename("a", "y"); }, [](Tree& t) { t.Rename("y", "a"); },
     {"C /a"}, {"A /a <- /y", "D /y"}},
    {"FilesAreExchangedTwice", Nothing, [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); t.Rename("a", "b", RENAME_EXCHANGE); },
     {"C /a", "C /b"}, {"C /a", "C /b"}},
    {"FilesAreExchangedInARing", [](Tree& t) { t.Create("n"); },
     [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); t.Rename("n", "b", RENAME_EXCHANGE); },
     {"C /a <- /b", "C /b", "A /n <- /a"}, {"C /a <- /b", "C /b <- /n", "C /n <- /a"}},
    {"AnExchangeAndBackOverTheCheckpoint", [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); },
     [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); }, {"C /a", "C /b"}, {"C /a <- /b", "C /b <- /a"}},
    {"ADirectoryAndAFileAreExchanged", Nothing, [](Tree& t) { t.Rename("m", "a", RENAME_EXCHANGE); },
     {"C /a <- /m replaced", "C /m <- /a"}, {"C /a <- /m replaced", "C /m <- /a"}},
    {"ARenamedDirectoryAndARenamedFileAreExchanged", Nothing,
     [](Tree& t) { t.Rename("m", "n"); t.Rename("a", "y"); t.Rename("n", "y", RENAME_EXCHANGE); t.Write("y/x"); },
     {"D /a", "D /m", "A /n <- /a", "A /y <- /m", "C /y/x"}, {"D /a", "D /m", "A /n <- /a", "A /y <- /m", "C /y/x"}},
    {"ARenameOverAnExchangedFile", [](Tree& t) { t.Create("n"); },
     [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); t.Rename("n", "b"); },
     {"C /a <- /b", "C /b"}, {"C /a <- /b", "C /b <- /n", "D /n"}},
    {"AnExchangedFileIsRenamedAway", Nothing, [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); t.Rename("b", "z"); },
     {"C /a <- /b", "D /b", "A /z <- /a"}, {"C /a <- /b", "D /b", "A /z <- /a"}},
    {"AnExchangedFileIsRemovedAndMadeAnew", Nothing,
     [](Tree& t) { t.Rename("a", "b", RENAME_EXCHANGE); t.Remove("b"); t.Create("b"); }, {"C /a <- /b", "C /b"}, {"C /a <- /b", "C /b"}},
    {"NamesOfALinkedFileAreExchanged", [](Tree& t) { t.Write("h1"); }, [](Tree& t) { t.Rename("h2", "a", RENAME_EXCHANGE); },
     {"C /a <- /h2", "c /d", "C /d/h3", "C /h1", "C /h2 <- /a"}, {"C /a <- /h2", "c /d", "C /d/h3", "C /h1", "C /h2 <- /a"}},
    {"ANameOfALinkedFileIsRenamed", [](Tree& t) { t.Write("h1"); }, [](Tree& t) { t.Rename("h2", "z"); },
     {"c /d", "C /d/h3", "C /h1", "D /h2", "A /z <- /h2"}, {"c /d", "C /d/h3", "C /h1", "D /h2", "A /z <- /h2"}},
    {"AnUpperDirectoryIsRenamed", [](Tree& t) { t.Mkdir("n"); t.Create("n/f"); }, [](Tree& t) { t.Rename("n", "o"); t.Create("o/g"); },
     {"A /o", "A /o/f", "A /o/g"}, {"D /n", "A /o <- /n", "A /o/g"}},
    {"AMergedDirectoryIsRenamed", [](Tree& t) { t.Write("d/f"); }, [](Tree& t) { t.Rename("d", "z"); t.Write("z/e/g"); },
     {"D /d", "A /z <- /d", "c /z/e", "C /z/e/g", "C /z/f"}, {"D /d", "A /z <- /d", "c /z/e", "C /z/e/g"}},
    {"ADirectoryIsMadeAnew", Nothing, [](Tree& t) { t.Remove("m/x"); t.Rmdir("m"); t.Mkdir("m"); t.Create("m/new"); },
     {"C /m replaced", "A /m/new"}, {"C /m replaced", "A /m/new"}},
    {"AnUpperDirectoryIsMadeAnew", [](Tree& t) { t.Mkdir("n"); t.Create("n/f"); },
     [](Tree& t) { ::usleep(20'000); t.Remove("n/f"); t.Rmdir("n"); t.Mkdir("n"); }, {"A /n"}, {"C /n replaced"}},
    {"ADirectoryIsRemoved", Nothing, [](Tree& t) { t.Remove("m/x"); t.Rmdir("m"); }, {"D /m"}, {"D /m"}},
    {"ASymlinkIsMade", Nothing, [](Tree& t) { t.Symlink("m/s"); }, {"c /m", "A /m/s"}, {"c /m", "A /m/s"}},
    {"ModesChange", Nothing, [](Tree& t) { t.Chmod("d/e", 0700); t.Chmod("", 0711); },
     {"C /", "c /d", "C /d/e"}, {"C /", "c /d", "C /d/e"}},
    {"OneNameOfALowerFileIsWritten", Nothing, [](Tree& t) { t.Write("h1"); },
     {"c /d", "C /d/h3", "C /h1", "C /h2"}, {"c /d", "C /d/h3", "C /h1", "C /h2"}},
    {"ANameOfALowerFileIsWrittenAndGoes", Nothing, [](Tree& t) { t.Write("h1"); t.Remove("h1"); },
     {"c /d", "C /d/h3", "D /h1", "C /h2"}, {"c /d", "C /d/h3", "D /h1", "C /h2"}},
    {"AnUpperFileWithTwoNamesIsWritten", [](Tree& t) { t.Create("n"); t.Link("n", "d/o"); }, [](Tree& t) { t.Write("n"); },
     {"c /d", "A /d/o", "A /n"}, {"c /d", "C /d/o", "C /n"}},
    {"ALinkGoesAgain", Nothing, [](Tree& t) { t.Create("n"); t.Link("n", "o"); t.Remove("n"); t.Remove("o"); }, {}, {}},
    {"NamesThatSortOddly", Nothing, [](Tree& t) { t.Mkdir("n"); t.Create("n/f"); t.Create("n-"); t.Create("n.x"); },
     {"A /n", "A /n/f", "A /n-", "A /n.x"}, {"A /n", "A /n/f", "A /n-", "A /n.x"}},
};

class ChangesTest : public testing::TestWithParam<std::tuple<Whiteouts, Case>> {};
INSTANTIATE_TEST_SUITE_P(All, ChangesTest,
                         testing::Combine(testing::Values(Whiteouts::kDevice, Whiteouts::kWhFile), testing::ValuesIn(kCases)),
                         [](const auto& row) {
                           return std::string(std::get<1>(row.param).name) +
                                  (std::get<0>(row.param) == Whiteouts::kDevice ? "" : "WhFiles");
                         });

TEST_P(ChangesTest, AreListedOnceAndOverARemount) {
  const auto& [whiteouts, c] = GetParam();
  Tree tree({.whiteouts = whiteouts});
  c.before(tree);
  tree.Checkpoint("one");
  EXPECT_EQ(tree.Listed("one"), Lines());
  c.after(tree);
  EXPECT_EQ(tree.Listed(), c.from_lowers);
  EXPECT_EQ(tree.Listed("one"), c.since);
  EXPECT_EQ(tree.Findings(), Lines());
  tree.Open();
  EXPECT_EQ(tree.Findings(), Lines());
  EXPECT_EQ(tree.Listed(), c.from_lowers) << "after a remount";
  EXPECT_EQ(tree.Listed("one"), c.since) << "after a remount";
  tree.Checkpoint("two");
  EXPECT_EQ(tree.Listed("two"), Lines());
  EXPECT_EQ(tree.Listed("one"), c.since) << "with a later checkpoint";
  ASSERT_TRUE(tree.overlay().DeleteCheckpoint("two").ok());
  EXPECT_EQ(tree.Listed("one"), c.since) << "after that has been deleted";
  ASSERT_TRUE(tree.overlay().DeleteCheckpoint("one").ok());
  EXPECT_EQ(tree.Listed(), c.from_lowers);
  EXPECT_EQ(tree.overlay().Changes("one").error().value(), ENOENT);
}

// The journal is gone: what the upper alone can tell is the same.
TEST_P(ChangesTest, AreTheSameFromTheUpperAlone) {
  const auto& [whiteouts, c] = GetParam();
  Tree tree({.whiteouts = whiteouts});
  c.before(tree);
  c.after(tree);
  tree.Close();
  fs::remove_all(tree.work() + "/plyfs/journal");
  tree.Open();
  Lines expected = c.from_lowers;
  // An upper does not tell where a file was, nor that a merged directory or the root was touched and is the same.
  for (std::string& line : expected) {
    const size_t from = line.find(" <-");
    if (from != std::string::npos) line.erase(from, line.find(" replaced") - from);
  }
  std::erase(expected, "C /");
  Lines listed = tree.Listed();
  EXPECT_EQ(listed, expected);
  EXPECT_EQ(tree.Findings(), Lines());
}

TEST(Changes, CheckpointsHaveNames) {
  Tree tree;
  tree.Checkpoint("one");
  EXPECT_EQ(tree.overlay().CreateCheckpoint("one").value(), EEXIST);
  for (const std::string name : {"", "a b", "a/b", "\xff"}) EXPECT_EQ(tree.overlay().CreateCheckpoint(name).value(), EINVAL);
  EXPECT_EQ(tree.overlay().CreateCheckpoint(std::string(129, 'x')).value(), EINVAL);
  EXPECT_EQ(tree.overlay().DeleteCheckpoint("two").value(), ENOENT);
  tree.Checkpoint(std::string(128, 'x'));
  tree.Open();
  const Result<std::vector<plyfs::Checkpoint>> all = tree.overlay().Checkpoints();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->front().name, "one");
}

TEST(Changes, AReadOnlyUnionHasNoJournal) {
  Union u({.writable = false});
  u.Open();
  EXPECT_EQ(u.overlay().Changes().error().value(), EOPNOTSUPP);
}

TEST(Changes, AnUnnamedFileIsNoneUntilItHasAName) {
  Tree tree;
  const Result<Entry> file = tree.overlay().Tmpfile(NodeId::kRoot, {.mode = 0600}, {});
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(tree.overlay().Write(file->id, std::string_view("x"), 0, {}).ok());
  EXPECT_EQ(tree.Listed(), Lines());
  const std::string name = "named";
  ASSERT_TRUE(tree.overlay().Link(file->id, NodeId::kRoot, Component(name)).ok());
  EXPECT_EQ(tree.Listed(), Lines{"A /named"});
}

TEST(Changes, EventsComeInOrder) {
  Tree tree;
  tree.Create("n");
  const uint64_t start = tree.overlay().GetJournalStats().sequence;
  tree.Rename("n", "o");
  tree.Write("a");
  tree.Write("a");
  tree.Remove("o");
  tree.Mkdir("x");
  const Result<std::vector<ChangeEvent>> events = tree.overlay().Events(start, 100, 0);
  ASSERT_TRUE(events.ok());
  std::string text;
  uint64_t last = start;
  for (const ChangeEvent& event : *events) {
    EXPECT_GT(event.sequence, last);
    last = event.sequence;
    text += std::to_string(static_cast<int>(event.kind)) + event.path + (event.from.empty() ? "" : "<" + event.from) + " ";
  }
  EXPECT_EQ(text, "4/o</n 2/a 3/o 1/x ");
  EXPECT_TRUE(tree.overlay().Events(last, 100, 10)->empty());
  EXPECT_EQ(tree.overlay().Events(1, 100, 0)->front().kind, ChangeEvent::Kind::kLost);
}

TEST(Changes, NumbersAndLinkCountsOutliveTheMount) {
  Tree tree;
  tree.Write("a");
  tree.Write("h2");
  tree.Remove("h1");
  tree.Rename("a", "d/z");
  const std::string live = Snapshot(tree, Compare::kLive);
  tree.Open();
  EXPECT_EQ(Snapshot(tree, Compare::kLive), live);
}

TEST(Changes, AJournalOfVersionOneIsReadAndGoesOnAsVersionThree) {
  Tree tree;
  tree.Create("n");
  tree.Close();
  const std::string path = tree.work() + "/plyfs/journal/tail";
  std::string bytes = ReadFile(path);
  ASSERT_EQ(bytes[0], '3');
  bytes[0] = '1';
  WriteHostFile(path, bytes);
  tree.Open();
  EXPECT_EQ(tree.Findings(), Lines());
  EXPECT_EQ(tree.Listed(), Lines{"A /n"});
  tree.Create("o");
  tree.Close();
  EXPECT_EQ(ReadFile(path)[0], '3');
  tree.Open();
  EXPECT_EQ(tree.Listed(), (Lines{"A /n", "A /o"}));
}

// With and without a rename, that is judged as the list goes on and before it.
TEST(Changes, AListEndsWhereItsReaderHasEnough) {
  for (const bool renames : {false, true}) {
    Tree tree;
    if (renames) tree.Rename("d", "e");
    for (const char* dir : {"p", "p/empty", "p/q", "p/q/r"}) tree.Mkdir(dir);
    tree.Checkpoint("one");
    tree.Mkdir("p/empty/gone");
    tree.Rmdir("p/empty/gone");
    for (const char* file : {"p/a", "p/q/r/b", "p/q/r/c", "p/z"}) tree.Create(file);
    const Lines whole = tree.Listed("one");
    EXPECT_EQ(whole, (Lines{"c /p", "A /p/a", "C /p/empty", "c /p/q", "c /p/q/r", "A /p/q/r/b", "A /p/q/r/c", "A /p/z"}));
    for (size_t enough = 1; enough <= whole.size(); ++enough) {
      size_t seen = 0;
      EXPECT_TRUE(tree.overlay().ForEachChange("one", [&](const Change&) { return ++seen < enough; }).ok());
      EXPECT_EQ(seen, enough);
    }
  }
}

TEST(Changes, ADirectoryWithANewRedirectIsAnother) {
  Tree tree;
  tree.Remove("m/x");
  tree.Rmdir("m");
  tree.Rename("d", "m");
  EXPECT_EQ(tree.Listed(), (Lines{"D /d", "C /m <- /d replaced"}));
}

// --- an upper that was edited while nothing was mounted

TEST(Edit, IsFoundInTheDirectoriesThatChanged) {
  Tree tree;
  tree.Mkdir("n");
  tree.Mkdir("n/empty");
  tree.Write("d/f");
  tree.Checkpoint("one");
  // The times of what was made before the checkpoint must not be within a tick of the unmount.
  ::usleep(50'000);
  tree.Close();
  ::usleep(50'000);
  const std::string upper = tree.layer(0);
  fs::create_directories(tree.work() + "/../aside/sub");
  WriteHostFile(tree.work() + "/../aside/sub/old", "x");
  tree.Open();
  tree.Create("d/e/made");
  tree.Close();
  ::usleep(50'000);
  WriteHostFile(upper + "/n/empty/put", "x");
  fs::remove(upper + "/d/f");
  fs::rename(tree.work() + "/../aside", upper + "/moved");  // with directories whose own times are old
  fs::permissions(upper + "/d", fs::perms::owner_all);
  tree.Open();
  EXPECT_FALSE(tree.Findings().empty());
  const Lines expected = {"C /d", "c /d/e", "A /d/e/made", "A /moved", "A /moved/sub", "A /moved/sub/old", "A /n", "A /n/empty", "A /n/empty/put"};
  EXPECT_EQ(tree.Listed(), expected);
  EXPECT_EQ(tree.Findings(), Lines());
  // (That /d/f is the lower's again cannot be seen: nothing in the upper tells that it was another.)
  const Lines since = {"C /d", "c /d/e", "A /d/e/made", "A /moved", "A /moved/sub", "A /moved/sub/old", "c /n", "c /n/empty", "A /n/empty/put"};
  EXPECT_EQ(tree.Listed("one"), since);
}

TEST(Edit, FsckRepairsAndIsCleanThen) {
  Tree tree;
  tree.Mkdir("n");
  tree.Close();
  ::usleep(50'000);
  WriteHostFile(tree.layer(0) + "/n/put", "x");
  tree.Open();
  EXPECT_EQ(tree.Findings(), Lines{"unrecorded /n/put"});
  EXPECT_EQ(tree.Findings(true), Lines{"unrecorded /n/put"});
  EXPECT_EQ(tree.Findings(), Lines());
  EXPECT_EQ(tree.Listed(), (Lines{"A /n", "A /n/put"}));
}

TEST(Edit, AnUpperThatAnotherProgramMadeIsReadOnce) {
  Tree tree;
  tree.Close();
  fs::create_directories(tree.layer(0) + "/n/o");
  WriteHostFile(tree.layer(0) + "/n/o/p", "x");
  tree.Open();
  EXPECT_EQ(tree.Listed(), (Lines{"A /n", "A /n/o", "A /n/o/p"}));
  tree.Open();
  EXPECT_EQ(tree.Findings(), Lines()) << "it is known now";
}

TEST(Edit, AUnionThatWasOnlyListedIsCleanAfterIt) {
  Tree tree;
  EXPECT_EQ(tree.Listed(), Lines());
  tree.Open();
  EXPECT_EQ(tree.Findings(), Lines());
}

}  // namespace
}  // namespace plyfs::test
