// golden_test.cc: journals (tail and database) as every version of the format wrote them, opened by this code; and a database of a
// later version, which is left alone.
// Not here: the tail's bytes one by one, a tail of a later version (tail_test.cc), damage (damage_test.cc).
//
// golden/journal-N.tar.gz is WORKDIR/plyfs/journal of format version N. With a new version comes one more, made by the code that
// writes that version, and a row in kGolden; those of before stay as they are. As root, because database files name their host:
//
//   PLYFS_MAKE_GOLDEN=tests/journal/golden/journal-N.tar.gz BUILD/tests/journal/journal_test --gtest_filter=GoldenTest.*Today*
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "fs/journal/journal.h"
#include "fs/layer/layer.h"
#include "fs/overlay/ino.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

using Lines = std::vector<std::string>;

// 1: a tail of one half; 1b: of two. 2: names that may be going are recorded. 3: a removal and a rename are one record each.
constexpr const char* kGolden[] = {"journal-1.tar.gz", "journal-1b.tar.gz", "journal-2.tar.gz", "journal-3.tar.gz"};

constexpr uint64_t kRoot = 2;  // inode number of the upper's root
constexpr int64_t kRootBirthNs = 3;
constexpr uint64_t kFirstSequence = 1000;
constexpr uint64_t kFileWithSeveralNames = 70;
constexpr size_t kRecordsInTail = 3;

// --- what all of them hold

JournalName N(const std::string& text, uint64_t dir = kRoot) { return {.dir = dir, .text = text}; }

Record Touch(const JournalName& name, const FormerState& former = {}) {
  return {.type = RecordType::kTouch, .name = name, .former = former};
}

// Every type of record; some go into a table of the database, some into its log, the last ones stay in the tail.
const std::vector<Record> kBeforeCheckpoint = {
    Touch(N("new")),
    {.type = RecordType::kEvent, .name = N("new"), .event = 1},
    Touch(N("changed"), {.existed = true}),
    {.type = RecordType::kOrigin, .inode = 50, .value = 51, .birth_ns = 52},
    Touch(N("dir"), {.existed = true, .upper_dir = 60, .upper_birth_ns = 61}),
    {.type = RecordType::kDirectory, .name = N("dir"), .inode = 60},
    Touch(N("removed"), {.existed = true}),
    {.type = RecordType::kGone, .name = N("removed"), .value = 1},
    {.type = RecordType::kDirectory, .name = N("dropped"), .inode = 62},
    Touch(N("in-dropped", 62)),
    {.type = RecordType::kDropDirectory, .inode = 62},
    {.type = RecordType::kAlias, .name = N("alias-1"), .inode = kFileWithSeveralNames},
    {.type = RecordType::kLinksRemoved, .inode = 80, .device = 81, .value = 1}};
const std::vector<Record> kAfterCheckpoint = {
    Touch(N("in-dir\n\xff", 60)),
    Touch(N("moved")),
    {.type = RecordType::kRename, .name = N("moved"), .old_name = N("new"), .inode = 53, .from = "/new"},
    {.type = RecordType::kEvent, .name = N("moved"), .event = 4, .from = "/new"},
    {.type = RecordType::kAlias, .name = N("alias-2", 60), .inode = kFileWithSeveralNames}};
const std::vector<Record> kInTheLog = {
    {.type = RecordType::kOrigin, .inode = 54, .value = 55, .birth_ns = 56},
    {.type = RecordType::kOrigin, .inode = 57, .value = 58, .birth_ns = 59},
    {.type = RecordType::kLinksRemoved, .inode = 80, .device = 81, .value = 2}};
const std::vector<Record> kInTheTail = {
    Touch(N("last"), {.existed = true}),
    {.type = RecordType::kDropOrigin, .inode = 54},
    {.type = RecordType::kEvent, .name = N("last"), .event = 2}};

const Lines kHeld = {"epoch 1",
                     "touched 0 2/changed existed",
                     "touched 0 2/dir existed 60 61",
                     "touched 0 2/new",
                     "touched 0 2/removed existed gone",
                     "touched 1 2/last existed",
                     "touched 1 2/moved",
                     "renamed 53 /new",
                     "touched 1 60/in-dir\n\xff",
                     "directory 60 2/dir",
                     "name of 70 2/alias-1",
                     "name of 70 60/alias-2",
                     "number 50 51 52",
                     "number 57 58 59",
                     "names removed 81 80 2",
                     "event 1002 1 2/new ",
                     "event 1017 4 2/moved /new",
                     "event 1024 2 2/last ",
                     "checkpoint one 1 1013"};

// --- reading and making them

std::string TextOf(const JournalName& name) { return std::to_string(name.dir) + "/" + name.text; }

void ListNames(const Store& store, Lines* lines) {
  EXPECT_TRUE(store.ForEachTouch(0, [&](const StoredTouch& touch) {
    std::string line = "touched " + std::to_string(touch.epoch) + " " + TextOf(touch.name);
    if (touch.former.existed) line += " existed";
    if (touch.former.gone) line += " gone";
    if (touch.former.upper_dir != 0) {
      line += " " + std::to_string(touch.former.upper_dir) + " " + std::to_string(touch.former.upper_birth_ns);
    }
    lines->push_back(line);
    if (const std::optional<StoredRename> rename = store.Rename(touch.name, touch.epoch)) {
      lines->push_back("renamed " + std::to_string(rename->inode) + " " + rename->from);
    }
    return true;
  }).ok());
  EXPECT_TRUE(store.ForEachDirectory([&](uint64_t inode, const JournalName& place) {
    lines->push_back("directory " + std::to_string(inode) + " " + TextOf(place));
  }).ok());
  for (const JournalName& alias : store.Aliases(kFileWithSeveralNames)) {
    lines->push_back("name of " + std::to_string(kFileWithSeveralNames) + " " + TextOf(alias));
  }
}

void ListNumbers(const Store& store, Lines* lines) {
  EXPECT_TRUE(store.ForEachOrigin([&](const StoredOrigin& origin) {
    lines->push_back("number " + std::to_string(origin.inode) + " " + std::to_string(origin.shown) + " " +
                     std::to_string(origin.birth_ns));
  }).ok());
  EXPECT_TRUE(store.ForEachLinksRemoved([&](uint64_t device, uint64_t inode, uint64_t removed) {
    lines->push_back("names removed " + std::to_string(device) + " " + std::to_string(inode) + " " + std::to_string(removed));
  }).ok());
}

Lines ListAll(Journal& journal) {
  Lines lines;
  EXPECT_EQ(journal.WithStore([&](Store& store, uint32_t epoch) -> Errno {
    lines.push_back("epoch " + std::to_string(epoch));
    ListNames(store, &lines);
    ListNumbers(store, &lines);
    for (const StoredEvent& event : store.Events(0, 1000)) {
      lines.push_back("event " + std::to_string(event.sequence) + " " + std::to_string(event.kind) + " " + TextOf(event.name) + " " +
                      event.from);
    }
    ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> checkpoints, store.Checkpoints());
    for (const StoredCheckpoint& checkpoint : checkpoints) {
      EXPECT_GT(checkpoint.created_ns, 0);
      lines.push_back("checkpoint " + checkpoint.name + " " + std::to_string(checkpoint.epoch) + " " +
                      std::to_string(checkpoint.sequence));
    }
    return kOk;
  }).value(), 0);
  return lines;
}

void Append(Journal& journal, std::vector<Record> records) { journal.Append(records); }

// Into the database, from where the next start brings it into a table.
void Drain(Journal& journal) {
  EXPECT_TRUE(journal.WithStore([](Store&, uint32_t) { return kOk; }).ok());
}

class GoldenTest : public testing::Test {
 protected:
  // WORKDIR/plyfs
  GoldenTest() : own_(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

  std::unique_ptr<Journal> Open() const {
    return std::make_unique<Journal>(
        JournalOptions{.work = own_.get(), .root_inode = kRoot, .root_birth_ns = kRootBirthNs});
  }

  void Make() const {
    MakeDirs(dir_ / "journal");
    {
      const UniqueFd journal(::open((dir_ / "journal").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      const Result<std::unique_ptr<Tail>> tail = Tail::Make(journal.get());
      ASSERT_TRUE(tail.ok());
      (*tail)->header().root_inode = kRoot;
      (*tail)->header().root_birth_ns = kRootBirthNs;
      (*tail)->header().clean = 1;
      (*tail)->Restart(kFirstSequence);
    }
    std::unique_ptr<Journal> journal = Open();
    Append(*journal, kBeforeCheckpoint);
    ASSERT_TRUE(journal->CreateCheckpoint("one").ok());
    Append(*journal, kAfterCheckpoint);
    Drain(*journal);
    journal.reset();
    journal = Open();
    Append(*journal, kInTheLog);
    Drain(*journal);
    Append(*journal, kInTheTail);
  }

  void Unpack(const std::string& golden, const std::string& into) const {
    ASSERT_EQ(RunProgram({"tar", "-C", into, "-xzf", PLYFS_GOLDEN "/" + golden}).exit_code, 0);
  }

  const TempDir dir_;
  const UniqueFd own_;
};

TEST_F(GoldenTest, OneOfTodayHoldsTheSame) {
  const char* const target = std::getenv("PLYFS_MAKE_GOLDEN");
  if (target != nullptr) {
    ASSERT_EQ(::unshare(CLONE_NEWUTS), 0) << "run this as root";
    ASSERT_EQ(::sethostname("golden", 6), 0);
  }
  Make();
  if (target != nullptr) {
    const ProgramResult packed = RunProgram({"sh", "-c",
                                             "tar -C " + dir_.path() + " --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "
                                             "--exclude=LOCK -c journal | gzip -9n >" + target});
    ASSERT_EQ(packed.exit_code, 0) << packed.err;
  }
  EXPECT_EQ(ListAll(*Open()), kHeld);
}

class EachGoldenTest : public GoldenTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Version, EachGoldenTest, testing::ValuesIn(kGolden), [](const auto& param) {
  const std::string name = param.param;
  return name.substr(8, name.find('.') - 8);
});

TEST_P(EachGoldenTest, HoldsWhatWasPutIntoIt) {
  Unpack(GetParam(), dir_.path());
  const std::unique_ptr<Journal> journal = Open();
  EXPECT_FALSE(journal->doubt().everything);
  EXPECT_EQ(journal->pending_records(), kRecordsInTail);
  EXPECT_EQ(ListAll(*journal), kHeld);
}

TEST_P(EachGoldenTest, RemembersNumbersForTheNextMount) {
  Unpack(GetParam(), dir_.path());
  Lines lines;
  Open()->LoadIdentity({.origin = [&](const StoredOrigin& origin) { lines.push_back("+" + std::to_string(origin.inode)); },
                        .drop_origin = [&](uint64_t inode) { lines.push_back("-" + std::to_string(inode)); },
                        .links_removed = [&](uint64_t device, uint64_t inode, uint64_t removed) {
                          lines.push_back(std::to_string(device) + "/" + std::to_string(inode) + ": " + std::to_string(removed));
                        }});
  EXPECT_EQ(lines, (Lines{"+50", "+54", "+57", "81/80: 2", "-54"}));
}

TEST_P(EachGoldenTest, GoesOnWithNewRecordsAndCheckpoints) {
  Unpack(GetParam(), dir_.path());
  std::unique_ptr<Journal> journal = Open();
  Append(*journal, {Touch(N("today"))});
  ASSERT_TRUE(journal->CreateCheckpoint("two").ok());
  Append(*journal, {Touch(N("changed"), {.existed = true})});
  journal.reset();
  const Lines lines = ListAll(*Open());
  for (const char* line : {"epoch 2", "touched 1 2/today", "touched 2 2/changed existed", "checkpoint one 1 1013", "checkpoint two 2 1025"}) {
    EXPECT_EQ(std::count(lines.begin(), lines.end(), line), 1) << line;
  }
}

// The offsets are those of docs/journal.md.
void PutNumber(std::string* tail, size_t offset, uint64_t value) { std::memcpy(tail->data() + offset, &value, sizeof value); }

TEST_P(EachGoldenTest, AUnionTakesItOverAsItsOwn) {
  Union u;
  u.Open();
  ASSERT_TRUE(u.overlay().Mknod(NodeId::kRoot, Component("a"), {.mode = S_IFREG | 0600}, {}).ok());
  u.Close();
  const UniqueFd upper(::open(u.layer(0).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Result<struct statx> root = StatObject({.dir = upper.get()});
  ASSERT_TRUE(root.ok());
  RemoveTree(u.work() + "/plyfs/journal");
  Unpack(GetParam(), u.work() + "/plyfs");
  std::string tail = ReadFile(u.work() + "/plyfs/journal/tail");
  PutNumber(&tail, 8, root->stx_ino);
  PutNumber(&tail, 16, static_cast<uint64_t>(BirthNsOf(*root)));
  PutNumber(&tail, 64, 1);  // whatever the clock says, all directories have changed since
  WriteFile(u.work() + "/plyfs/journal/tail", tail);
  u.Open();
  const Result<std::vector<Change>> changes = u.overlay().Changes();
  ASSERT_TRUE(changes.ok());
  ASSERT_EQ(changes->size(), 1u);
  EXPECT_EQ(changes->front().path, "/a");
  ASSERT_EQ(u.overlay().Checkpoints()->size(), 1u);
  EXPECT_EQ(u.overlay().Checkpoints()->front().name, "one");
  EXPECT_TRUE(u.overlay().CheckJournal(false)->empty());
}

// --- one of a later version

class LaterVersionTest : public GoldenTest {
 protected:
  LaterVersionTest() {
    Make();
    EXPECT_TRUE(Raw()->Put(rocksdb::WriteOptions(), "m", std::string("\0\1\0\0what we do not know", 22)).ok());
    EXPECT_TRUE(Raw()->Put(rocksdb::WriteOptions(), "!", "nor this").ok());
    before_ = Dump();
  }

  std::unique_ptr<rocksdb::DB> Raw() const {
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(rocksdb::Options(), dir_ / "journal/store", &db).ok());
    return std::unique_ptr<rocksdb::DB>(db);
  }
  Lines Dump() const {
    Lines lines;
    const std::unique_ptr<rocksdb::DB> db = Raw();
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next()) lines.push_back(at->key().ToString() + "=" + at->value().ToString());
    return lines;
  }

  Lines before_;
};

TEST_F(LaterVersionTest, ADatabaseIsRefusedAndLeftAlone) {
  std::unique_ptr<Journal> journal = Open();
  EXPECT_EQ(journal->WithStore([](Store&, uint32_t) { return kOk; }).value(), ENOTSUP);
  EXPECT_EQ(journal->CreateCheckpoint("two").value(), ENOTSUP);
  EXPECT_EQ(journal->DeleteCheckpoint("one").value(), ENOTSUP);
  EXPECT_FALSE(journal->was_damaged());
  journal.reset();
  EXPECT_EQ(Dump(), before_);
}

TEST_F(LaterVersionTest, ChangesGoOnAndTheLaterVersionWillReadTheUpper) {
  std::unique_ptr<Journal> journal = Open();
  // More than a tail holds.
  for (int i = 0; i < 3000; ++i) Append(*journal, {Touch(N(std::string(200, 'x') + std::to_string(i)))});
  EXPECT_TRUE(journal->lost());
  journal.reset();
  EXPECT_EQ(Dump(), before_);
  EXPECT_TRUE(Open()->doubt().everything);
}

}  // namespace
}  // namespace plyfs::test
