// store_test.cc: what records add up to in the database.
// Not here: the journal around it (damage_test.cc), what becomes of it in a list (changes_test.cc).
#include "fs/journal/store.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/harness/temp_dir.h"

namespace plyfs::test {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest() { Open(); }

  void Open() {
    store_.reset();
    Result<std::unique_ptr<Store>> store = OpenStore(dir_ / "store", true);
    ASSERT_EQ(store.error().value(), 0);
    store_ = std::move(*store);
  }
  void Apply(std::vector<Record> records, uint32_t epoch = 0) {
    for (Record& record : records) record.sequence = ++sequence_;
    ASSERT_EQ(store_->Apply(records, epoch, sequence_).value(), 0);
  }
  // "EPOCH DIR/NAME", with + for what existed, x for what has gone.
  std::vector<std::string> Touches(uint32_t first = 0) {
    std::vector<std::string> lines;
    EXPECT_TRUE(store_->ForEachTouch(first, [&](const StoredTouch& touch) {
      lines.push_back(std::to_string(touch.epoch) + " " + std::to_string(touch.name.dir) + "/" + touch.name.text +
                      (touch.former.existed ? " +" : "") + (touch.former.gone ? " x" : ""));
      return true;
    }).ok());
    return lines;
  }

  static JournalName N(const std::string& text, uint64_t dir = 1) { return {.dir = dir, .text = text}; }
  static Record Touch(const std::string& text, bool existed, uint64_t dir = 1) {
    return {.type = RecordType::kTouch, .name = N(text, dir), .former = {.existed = existed}};
  }
  static Record Gone(const std::string& text, bool below = false, uint64_t inode = 0) {
    return {.type = RecordType::kGone, .name = N(text), .inode = inode, .value = below ? 1u : 0u};
  }
  static Record Moved(const std::string& from, const std::string& to, uint64_t inode) {
    return {.type = RecordType::kRename, .name = N(to), .old_name = N(from), .inode = inode, .from = "/" + from};
  }

  using Lines = std::vector<std::string>;
  TempDir dir_;
  std::unique_ptr<Store> store_;
  uint64_t sequence_ = 1000;
};

TEST_F(StoreTest, TheFirstTouchSaysWhatWasThere) {
  Apply({Touch("a", true), Touch("a", false), Touch("b", false)});
  Apply({Touch("b", true)});
  EXPECT_EQ(Touches(), (Lines{"0 1/a +", "0 1/b"}));
}

TEST_F(StoreTest, WhatWasMadeAndRemovedIsForgotten) {
  Apply({Touch("made", false), Touch("lower", true), Touch("hidden", false)});
  Apply({Gone("made"), Gone("lower", true), Gone("hidden", true)});
  EXPECT_EQ(Touches(), (Lines{"0 1/hidden x", "0 1/lower + x"}));
  Apply({Touch("lower", false)});
  EXPECT_EQ(Touches(), (Lines{"0 1/hidden x", "0 1/lower +"})) << "it is there again";
}

TEST_F(StoreTest, RecordsAreAppliedOnce) {
  std::vector<Record> records = {Touch("a", false)};
  records[0].sequence = 1;
  ASSERT_TRUE(store_->Apply(records, 0, 1).ok());
  std::vector<Record> gone = {records[0], Gone("a")};
  gone[1].sequence = 2;
  ASSERT_TRUE(store_->Apply(gone, 0, 2).ok());
  ASSERT_TRUE(store_->Apply(records, 0, 1).ok());
  EXPECT_EQ(Touches(), Lines{});
  EXPECT_EQ(store_->Applied(), 2u);
}

TEST_F(StoreTest, ARenameChainHasItsFirstName) {
  Apply({Moved("a", "b", 5)});
  Apply({Moved("b", "c", 5)});
  Apply({Gone("b")});
  ASSERT_TRUE(store_->Rename(N("c"), 0));
  EXPECT_EQ(store_->Rename(N("c"), 0)->from, "/a");
  EXPECT_FALSE(store_->Rename(N("b"), 0));
  // Something else goes over the same names.
  Apply({Moved("c", "d", 6)});
  EXPECT_EQ(store_->Rename(N("d"), 0)->from, "/c");
  // What was renamed in several epochs tells for each where it stood at its start.
  Apply({Moved("d", "e", 6)}, 1);
  Apply({Moved("e", "f", 6), Moved("f", "g", 6)}, 3);
  Open();
  EXPECT_EQ(store_->Rename(N("g"), 0)->from, "/c");
  EXPECT_EQ(store_->Rename(N("g"), 1)->from, "/d");
  EXPECT_EQ(store_->Rename(N("g"), 2)->from, "/e");
  EXPECT_EQ(store_->Rename(N("g"), 3)->from, "/e");
  EXPECT_FALSE(store_->Rename(N("g"), 4));
}

// What one record says of a removal or a rename is what three say.
TEST_F(StoreTest, RemovalsAndMovesInOneRecordAreTheSame) {
  const auto prepare = [&](uint64_t dir) {
    Apply({{.type = RecordType::kTouch, .name = N("made", dir)},
           {.type = RecordType::kTouch, .name = N("there", dir), .former = {.existed = true}},
           {.type = RecordType::kTouch, .name = N("first", dir), .former = {.existed = true}},
           {.type = RecordType::kTouch, .name = N("second", dir)},
           {.type = RecordType::kAlias, .name = N("first", dir), .inode = dir}});
  };
  const auto observe = [&](uint64_t dir) {
    Lines lines;
    EXPECT_TRUE(store_->ForEachTouchIn(dir, 0, [&](const StoredTouch& touch) {
      lines.push_back(touch.name.text + (touch.former.existed ? " +" : "") + (touch.former.gone ? " x" : ""));
    }).ok());
    const std::optional<StoredRename> rename = store_->Rename(N("second", dir), 0);
    lines.push_back(rename ? std::to_string(rename->inode) + " " + rename->from : "no rename");
    for (const JournalName& alias : store_->Aliases(dir)) lines.push_back("alias " + alias.text);
    for (const StoredEvent& event : store_->Events(0, 100)) {
      if (event.name.dir == dir) lines.push_back("event " + std::to_string(event.kind) + " " + event.name.text + " " + event.from);
    }
    return lines;
  };
  const std::string from = "/first";
  prepare(20);
  Apply({{.type = RecordType::kGone, .name = N("made", 20)},
         {.type = RecordType::kEvent, .name = N("made", 20), .event = 3},
         {.type = RecordType::kGone, .name = N("there", 20), .value = 1},
         {.type = RecordType::kEvent, .name = N("there", 20), .event = 3},
         {.type = RecordType::kRename, .name = N("second", 20), .old_name = N("first", 20), .inode = 20, .from = from},
         {.type = RecordType::kGone, .name = N("first", 20), .inode = 20},
         {.type = RecordType::kEvent, .name = N("second", 20), .event = 4, .from = from}});
  prepare(21);
  Apply({{.type = RecordType::kRemoved, .name = N("made", 21), .event = 3},
         {.type = RecordType::kRemoved, .name = N("there", 21), .value = 1, .event = 3},
         {.type = RecordType::kMoved, .name = N("second", 21), .old_name = N("first", 21), .inode = 21, .event = 4, .from = from}});
  Lines split = observe(20);
  std::replace(split.begin(), split.end(), "20 " + from, "21 " + from);
  EXPECT_EQ(split, observe(21));
  EXPECT_EQ(observe(21), (Lines{"first + x", "second", "there + x", "21 /first", "alias second", "event 3 made ", "event 3 there ",
                                "event 4 second /first"}));
}

TEST_F(StoreTest, WhatWasMadeInThisEpochWasRenamedFromNowhere) {
  Apply({Touch("old", true), Touch("made", false)});
  Apply({Touch("to", false), Moved("made", "to", 5), Gone("made")});
  EXPECT_FALSE(store_->Rename(N("to"), 0));
  // Over something that had come from elsewhere.
  Apply({Touch("made", false), Moved("old", "to", 6), Gone("old", true)});
  EXPECT_EQ(store_->Rename(N("to"), 0)->from, "/old");
  Apply({Moved("made", "to", 7), Gone("made")});
  EXPECT_FALSE(store_->Rename(N("to"), 0));
  EXPECT_EQ(Touches(), (Lines{"0 1/old + x", "0 1/to"}));
  // In the next epoch it was there before.
  Apply({Touch("to", true, 1), Moved("to", "further", 7)}, 1);
  EXPECT_EQ(store_->Rename(N("further"), 1)->from, "/to");
}

TEST_F(StoreTest, AnObjectThatIsRenamedInManyEpochsKeepsItsFirstNameAndItsLast) {
  for (uint32_t epoch = 0; epoch < 1000; ++epoch) {
    Apply({Moved(std::to_string(epoch), std::to_string(epoch + 1), 5), Gone(std::to_string(epoch))}, epoch);
  }
  EXPECT_EQ(store_->Rename(N("1000"), 0)->from, "/0");
  for (uint32_t epoch = 990; epoch < 1000; ++epoch) EXPECT_EQ(store_->Rename(N("1000"), epoch)->from, "/" + std::to_string(epoch));
}

TEST_F(StoreTest, AnExchangeByWayOfANameAsideKeepsBothChains) {
  const JournalName aside{.dir = 0, .text = "exchange"};
  Apply({Moved("a", "b", 5), Moved("y", "z", 6)});
  Apply({{.type = RecordType::kRename, .name = aside, .old_name = N("b"), .inode = 5, .from = "/b"},
         Moved("z", "b", 6),
         {.type = RecordType::kRename, .name = N("z"), .old_name = aside, .inode = 5, .from = "/b"},
         {.type = RecordType::kGone, .name = aside}});
  EXPECT_EQ(store_->Rename(N("b"), 0)->from, "/y");
  EXPECT_EQ(store_->Rename(N("z"), 0)->from, "/a");
  EXPECT_FALSE(store_->Rename(aside, 0));
}

TEST_F(StoreTest, ALinkIsGoingUntilItIsSettled) {
  const auto goes = [](RecordType type, const std::string& text, uint64_t before) {
    return Record{.type = type, .name = N(text, 3), .inode = 7, .device = 8, .value = before, .from = "a/b"};
  };
  const auto going = [&] {
    Lines lines;
    EXPECT_TRUE(store_->ForEachGoingLink([&](const StoredGoingLink& link) {
      lines.push_back(std::to_string(link.device) + "-" + std::to_string(link.inode) + (link.indexed ? " indexed " : " ") +
                      std::to_string(link.before) + " " + std::to_string(link.name.dir) + "=" + link.dir_path + "/" + link.name.text);
    }).ok());
    return lines;
  };
  const Record settled{.type = RecordType::kLinkSettled, .inode = 7, .device = 8};
  Apply({goes(RecordType::kLinkGoes, "x", 0), settled});
  EXPECT_EQ(going(), Lines{});
  Apply({goes(RecordType::kLinkGoes, "x", 1)});
  Open();
  EXPECT_EQ(going(), Lines{"8-7 1 3=a/b/x"});
  Apply({goes(RecordType::kIndexedLinkGoes, "y", 2)});
  EXPECT_EQ(going(), Lines{"8-7 indexed 2 3=a/b/y"});
  Apply({settled});
  EXPECT_EQ(going(), Lines{});
}

TEST_F(StoreTest, ARemovedDirectoryTakesWhatWasInIt) {
  Apply({{.type = RecordType::kDirectory, .name = N("d"), .inode = 7}, Touch("x", true, 7), Touch("y", true, 8)});
  Apply({Touch("z", true, 7)}, 1);
  ASSERT_TRUE(store_->Directory(7));
  EXPECT_EQ(store_->Directory(7)->text, "d");
  Apply({{.type = RecordType::kDropDirectory, .inode = 7}}, 1);
  EXPECT_FALSE(store_->Directory(7));
  EXPECT_EQ(Touches(), Lines{"0 8/y +"});
}

TEST_F(StoreTest, NamesOfAFileGoAndMoveWithIt) {
  const auto alias = [](const std::string& text) { return Record{.type = RecordType::kAlias, .name = N(text), .inode = 9}; };
  Apply({alias("a"), alias("b"), alias("b")});
  EXPECT_EQ(store_->Aliases(9).size(), 2u);
  Apply({Moved("a", "c", 9)});
  EXPECT_EQ(store_->Aliases(9), (std::vector<JournalName>{N("b"), N("c")}));
  Apply({Gone("b", false, 9), Gone("c", false, 9)});
  EXPECT_TRUE(store_->Aliases(9).empty());
  Apply({alias("a"), {.type = RecordType::kDropOrigin, .inode = 9}});
  EXPECT_TRUE(store_->Aliases(9).empty());
}

TEST_F(StoreTest, NumbersAndCountsAreKept) {
  Apply({{.type = RecordType::kOrigin, .inode = 1, .value = 2, .birth_ns = 3},
         {.type = RecordType::kOrigin, .inode = 4, .value = 5, .birth_ns = 6},
         {.type = RecordType::kLinksRemoved, .inode = 7, .device = 8, .value = 1},
         {.type = RecordType::kLinksRemoved, .inode = 7, .device = 8, .value = 2},
         {.type = RecordType::kDropOrigin, .inode = 4}});
  Open();
  std::vector<uint64_t> seen;
  ASSERT_TRUE(store_->ForEachOrigin([&](const StoredOrigin& o) { seen.insert(seen.end(), {o.inode, o.shown, static_cast<uint64_t>(o.birth_ns)}); }).ok());
  ASSERT_TRUE(store_->ForEachLinksRemoved([&](uint64_t d, uint64_t i, uint64_t n) { seen.insert(seen.end(), {d, i, n}); }).ok());
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2, 3, 8, 7, 2}));
}

TEST_F(StoreTest, ACheckpointSplitsTouchesAndItsEndJoinsThem) {
  const StoredCheckpoint one{.name = "one", .epoch = 1, .sequence = 10, .created_ns = 11};
  const StoredCheckpoint two{.name = "two", .epoch = 2, .sequence = 20, .created_ns = 21};
  Apply({Touch("a", false)});
  ASSERT_TRUE(store_->PutCheckpoint(one).ok());
  Apply({Touch("a", true), Touch("b", true)}, 1);
  ASSERT_TRUE(store_->PutCheckpoint(two).ok());
  Apply({Touch("b", false), Touch("c", true)}, 2);
  Open();
  EXPECT_EQ(Touches(2), (Lines{"2 1/b", "2 1/c +"}));
  EXPECT_EQ(Touches(1), (Lines{"1 1/a +", "1 1/b +", "2 1/b", "2 1/c +"}));
  ASSERT_EQ(store_->Checkpoints()->size(), 2u);
  EXPECT_EQ(store_->Checkpoints()->at(1).name, "two");
  EXPECT_EQ(store_->Checkpoints()->at(1).created_ns, 21);
  // Nobody can ask for what changed after "two" any more.
  ASSERT_TRUE(store_->DeleteCheckpoint(two).ok());
  EXPECT_EQ(Touches(1), (Lines{"1 1/a +", "1 1/b +", "2 1/c +"}));
  ASSERT_TRUE(store_->DeleteCheckpoint(one).ok());
  EXPECT_EQ(Touches(), (Lines{"0 1/a", "1 1/b +", "2 1/c +"}));
  EXPECT_TRUE(store_->Checkpoints()->empty());
}

TEST_F(StoreTest, EventsAreBounded) {
  for (int batch = 0; batch < 150; ++batch) {
    std::vector<Record> records;
    for (int i = 0; i < 1000; ++i) records.push_back({.type = RecordType::kEvent, .name = N("f"), .event = 2});
    Apply(std::move(records));
  }
  const uint64_t first = store_->FirstEvent();
  EXPECT_GT(first, 1000u);
  const size_t kept = store_->Events(0, 1u << 20).size();
  EXPECT_GE(kept, 60'000u);
  EXPECT_LE(kept, 131'072u);
  const std::vector<StoredEvent> two = store_->Events(sequence_ - 2, 100);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].sequence, sequence_);
}

TEST_F(StoreTest, AFileWrittenOftenIsOneRecord) {
  for (int i = 0; i < 100; ++i) Apply(std::vector<Record>(200, Touch("f", true)));
  EXPECT_EQ(Touches().size(), 1u);
}

TEST_F(StoreTest, OneThatIsNotThereIsNoEmptyOne) {
  EXPECT_EQ(OpenStore(dir_ / "nowhere", false).error().value(), EUCLEAN);
}

}  // namespace
}  // namespace plyfs::test
