// malformed_test.cc: messages that no kernel sends end in an error reply, never in a crash.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>

#include "tests/fuse/dispatch_fixture.h"

namespace plyfs {
namespace {

struct OpcodeRow {
  const char* name;
  uint32_t opcode;
  size_t fixed;    // bytes of the fixed argument
  unsigned names;  // NUL-terminated arguments behind it
};

constexpr OpcodeRow kRows[] = {
    {"LOOKUP", FUSE_LOOKUP, 0, 1},
    {"SETATTR", FUSE_SETATTR, sizeof(fuse_setattr_in), 0},
    {"SYMLINK", FUSE_SYMLINK, 0, 2},
    {"MKNOD", FUSE_MKNOD, sizeof(fuse_mknod_in), 1},
    {"MKDIR", FUSE_MKDIR, sizeof(fuse_mkdir_in), 1},
    {"UNLINK", FUSE_UNLINK, 0, 1},
    {"RMDIR", FUSE_RMDIR, 0, 1},
    {"RENAME", FUSE_RENAME, sizeof(fuse_rename_in), 2},
    {"RENAME2", FUSE_RENAME2, sizeof(fuse_rename2_in), 2},
    {"LINK", FUSE_LINK, sizeof(fuse_link_in), 1},
    {"READ", FUSE_READ, sizeof(fuse_read_in), 0},
    {"WRITE", FUSE_WRITE, sizeof(fuse_write_in), 0},
    {"FSYNC", FUSE_FSYNC, sizeof(fuse_fsync_in), 0},
    {"FSYNCDIR", FUSE_FSYNCDIR, sizeof(fuse_fsync_in), 0},
    {"SETXATTR", FUSE_SETXATTR, sizeof(fuse_setxattr_in), 1},
    {"GETXATTR", FUSE_GETXATTR, sizeof(fuse_getxattr_in), 1},
    {"LISTXATTR", FUSE_LISTXATTR, sizeof(fuse_getxattr_in), 0},
    {"REMOVEXATTR", FUSE_REMOVEXATTR, 0, 1},
    {"READDIR", FUSE_READDIR, sizeof(fuse_read_in), 0},
    {"READDIRPLUS", FUSE_READDIRPLUS, sizeof(fuse_read_in), 0},
    {"IOCTL", FUSE_IOCTL, sizeof(fuse_ioctl_in), 0},
    {"FALLOCATE", FUSE_FALLOCATE, sizeof(fuse_fallocate_in), 0},
    {"LSEEK", FUSE_LSEEK, sizeof(fuse_lseek_in), 0},
    {"COPY_FILE_RANGE", FUSE_COPY_FILE_RANGE, sizeof(fuse_copy_file_range_in), 0},
    {"COPY_FILE_RANGE_64", abi::kCopyFileRange64, sizeof(fuse_copy_file_range_in), 0},
    {"TMPFILE", FUSE_TMPFILE, sizeof(fuse_create_in), 0},
};

class MalformedTest : public testing::TestWithParam<OpcodeRow>, public DispatchFixture {
 protected:
  void SetUp() override { Init(); }
};

TEST_P(MalformedTest, AFixedArgumentThatIsCutOffIsEIO) {
  for (size_t length = 0; length < GetParam().fixed; ++length) {
    EXPECT_EQ(Ask(GetParam().opcode, 1, Arguments().Raw(std::string(length, '\0'))).error, EIO)
        << length;
  }
}

TEST_P(MalformedTest, ANameWithoutItsEndIsEIO) {
  if (GetParam().names == 0) return;  // nothing to cut off
  std::string arguments(GetParam().fixed, '\0');
  for (unsigned name = 0; name < GetParam().names; ++name) {
    EXPECT_EQ(Ask(GetParam().opcode, 1, Arguments().Raw(arguments)).error, EIO) << "no name";
    EXPECT_EQ(Ask(GetParam().opcode, 1, Arguments().Raw(arguments + "name")).error, EIO);
    arguments += std::string("name\0", 5);
  }
}

TEST_P(MalformedTest, AHeaderWithAWrongLengthHasNoReplyThatItCouldTrust) {
  std::string message = EncodeRequest(GetParam().opcode, 1, 77, std::string(200, '\0'));
  EXPECT_FALSE(DispatchRaw(message.substr(0, 100)).has_value());
}

INSTANTIATE_TEST_SUITE_P(EachOpcode, MalformedTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

class MalformedDataTest : public testing::Test, public DispatchFixture {
 protected:
  void SetUp() override { Init(); }
};

TEST_F(MalformedDataTest, AWriteThatClaimsMoreThanItBringsIsEIO) {
  const uint64_t file = Lookup(1, TestUnion::kLowerFile).nodeid;
  for (const uint32_t size : {5u, 1u << 20, ~0u}) {
    const fuse_write_in in{.size = size};
    EXPECT_EQ(Ask(FUSE_WRITE, file, Arguments().Add(in).Raw("four")).error, EIO) << size;
  }
  EXPECT_EQ(Read(FUSE_READ, file, 0, 100).data, TestUnion::kLowerContent);
}

TEST_F(MalformedDataTest, AnXattrThatClaimsMoreThanItBringsIsEIO) {
  const fuse_setxattr_in in{.size = ~0u};
  EXPECT_EQ(Ask(FUSE_SETXATTR, 1, Arguments().Add(in).Name("user.x").Raw("y")).error, EIO);
}

TEST_F(MalformedDataTest, AnIoctlThatClaimsMoreThanItBringsIsEIO) {
  const fuse_ioctl_in in{.cmd = static_cast<uint32_t>(FS_IOC_SETFLAGS), .in_size = ~0u};
  EXPECT_EQ(Ask(FUSE_IOCTL, 1, Arguments().Add(in)).error, EIO);
}

TEST_F(MalformedDataTest, AnInitThatIsCutOffAgreesOnNothing) {
  DispatchFixture fresh;
  const std::string whole = InitArguments().bytes();
  for (size_t length = 0; length < 20; ++length) {
    EXPECT_EQ(fresh.Ask(FUSE_INIT, 0, Arguments().Raw(whole.substr(0, length))).error, EIO)
        << length;
    EXPECT_FALSE(fresh.dispatcher().initialised());
  }
}

TEST_F(MalformedDataTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"..", ".", "", "a/b", "/etc"}) {
    EXPECT_EQ(Ask(FUSE_LOOKUP, 1, Arguments().Name(name)).error, EINVAL) << name;
    EXPECT_EQ(Ask(FUSE_UNLINK, 1, Arguments().Name(name)).error, EINVAL) << name;
    EXPECT_EQ(Ask(FUSE_MKDIR, 1, Arguments().Add(fuse_mkdir_in{.mode = 0755}).Name(name)).error,
              EINVAL);
  }
}

// Random bytes behind a sound header: every message ends in at most one reply, and the server goes
// on.
TEST_F(MalformedDataTest, RandomArgumentsDoNoHarm) {
  std::mt19937 random(20240607);  // the same bytes in every run
  for (int round = 0; round < 20'000; ++round) {
    const uint32_t opcode = random() % (abi::kOpcodeEnd + 2);
    if (opcode == FUSE_INIT) continue;
    std::string arguments(random() % 160, '\0');
    // Mostly small numbers: they pass the first checks.
    for (char& byte : arguments) byte = random() % 3 == 0 ? static_cast<char>(random()) : '\0';
    const uint64_t node = random() % 4;
    DispatchRaw(EncodeRequest(opcode, node, 1000 + round, arguments));
    EXPECT_FALSE(kernel().Receive(0).has_value()) << "a second reply to opcode " << opcode;
  }
  EXPECT_EQ(Ask(FUSE_STATFS, 1).error, 0);
}

}  // namespace
}  // namespace plyfs
