// damage_test.cc: the journal's files cut, filled with rubbish, taken away, put back from a copy, of another time or another upper:
// the mount goes on, and the next list is right.
// Not here: kills (tests/crash).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "fs/journal/journal.h"
#include "tests/harness/file_ops.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

class DamageTest : public testing::Test {
 protected:
  DamageTest() {
    for (const char* name : {"/a", "/b", "/c"}) WriteHostFile(u_.layer(1) + name, "lower");
    u_.Open();
    Write("a");
    Unlink("b");
    Create("n");
    EXPECT_TRUE(u_.overlay().CreateCheckpoint("one").ok());
    Write("c");
    EXPECT_EQ(Listed(), kAll);
    Create("last");
    u_.Close();
  }

  void Create(const std::string& name) {
    const Result<Entry> made = u_.overlay().Mknod(NodeId::kRoot, Component(name), {.mode = S_IFREG | 0600}, {});
    ASSERT_EQ(made.error().value(), 0) << name;
    u_.overlay().Forget(made->id, 1);
  }
  void Write(const std::string& name) { EXPECT_TRUE(u_.overlay().Write(u_.At(name), std::string_view("new"), 0, {}).ok()); }
  void Unlink(const std::string& name) {
    const Result<Entry> entry = u_.overlay().Lookup(NodeId::kRoot, Component(name));
    EXPECT_EQ(u_.overlay().Unlink(NodeId::kRoot, Component(name)).value(), 0);
    u_.overlay().Forget(entry->id, 1);
  }
  Lines Listed(const std::string& since = "") {
    Lines lines;
    const Result<std::vector<Change>> changes = u_.overlay().Changes(since);
    EXPECT_EQ(changes.error().value(), 0);
    if (!changes.ok()) return lines;
    for (const Change& change : *changes) lines.push_back(std::string(1, static_cast<char>(change.kind)) + " " + change.path);
    return lines;
  }
  // What must hold whatever was damaged: changes go on, and the list is right at once and later.
  void ExpectRight() {
    u_.Open();
    Create("after");
    EXPECT_EQ(Listed(), kAfter);
    EXPECT_TRUE(u_.overlay().CheckJournal(false)->empty());
    u_.Open();
    EXPECT_EQ(Listed(), kAfter);
    EXPECT_TRUE(u_.overlay().CreateCheckpoint("two").ok());
    Write("last");
    EXPECT_EQ(Listed("two"), Lines{"C /last"});
  }

  // More than the database's own write buffer.
  void MakeTables() {
    u_.Open();
    const std::string longest(240, 't');
    for (int round = 0; round < 10 && StoreFiles(".sst").empty(); ++round) {
      for (int i = 0; i < 2'000; ++i) Create(longest + std::to_string(i));
      for (int i = 0; i < 2'000; ++i) Unlink(longest + std::to_string(i));
    }
    u_.Close();
  }

  std::string journal() const { return u_.work() + "/plyfs/journal"; }
  std::vector<std::string> StoreFiles(const std::string& with) const {
    std::vector<std::string> files;
    for (const std::string& name : ListDir(journal() + "/store")) {
      if (name.find(with) != std::string::npos) files.push_back(journal() + "/store/" + name);
    }
    return files;
  }

  const Lines kAll = {"C /a", "D /b", "C /c", "A /n"};
  const Lines kAfter = {"C /a", "A /after", "D /b", "C /c", "A /last", "A /n"};
  Union u_;
};

TEST_F(DamageTest, WithoutAnyTheCheckpointIsKept) {
  u_.Open();
  EXPECT_EQ(Listed("one"), (Lines{"C /c", "A /last"}));
  EXPECT_TRUE(u_.overlay().CheckJournal(false)->empty());
}

TEST_F(DamageTest, TheWholeJournalIsGone) {
  fs::remove_all(journal());
  ExpectRight();
}

TEST_F(DamageTest, TheTailIsGone) {
  fs::remove(journal() + "/tail");
  ExpectRight();
}

TEST_F(DamageTest, TheDatabaseIsGone) {
  fs::remove_all(journal() + "/store");
  ExpectRight();
}

TEST_F(DamageTest, TheDatabaseIsAFile) {
  fs::remove_all(journal() + "/store");
  WriteFile(journal() + "/store", "no directory");
  ExpectRight();
}

TEST_F(DamageTest, TheTailIsCut) {
  fs::resize_file(journal() + "/tail", 5000);
  ExpectRight();
}

TEST_F(DamageTest, TheTailIsZeroes) {
  WriteFile(journal() + "/tail", std::string(Tail::kSize, '\0'));
  ExpectRight();
}

TEST_F(DamageTest, TheTailsRecordsAreZeroes) {
  std::string tail = ReadFile(journal() + "/tail");
  std::fill(tail.begin() + 4096, tail.end(), '\0');
  WriteFile(journal() + "/tail", tail);
  ExpectRight();
}

TEST_F(DamageTest, TheTailIsOfAnotherUpper) {
  Union other;
  other.Open();
  const std::string name = "x";
  ASSERT_TRUE(other.overlay().Mknod(NodeId::kRoot, Component(name), {.mode = S_IFREG | 0600}, {}).ok());
  other.Close();
  fs::copy_file(other.work() + "/plyfs/journal/tail", journal() + "/tail", fs::copy_options::overwrite_existing);
  ExpectRight();
}

TEST_F(DamageTest, TheTailIsOlderThanTheDatabase) {
  const std::string old = ReadFile(journal() + "/tail");
  u_.Open();
  for (int i = 0; i < 5'000; ++i) Create("m" + std::to_string(i));
  for (int i = 0; i < 5'000; ++i) Unlink("m" + std::to_string(i));
  EXPECT_TRUE(u_.overlay().CreateCheckpoint("later").ok());
  u_.Close();
  WriteFile(journal() + "/tail", old);
  u_.Open();
  Write("a");
  EXPECT_EQ(Listed("later"), Lines{"C /a"}) << "the checkpoint divides what was before from what comes";
  u_.Close();
  ExpectRight();
}

TEST_F(DamageTest, TheDatabaseIsOlderThanTheTail) {
  fs::copy(journal() + "/store", u_.work() + "/copy");
  u_.Open();
  Create("more");
  Listed();  // into the database
  Create("after");
  u_.Close();
  fs::remove_all(journal() + "/store");
  fs::rename(u_.work() + "/copy", journal() + "/store");
  u_.Open();
  EXPECT_EQ(Listed(), (Lines{"C /a", "A /after", "D /b", "C /c", "A /last", "A /more", "A /n"}));
  EXPECT_EQ(u_.overlay().Checkpoints()->size(), 1u);
}

// Each file of the database: cut to nothing, cut in the middle, turned into rubbish, removed.
enum class Harm { kEmpty, kHalf, kRubbish, kZeroMiddle, kRemoved };

class StoreDamageTest : public DamageTest, public testing::WithParamInterface<std::tuple<const char*, Harm>> {};
INSTANTIATE_TEST_SUITE_P(EachFile, StoreDamageTest,
                         testing::Combine(testing::Values("CURRENT", "MANIFEST", ".log", ".sst", "IDENTITY", "OPTIONS"),
                                          testing::Values(Harm::kEmpty, Harm::kHalf, Harm::kRubbish, Harm::kZeroMiddle,
                                                          Harm::kRemoved)));

TEST_P(StoreDamageTest, CostsNoChange) {
  const auto& [which, harm] = GetParam();
  if (std::string(which) == ".sst") MakeTables();
  const std::vector<std::string> files = StoreFiles(which);
  ASSERT_FALSE(files.empty()) << which;
  for (const std::string& file : files) {
    std::string content = ReadFile(file);
    if (harm == Harm::kEmpty) content.clear();
    if (harm == Harm::kHalf) content.resize(content.size() / 2);
    if (harm == Harm::kRubbish) std::fill(content.begin(), content.end(), '\x5a');
    if (harm == Harm::kZeroMiddle) std::fill(content.begin() + content.size() / 4, content.begin() + content.size() * 3 / 4, '\0');
    if (harm == Harm::kRemoved) fs::remove(file);
    else WriteFile(file, content);
  }
  ExpectRight();
}

TEST_F(DamageTest, ATailOfALaterVersionIsLeftAloneAndTheMountGoesOn) {
  std::string tail = ReadFile(journal() + "/tail");
  ++tail[0];
  WriteFile(journal() + "/tail", tail);
  u_.Open();
  Create("after");
  EXPECT_EQ(u_.overlay().Changes().error().value(), ENOTSUP);
  EXPECT_EQ(u_.Content("after"), "");
  u_.Close();
  EXPECT_EQ(ReadFile(journal() + "/tail"), tail);
  EXPECT_FALSE(StoreFiles("CURRENT").empty());
}

TEST_F(DamageTest, AfterAFailureOfTheMachineTheUpperIsReadAgain) {
  std::string tail = ReadFile(journal() + "/tail");
  JournalHeader header;
  std::memcpy(&header, tail.data(), sizeof header);
  header.clean = 0;
  header.boot_id[3] ^= 1;
  std::memcpy(tail.data(), &header, sizeof header);
  std::fill(tail.begin() + 4096, tail.end(), '\0');  // what was not synced
  WriteFile(journal() + "/tail", tail);
  u_.Open();
  const Result<std::vector<FsckFinding>> findings = u_.overlay().CheckJournal(false);
  ASSERT_TRUE(findings.ok());
  ASSERT_FALSE(findings->empty());
  EXPECT_EQ(findings->front().kind, "stale");
  u_.Close();
  ExpectRight();
}

TEST_F(DamageTest, RepairEndsTheDoubtForGood) {
  std::string tail = ReadFile(journal() + "/tail");
  JournalHeader header;
  std::memcpy(&header, tail.data(), sizeof header);
  header.clean = 0;
  header.boot_id[3] ^= 1;
  std::memcpy(tail.data(), &header, sizeof header);
  WriteFile(journal() + "/tail", tail);
  u_.Open();
  EXPECT_EQ(u_.overlay().CheckJournal(true)->front().kind, "stale");
  EXPECT_TRUE(u_.overlay().CheckJournal(false)->empty());
  u_.Open();
  EXPECT_TRUE(u_.overlay().CheckJournal(false)->empty());
}

TEST_F(DamageTest, AMountWithoutJournalIsNoticed) {
  u_.Close();
  Journal::Distrust(fs::exists(u_.work() + "/plyfs") ? ::open((u_.work() + "/plyfs").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
  WriteHostFile(u_.layer(0) + "/after", "");
  ::usleep(20'000);
  u_.Open();
  EXPECT_EQ(u_.overlay().CheckJournal(false)->front().kind, "stale");
  EXPECT_EQ(Listed(), kAfter);
}

}  // namespace
}  // namespace plyfs::test
