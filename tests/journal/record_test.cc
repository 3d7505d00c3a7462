// record_test.cc: records keep what they are given, and nothing that was damaged is taken for one.
#include "fs/journal/record.h"

#include <gtest/gtest.h>

#include <vector>

namespace plyfs::test {
namespace {

// One of each type, with all that the type keeps.
std::vector<Record> AllTypes() {
  const JournalName name{.dir = 0x1122334455667788, .text = "a name"};
  return {
      {.type = RecordType::kTouch,
       .sequence = 1,
       .name = name,
       .former = {.existed = true, .upper_dir = 77, .upper_birth_ns = -5}},
      {.type = RecordType::kGone, .sequence = 2, .name = name, .inode = 9, .value = 1},
      {.type = RecordType::kEvent, .sequence = 3, .name = name, .event = 4, .from = "/from/here"},
      {.type = RecordType::kDirectory, .sequence = 4, .name = name, .inode = UINT64_MAX},
      {.type = RecordType::kDropDirectory, .sequence = 5, .inode = 12},
      {.type = RecordType::kRename,
       .sequence = 6,
       .name = name,
       .old_name = {.dir = 3, .text = std::string(255, 'x')},
       .inode = 8,
       .from = std::string(4096, '/')},
      {.type = RecordType::kOrigin, .sequence = 7, .inode = 1, .value = 2, .birth_ns = 1'700'000'000'123'456'789},
      {.type = RecordType::kDropOrigin, .sequence = 8, .inode = 13},
      {.type = RecordType::kLinksRemoved, .sequence = 9, .inode = 1, .device = 2, .value = 3},
      {.type = RecordType::kLinkGoes, .sequence = 10, .name = name, .inode = 1, .device = 2, .value = 3, .from = "a/b"},
      {.type = RecordType::kIndexedLinkGoes, .sequence = 11, .name = name, .inode = 1, .device = 2, .value = 3},
      {.type = RecordType::kLinkSettled, .sequence = 12, .inode = 1, .device = 2},
      {.type = RecordType::kRemoved, .sequence = 13, .name = name, .inode = 1, .value = 2, .event = 3},
      {.type = RecordType::kMoved,
       .sequence = 14,
       .name = name,
       .old_name = {.dir = 3, .text = "old"},
       .inode = 8,
       .value = 1,
       .event = 4,
       .from = "/old"},
      {.type = RecordType::kDropUnused, .sequence = 15, .inode = 12},
      {.type = RecordType::kAlias, .sequence = UINT64_MAX, .name = {.dir = 0, .text = "\n\xff"}, .inode = 14},
  };
}

std::string Encoded(const Record& record) {
  std::string bytes;
  EncodeRecord(record, &bytes);
  return bytes;
}

void ExpectEqual(const Record& a, const Record& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.old_name, b.old_name);
  EXPECT_EQ(a.former.existed, b.former.existed);
  EXPECT_EQ(a.former.upper_dir, b.former.upper_dir);
  EXPECT_EQ(a.former.upper_birth_ns, b.former.upper_birth_ns);
  EXPECT_EQ(a.inode, b.inode);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.birth_ns, b.birth_ns);
  EXPECT_EQ(a.event, b.event);
  EXPECT_EQ(a.from, b.from);
}

TEST(Record, ReadsBackWhatWasWritten) {
  for (const Record& record : AllTypes()) {
    const std::string bytes = Encoded(record);
    const std::optional<DecodedRecord> decoded = DecodeRecord(bytes);
    ASSERT_TRUE(decoded) << static_cast<int>(record.type);
    EXPECT_EQ(decoded->size, bytes.size());
    ExpectEqual(decoded->record, record);
  }
}

TEST(Record, IsFollowedByTheNextOne) {
  std::string bytes;
  for (const Record& record : AllTypes()) EncodeRecord(record, &bytes);
  size_t at = 0;
  for (const Record& record : AllTypes()) {
    const std::optional<DecodedRecord> decoded = DecodeRecord({bytes.data() + at, bytes.size() - at});
    ASSERT_TRUE(decoded);
    ExpectEqual(decoded->record, record);
    at += decoded->size;
  }
  EXPECT_EQ(at, bytes.size());
}

TEST(Record, IsRefusedWhereverItIsCutOff) {
  for (const Record& record : AllTypes()) {
    const std::string bytes = Encoded(record);
    for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(DecodeRecord({bytes.data(), size})) << size;
  }
}

TEST(Record, IsRefusedWithAnyBitFlipped) {
  for (const Record& record : AllTypes()) {
    std::string bytes = Encoded(record);
    for (size_t i = 0; i < bytes.size() * 8; ++i) {
      bytes[i / 8] ^= static_cast<char>(1 << i % 8);
      EXPECT_FALSE(DecodeRecord(bytes)) << "bit " << i;
      bytes[i / 8] ^= static_cast<char>(1 << i % 8);
    }
  }
}

TEST(Record, ZerosAndNoiseAreNone) {
  EXPECT_FALSE(DecodeRecord(std::string(4096, '\0')));
  EXPECT_FALSE(DecodeRecord(std::string(4096, '\xff')));
  EXPECT_FALSE(DecodeRecord({}));
}

TEST(FieldReader, SaysWhenThereIsNoMore) {
  std::string bytes;
  PutU32(7, &bytes);
  PutText("abc", &bytes);
  FieldReader reader(bytes);
  EXPECT_EQ(reader.U32(), 7u);
  EXPECT_EQ(reader.Text(), "abc");
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.U64(), 0u);
  EXPECT_FALSE(reader.ok());
  FieldReader cut({bytes.data(), bytes.size() - 1});
  EXPECT_EQ(cut.U32(), 7u);
  EXPECT_EQ(cut.Text(), "");
  EXPECT_FALSE(cut.ok());
}

}  // namespace
}  // namespace plyfs::test
