// uring_entry_test.cc: requests put together from what the kernel leaves in an entry, and replies
// taken apart; this test is the kernel. Real rings are in tests/mount/uring_test.cc.
#include "fs/fuse/uring_entry.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>

#include "fs/fuse/request.h"

namespace plyfs {
namespace {

constexpr size_t kMaxPayload = 64 * 1024;

class UringEntryTest : public testing::Test {
 protected:
  abi::UringHeader& header() { return *static_cast<abi::UringHeader*>(entry_.areas()[0].iov_base); }
  char* payload() { return static_cast<char*>(entry_.areas()[1].iov_base); }

  // What the kernel writes for a request. `length`: of the whole, as its header says.
  void Arrive(std::string_view fixed, std::string_view rest, size_t length) {
    const fuse_in_header in{
        .len = static_cast<uint32_t>(length), .opcode = FUSE_WRITE, .unique = 42, .nodeid = 7};
    std::memcpy(header().in_out, &in, sizeof in);
    std::memcpy(header().op_in, fixed.data(), fixed.size());
    std::memcpy(payload(), rest.data(), rest.size());
    header().ring_ent_in_out.commit_id = 4711;
    header().ring_ent_in_out.payload_sz = static_cast<uint32_t>(rest.size());
  }
  void Arrive(std::string_view fixed, std::string_view rest) {
    Arrive(fixed, rest, sizeof(fuse_in_header) + fixed.size() + rest.size());
  }
  fuse_out_header Answer() {
    fuse_out_header out;
    std::memcpy(&out, header().in_out, sizeof out);
    return out;
  }
  Errno Send(std::string_view data) {
    fuse_out_header out{.len = static_cast<uint32_t>(sizeof out + data.size()), .unique = 42};
    const iovec parts[] = {{.iov_base = &out, .iov_len = sizeof out},
                           {.iov_base = const_cast<char*>(data.data()), .iov_len = data.size()}};
    return entry_.Send(parts);
  }

  UringEntry entry_{3, kMaxPayload};
};

TEST_F(UringEntryTest, ThePartsOfARequestBecomeOneMessage) {
  const std::string fixed(40, 'f'), rest(5000, 'r');
  Arrive(fixed, rest);
  Result<Request> request = Request::Parse(entry_.Received());
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->node(), NodeId{7});
  const auto bytes = request->TakeBytes(fixed.size() + rest.size());
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(std::string_view(bytes->data(), bytes->size()), fixed + rest);
  EXPECT_EQ(bytes->data() + fixed.size(), payload()) << "the payload was copied";
  EXPECT_EQ(entry_.commit_id(), 4711u);
}

TEST_F(UringEntryTest, ARequestMayHaveNoFixedArgumentOrNoPayload) {
  Arrive("", std::string_view("name\0", 5));
  EXPECT_EQ(entry_.Received().size(), sizeof(fuse_in_header) + 5);
  Arrive(std::string(16, 'f'), "");
  EXPECT_EQ(entry_.Received().size(), sizeof(fuse_in_header) + 16);
  Arrive("", "");
  EXPECT_EQ(entry_.Received().size(), sizeof(fuse_in_header));
}

TEST_F(UringEntryTest, LengthsThatDoNotFitTogetherAreNoRequest) {
  Arrive("", "payload", sizeof(fuse_in_header) + 3);
  EXPECT_TRUE(entry_.Received().empty());
  Arrive("", "", 0);
  EXPECT_TRUE(entry_.Received().empty());
  Arrive("", "", sizeof(fuse_in_header) + 129);  // beyond the area of the fixed argument
  EXPECT_TRUE(entry_.Received().empty());
  Arrive("", "", sizeof(fuse_in_header) + (1 << 21));
  header().ring_ent_in_out.payload_sz = 1 << 21;
  EXPECT_TRUE(entry_.Received().empty());
}

TEST_F(UringEntryTest, UntilThereIsAReplyItIsEio) {
  Arrive("", "");
  (void)entry_.Received();
  EXPECT_EQ(Answer().error, -EIO);
  EXPECT_EQ(Answer().unique, 42u);
  EXPECT_EQ(header().ring_ent_in_out.payload_sz, 0u);
}

TEST_F(UringEntryTest, AReplyIsTakenApart) {
  Arrive("", "");
  (void)entry_.Received();
  EXPECT_TRUE(Send("attributes").ok());
  EXPECT_EQ(Answer().error, 0);
  EXPECT_EQ(header().ring_ent_in_out.payload_sz, 10u);
  EXPECT_EQ(std::string_view(payload(), 10), "attributes");
}

TEST_F(UringEntryTest, DataThatWasReadIntoTheBufferStaysThere) {
  Arrive("", "");
  (void)entry_.Received();
  const std::span<char> room = entry_.buffer().reply_data();
  EXPECT_EQ(room.data(), payload());
  EXPECT_EQ(room.size(), kMaxPayload);
  std::memset(room.data(), 'd', room.size());
  EXPECT_TRUE(Send({room.data(), room.size()}).ok());
  EXPECT_EQ(header().ring_ent_in_out.payload_sz, kMaxPayload);
  EXPECT_EQ(payload()[kMaxPayload - 1], 'd');
}

TEST_F(UringEntryTest, AReplyThatIsTooLongStaysEio) {
  Arrive("", "");
  (void)entry_.Received();
  EXPECT_EQ(Send(std::string(entry_.areas()[1].iov_len + 1, 'x')), Errno(EINVAL));
  EXPECT_EQ(Answer().error, -EIO);
}

}  // namespace
}  // namespace plyfs
