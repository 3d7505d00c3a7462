// dir_reply_test.cc: listings in the kernel's format.
#include "fs/fuse/dir_reply.h"

#include <dirent.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace plyfs {
namespace {

class DirReplyTest : public testing::TestWithParam<ReaddirMode> {
 protected:
  size_t NameOffset() const {
    return GetParam() == ReaddirMode::kPlus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  }
  DirReply Reply(size_t size) {
    words_.assign(size / 8 + 1, ~uint64_t{0});  // what was there before must not shine through
    return {std::span(reinterpret_cast<char*>(words_.data()), size), GetParam(),
            Validity::FromSeconds(1)};
  }
  const fuse_dirent* At(const DirReply& reply, size_t offset) const {
    const size_t skip = GetParam() == ReaddirMode::kPlus ? sizeof(fuse_entry_out) : 0;
    return reinterpret_cast<const fuse_dirent*>(reply.bytes().data() + offset + skip);
  }

 private:
  std::vector<uint64_t> words_;
};

TEST_P(DirReplyTest, RecordsAreAlignedAndCarryWhatWasAdded) {
  DirReply reply = Reply(4096);
  size_t offset = 0;
  for (size_t length = 1; length <= 20; ++length) {
    const std::string name(length, 'n');
    reply.Add(name, Ino{100 + length}, DT_REG, 1000 + length, nullptr);
    const fuse_dirent* record = At(reply, offset);
    EXPECT_EQ(record->ino, 100 + length);
    EXPECT_EQ(record->off, 1000 + length);
    EXPECT_EQ(record->type, uint32_t{DT_REG});
    EXPECT_EQ(std::string(record->name, record->namelen), name);
    offset += FUSE_REC_ALIGN(NameOffset() + length);
    EXPECT_EQ(reply.bytes().size(), offset);
    EXPECT_EQ(offset % 8, 0u);
  }
}

TEST_P(DirReplyTest, FitsSaysExactlyWhetherAnEntryIsTaken) {
  for (size_t size = 0; size < 400; ++size) {
    DirReply reply = Reply(size);
    const bool fits = reply.Fits(10);
    reply.Add("0123456789", Ino{1}, DT_DIR, 1, nullptr);
    EXPECT_EQ(!reply.bytes().empty(), fits) << size;
    EXPECT_EQ(fits, size >= FUSE_REC_ALIGN(NameOffset() + 10)) << size;
  }
}

TEST_P(DirReplyTest, TheLongestNameFitsIntoOnePage) {
  DirReply reply = Reply(4096);
  EXPECT_TRUE(reply.Fits(255));
  reply.Add(std::string(255, 'x'), Ino{1}, DT_REG, 1, nullptr);
  EXPECT_FALSE(reply.bytes().empty());
}

TEST_P(DirReplyTest, PaddingIsZero) {
  DirReply reply = Reply(512);
  reply.Add("a", Ino{1}, DT_REG, 1, nullptr);
  for (size_t i = NameOffset() + 1; i < reply.bytes().size(); ++i) EXPECT_EQ(reply.bytes()[i], 0);
}

TEST_P(DirReplyTest, OnlyEntriesThatWereCountedAreVisited) {
  DirReply reply = Reply(4096);
  Entry counted;
  counted.id = NodeId{42};
  reply.Add(".", Ino{1}, DT_DIR, 1, nullptr);
  reply.Add("file", Ino{2}, DT_REG, 2, &counted);
  std::vector<NodeId> visited;
  reply.ForEachCounted([&](NodeId id) { visited.push_back(id); });
  const bool plus = GetParam() == ReaddirMode::kPlus;
  EXPECT_EQ(visited, plus ? std::vector{NodeId{42}} : std::vector<NodeId>{});
}

INSTANTIATE_TEST_SUITE_P(BothFormats, DirReplyTest,
                         testing::Values(ReaddirMode::kNames, ReaddirMode::kPlus),
                         [](const auto& row) {
                           return row.param == ReaddirMode::kPlus ? "Plus" : "Names";
                         });

}  // namespace
}  // namespace plyfs
