// tail_test.cc: what a tail holds after it was closed, cut, mixed up or made by somebody else.
#include "fs/journal/tail.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {
namespace {

class TailTest : public testing::Test {
 protected:
  TailTest() : fd_(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY)) {}

  std::unique_ptr<Tail> Make() {
    Result<std::unique_ptr<Tail>> tail = Tail::Make(fd_.get());
    EXPECT_TRUE(tail.ok());
    return tail.ok() ? std::move(*tail) : nullptr;
  }
  std::unique_ptr<Tail> Open() {
    Result<std::unique_ptr<Tail>> tail = Tail::Open(fd_.get());
    EXPECT_EQ(tail.error().value(), 0);
    return tail.ok() ? std::move(*tail) : nullptr;
  }
  int OpenError() { return Tail::Open(fd_.get()).error().value(); }
  std::string path() const { return dir_ / "tail"; }

  static std::string Put(Tail& tail, const std::string& name) {
    std::string bytes;
    EncodeRecord({.type = RecordType::kTouch, .sequence = tail.NextSequence(), .name = {.dir = 1, .text = name}}, &bytes);
    EXPECT_TRUE(tail.Append(bytes));
    tail.Appended(1);
    return bytes;
  }
  static std::vector<std::string> Names(const Tail& tail) {
    std::vector<std::string> names;
    for (const Record& record : tail.Records()) names.push_back(record.name.text);
    return names;
  }

  TempDir dir_;
  UniqueFd fd_;
};

TEST_F(TailTest, KeepsRecordsAndNumbersWhenItIsOpenedAgain) {
  std::unique_ptr<Tail> tail = Make();
  tail->header().epoch = 5;
  tail->Restart(41);
  Put(*tail, "a");
  Put(*tail, "b");
  tail.reset();
  tail = Open();
  EXPECT_EQ(Names(*tail), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(tail->NextSequence(), 44u);
  EXPECT_EQ(tail->header().epoch, 5u);
}

TEST_F(TailTest, RecordsOfBeforeAreGoneOnceItWasCleared) {
  std::unique_ptr<Tail> tail = Make();
  Put(*tail, "a");
  Put(*tail, "b");
  tail->Restart(tail->NextSequence() - 1);
  EXPECT_TRUE(tail->empty());
  Put(*tail, "c");  // where "a" was; the bytes of "b" follow it still
  tail.reset();
  tail = Open();
  EXPECT_EQ(Names(*tail), std::vector<std::string>{"c"});
  EXPECT_EQ(tail->NextSequence(), 4u);
}

TEST_F(TailTest, ATornRecordEndsItWhereverItIsTorn) {
  std::unique_ptr<Tail> tail = Make();
  const size_t first = Put(*tail, "first").size();
  const size_t second = Put(*tail, "second").size();
  tail.reset();
  const std::string whole = ReadFile(path());
  for (size_t cut = 0; cut < second; ++cut) {
    std::string torn = whole;
    for (size_t i = 4096 + first + cut; i < 4096 + first + second; ++i) torn[i] = '\x7f';
    WriteFile(path(), torn);
    tail = Open();
    EXPECT_EQ(Names(*tail), std::vector<std::string>{"first"}) << cut;
    Put(*tail, "next");
    tail.reset();
    EXPECT_EQ(Names(*Open()), (std::vector<std::string>{"first", "next"})) << cut;
  }
}

TEST_F(TailTest, FillsUpAndSaysSo) {
  std::unique_ptr<Tail> tail = Make();
  const std::string bytes = Put(*tail, std::string(255, 'x'));
  int count = 1;
  for (; tail->Append(bytes); ++count) tail->Appended(1);
  EXPECT_EQ(count, static_cast<int>(Tail::kHalf / bytes.size()));
  tail->Restart(tail->NextSequence() - 1);
  EXPECT_TRUE(tail->Append(bytes));
}

TEST_F(TailTest, OneHalfTakesRecordsWhileTheOtherIsSealed) {
  std::unique_ptr<Tail> tail = Make();
  tail->Restart(10);
  EXPECT_FALSE(tail->Seal()) << "there is nothing in it";
  Put(*tail, "a");
  Put(*tail, "b");
  ASSERT_TRUE(tail->Seal());
  EXPECT_FALSE(tail->Seal()) << "the other half is sealed already";
  Put(*tail, "c");
  EXPECT_EQ(tail->Sealed().last_sequence, 12u);
  EXPECT_EQ(DecodeRecords(tail->Sealed().bytes).size(), 2u);
  for (int reopened = 0; reopened < 2; ++reopened) {
    EXPECT_TRUE(tail->has_sealed());
    EXPECT_EQ(Names(*tail), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(tail->NextSequence(), 14u);
    tail = Open();
  }
  tail->Release();
  EXPECT_EQ(tail->header().base_sequence, 12u);
  tail = Open();
  EXPECT_EQ(Names(*tail), std::vector<std::string>{"c"});
  // Now the second half is the first one, and what the first still holds is old.
  ASSERT_TRUE(tail->Seal());
  Put(*tail, "d");
  tail = Open();
  EXPECT_EQ(Names(*tail), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(tail->Sealed().last_sequence, 13u);
  tail->Release();
  tail = Open();
  EXPECT_EQ(Names(*tail), std::vector<std::string>{"d"});
  EXPECT_FALSE(tail->has_sealed());
}

TEST_F(TailTest, ASealedHalfWithNothingBehindItIsTheOneThatTakesRecords) {
  std::unique_ptr<Tail> tail = Make();
  Put(*tail, "a");
  ASSERT_TRUE(tail->Seal());
  tail = Open();
  EXPECT_FALSE(tail->has_sealed());
  Put(*tail, "b");
  EXPECT_EQ(Names(*Open()), (std::vector<std::string>{"a", "b"}));
}

TEST_F(TailTest, WhatIsNoTailIsRefused) {
  EXPECT_EQ(OpenError(), ENOENT);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, Tail::kSizeOfOneHalf, Tail::kSize - 1, Tail::kSize, Tail::kSize + 1}) {
    WriteFile(path(), std::string(size, 'x'));
    EXPECT_EQ(OpenError(), EINVAL) << size;
  }
  WriteFile(path(), std::string(Tail::kSize, '\0'));
  EXPECT_EQ(OpenError(), EINVAL);
  ::unlink(path().c_str());
  ASSERT_EQ(::mkdir(path().c_str(), 0700), 0);
  EXPECT_NE(OpenError(), 0);
  ASSERT_EQ(::rmdir(path().c_str()), 0);
  MakeSymlink("elsewhere", path());
  EXPECT_EQ(OpenError(), ELOOP);
}

TEST_F(TailTest, OneOfALaterVersionIsToldFromRubbish) {
  std::unique_ptr<Tail> tail = Make();
  tail->header().magic = JournalHeader::kMagic + 1;
  tail.reset();
  EXPECT_EQ(OpenError(), ENOTSUP);
}

TEST_F(TailTest, OneOnAFullDiskHasNoHoles) {
  Make();
  ASSERT_EQ(::truncate(path().c_str(), 0), 0);
  ASSERT_EQ(::truncate(path().c_str(), Tail::kSize), 0);  // all hole: it would end the server by SIGBUS
  EXPECT_EQ(OpenError(), EINVAL);
  const struct stat st = Lstat(path());
  EXPECT_GE(static_cast<size_t>(st.st_blocks) * 512, Tail::kSize);
}

// --- format versions 1 and 2, as bytes

std::string Unhex(const std::string& text) {
  std::istringstream in(text);
  std::string bytes;
  for (std::string line; std::getline(in, line);) {
    for (size_t i = 0; i + 1 < line.size(); i += 2) bytes.push_back(static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string Hex(const std::string& bytes) {
  std::string text;
  char digits[3];
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(bytes[i]));
    text += digits;
    if (i % 32 == 31 || i + 1 == bytes.size()) text += "\n";
  }
  return text;
}

void FillGolden(Tail& tail) {
  JournalHeader& header = tail.header();
  header.root_inode = 2;
  header.root_birth_ns = 3;
  header.has_store = 1;
  header.boot_id = {'b', 'o', 'o', 't'};
  header.epoch = 4;
  header.verified_ns = 5;
  tail.Restart(100);
  const JournalName name{.dir = 6, .text = "name"};
  std::vector<Record> records = {
      {.type = RecordType::kTouch, .name = name, .former = {.existed = true, .upper_dir = 7, .upper_birth_ns = 8}},
      {.type = RecordType::kGone, .name = name, .inode = 9, .value = 1},
      {.type = RecordType::kEvent, .name = name, .event = 1, .from = "/from"},
      {.type = RecordType::kDirectory, .name = name, .inode = 10},
      {.type = RecordType::kDropDirectory, .inode = 11},
      {.type = RecordType::kRename, .name = name, .old_name = {.dir = 12, .text = "old"}, .inode = 13, .from = "/old"},
      {.type = RecordType::kOrigin, .inode = 14, .value = 15, .birth_ns = 16},
      {.type = RecordType::kDropOrigin, .inode = 17},
      {.type = RecordType::kLinksRemoved, .inode = 18, .device = 19, .value = 20},
      {.type = RecordType::kAlias, .name = name, .inode = 21},
      {.type = RecordType::kLinkGoes, .name = name, .inode = 22, .device = 23, .value = 24, .from = "a/b"},
      {.type = RecordType::kIndexedLinkGoes, .name = name, .inode = 25, .device = 26, .value = 27, .from = "c"},
      {.type = RecordType::kLinkSettled, .inode = 28, .device = 29},
      {.type = RecordType::kRemoved, .name = name, .inode = 30, .value = 1, .event = 3},
      {.type = RecordType::kMoved, .name = name, .old_name = {.dir = 31, .text = "old"}, .inode = 32, .value = 1, .event = 4, .from = "/old"},
      {.type = RecordType::kDropUnused, .inode = 33}};
  std::string bytes;
  for (Record& record : records) {
    record.sequence = tail.NextSequence();
    bytes.clear();
    EncodeRecord(record, &bytes);
    ASSERT_TRUE(tail.Append(bytes));
    tail.Appended(1);
  }
}

// The file that a golden one was made of.
std::string Unfold(const char* golden_path, size_t size) {
  const std::string golden = Unhex(ReadFile(golden_path));
  std::string bytes(size, '\0');
  if (golden.size() <= 72) return bytes;
  bytes.replace(0, 72, golden, 0, 72);
  return bytes.replace(4096, golden.size() - 72, golden, 72);
}

// A change of the format must come with another version, and with code that reads this one.
TEST_F(TailTest, HasTheBytesOfVersionThree) {
  std::unique_ptr<Tail> tail = Make();
  FillGolden(*tail);
  tail.reset();
  std::string bytes = ReadFile(path());
  // The header's 72 bytes, and all records.
  const size_t end = bytes.find_last_not_of('\0') + 1;
  bytes = bytes.substr(0, 72) + bytes.substr(4096, end - 4096);
  EXPECT_EQ(Hex(bytes), ReadFile(PLYFS_GOLDEN "/tail-3.hex"));
}

TEST_F(TailTest, ReadsVersionOne) {
  WriteFile(path(), Unfold(PLYFS_GOLDEN "/tail-1.hex", Tail::kSizeOfOneHalf));
  const std::unique_ptr<Tail> tail = Open();
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->header().magic, JournalHeader::kFirstMagic);
  EXPECT_EQ(tail->header().epoch, 4u);
  EXPECT_EQ(tail->NextSequence(), 111u);
  const std::vector<Record> records = tail->Records();
  ASSERT_EQ(records.size(), 10u);
  EXPECT_EQ(records[5].old_name.text, "old");
  EXPECT_EQ(records[9].inode, 21u);
  EXPECT_EQ(ReadFile(path()).size(), Tail::kSize);
}

TEST_F(TailTest, ReadsVersionTwo) {
  WriteFile(path(), Unfold(PLYFS_GOLDEN "/tail-2.hex", Tail::kSize));
  const std::unique_ptr<Tail> tail = Open();
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->NextSequence(), 114u);
  const std::vector<Record> records = tail->Records();
  ASSERT_EQ(records.size(), 13u);
  EXPECT_EQ(records[9].inode, 21u);
  EXPECT_EQ(records[10].from, "a/b");
  EXPECT_EQ(records[12].device, 29u);
}

TEST_F(TailTest, ReadsVersionThree) {
  WriteFile(path(), Unfold(PLYFS_GOLDEN "/tail-3.hex", Tail::kSize));
  const std::unique_ptr<Tail> tail = Open();
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->NextSequence(), 117u);
  const std::vector<Record> records = tail->Records();
  ASSERT_EQ(records.size(), 16u);
  EXPECT_EQ(records[13].event, 3u);
  EXPECT_EQ(records[14].old_name.text, "old");
}

}  // namespace
}  // namespace plyfs::test
