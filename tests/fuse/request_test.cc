// request_test.cc: decoding stays inside of the message.
#include "fs/fuse/request.h"

#include <gtest/gtest.h>

#include "tests/fuse/fake_kernel.h"

namespace plyfs {
namespace {

// A message in memory as aligned as the real buffer.
class RequestTest : public testing::Test {
 protected:
  Result<Request> Parse(const std::string& message) {
    words_.assign(message.size() / 8 + 1, 0);
    std::memcpy(words_.data(), message.data(), message.size());
    return Request::Parse({reinterpret_cast<const char*>(words_.data()), message.size()});
  }
  Request Whole(std::string_view arguments) {
    return std::move(Parse(EncodeRequest(FUSE_LOOKUP, 7, 8, arguments))).value();
  }

 private:
  std::vector<uint64_t> words_;
};

TEST_F(RequestTest, TheHeaderIsTakenApart) {
  const Request request = Whole("");
  EXPECT_EQ(request.opcode(), uint32_t{FUSE_LOOKUP});
  EXPECT_EQ(request.node(), NodeId{7});
  EXPECT_EQ(request.unique(), 8u);
  EXPECT_EQ(request.caller(0777).umask, mode_t{0777});
  EXPECT_EQ(request.caller().uid, ::geteuid());
}

TEST_F(RequestTest, AMessageShorterThanAHeaderIsNone) {
  const std::string message = EncodeRequest(FUSE_LOOKUP, 1, 2, "");
  for (size_t length = 0; length < message.size(); ++length) {
    EXPECT_EQ(Parse(message.substr(0, length)).error(), EIO) << length;
  }
}

TEST_F(RequestTest, AMessageOfAnotherLengthThanItSaysIsNone) {
  std::string message = EncodeRequest(FUSE_LOOKUP, 1, 2, "name");
  EXPECT_EQ(Parse(message + "x").error(), EIO);
  EXPECT_EQ(Parse(message.substr(0, message.size() - 1)).error(), EIO);
}

TEST_F(RequestTest, AFixedArgumentMustBeWhole) {
  for (size_t length = 0; length < sizeof(fuse_mknod_in); ++length) {
    Request request = Whole(std::string(length, 'x'));
    EXPECT_EQ(request.Take<fuse_mknod_in>().error(), EIO) << length;
  }
}

TEST_F(RequestTest, NamesFollowOneAnother) {
  Request request = Whole(std::string_view("one\0two\0", 8));
  EXPECT_EQ(request.TakeName()->view(), "one");
  EXPECT_EQ(request.TakeName()->view(), "two");
  EXPECT_EQ(request.TakeName().error(), EIO);
}

TEST_F(RequestTest, ANameWithoutItsEndIsRefused) {
  Request request = Whole("unterminated");
  EXPECT_EQ(request.TakeName().error(), EIO);
}

struct BadName {
  std::string name;
  int error;
};

TEST_F(RequestTest, NamesThatNoComponentCanHaveAreRefused) {
  const BadName kRows[] = {{"", EINVAL},    {".", EINVAL}, {"..", EINVAL},
                           {"a/b", EINVAL}, {"/", EINVAL}, {std::string(256, 'n'), ENAMETOOLONG},
                           {"...", 0},      {"\n\xff", 0}, {std::string(255, 'n'), 0}};
  for (const BadName& row : kRows) {
    std::string argument = row.name;
    argument.push_back('\0');
    Request request = Whole(argument);
    EXPECT_EQ(request.TakeName().error(), row.error) << row.name;
  }
}

TEST_F(RequestTest, BytesBeyondTheEndAreRefused) {
  Request request = Whole("12345");
  EXPECT_EQ(request.TakeBytes(6).error(), EIO);
  EXPECT_EQ(request.TakeBytes(SIZE_MAX).error(), EIO);
  EXPECT_EQ(request.TakeBytes(5)->size(), 5u);
  EXPECT_EQ(request.TakeBytes(0)->size(), 0u);
}

}  // namespace
}  // namespace plyfs
