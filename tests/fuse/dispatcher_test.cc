// dispatcher_test.cc: each request gets the reply that the protocol asks for.
#include "fs/fuse/dispatcher.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "tests/fuse/dispatch_fixture.h"

namespace plyfs {
namespace {

class DispatcherTest : public testing::Test, public DispatchFixture {
 protected:
  void SetUp() override { Init(); }
  uint64_t LowerFile() { return Lookup(1, TestUnion::kLowerFile).nodeid; }
};

TEST_F(DispatcherTest, InitAgreesOnlyWithItsOwnMajorVersion) {
  DispatchFixture fresh;
  fuse_init_in in{};
  in.major = 8;
  const FakeReply newer = fresh.Ask(FUSE_INIT, 0, Arguments().Add(in));
  EXPECT_EQ(newer.error, 0);
  EXPECT_EQ(newer.As<fuse_init_out>().major, 7u);
  EXPECT_FALSE(fresh.dispatcher().initialised());
  in.major = 6;
  EXPECT_EQ(fresh.Ask(FUSE_INIT, 0, Arguments().Add(in)).error, EPROTO);
  EXPECT_EQ(fresh.Ask(FUSE_INIT, 0, InitArguments()).error, 0);
  EXPECT_TRUE(fresh.dispatcher().initialised());
}

TEST_F(DispatcherTest, OpensAndFlushesAreLeftToTheKernel) {
  const uint64_t file = LowerFile();
  EXPECT_EQ(Ask(FUSE_OPEN, file, Arguments().Add(fuse_open_in{})).error, ENOSYS);
  EXPECT_EQ(Ask(FUSE_OPENDIR, 1, Arguments().Add(fuse_open_in{})).error, ENOSYS);
  EXPECT_EQ(Ask(FUSE_FLUSH, file, Arguments().Add(fuse_flush_in{})).error, ENOSYS);
  EXPECT_EQ(Ask(FUSE_CREATE, 1, Arguments().Add(fuse_create_in{}).Name("x")).error, ENOSYS);
  EXPECT_EQ(Ask(FUSE_RELEASE, file, Arguments().Add(fuse_release_in{})).error, 0);
  EXPECT_EQ(Ask(FUSE_RELEASEDIR, 1, Arguments().Add(fuse_release_in{})).error, 0);
}

TEST_F(DispatcherTest, AKernelWithoutZeroMessageOpensGetsHandles) {
  DispatchFixture old;
  const uint64_t without = ~(uint64_t{FUSE_NO_OPEN_SUPPORT} | FUSE_NO_OPENDIR_SUPPORT);
  EXPECT_EQ(old.Ask(FUSE_INIT, 0, InitArguments(without)).error, 0);
  const FakeReply open = old.Ask(FUSE_OPEN, 1, Arguments().Add(fuse_open_in{}));
  EXPECT_EQ(open.error, 0);
  EXPECT_EQ(open.As<fuse_open_out>().open_flags, uint32_t{FOPEN_KEEP_CACHE});
  EXPECT_EQ(old.Ask(FUSE_OPENDIR, 1, Arguments().Add(fuse_open_in{})).error, 0);
}

TEST_F(DispatcherTest, WhatIsNotKnownIsENOSYS) {
  for (const uint32_t opcode : {0u, 7u, 19u, uint32_t{FUSE_POLL}, uint32_t{FUSE_BMAP},
                                uint32_t{FUSE_GETLK}, uint32_t{FUSE_SETLKW}, uint32_t{FUSE_ACCESS},
                                uint32_t{FUSE_SETUPMAPPING}, 54u, 1000u, ~0u}) {
    EXPECT_EQ(Ask(opcode, 1, Arguments().Raw(std::string(64, '\0'))).error, ENOSYS) << opcode;
  }
}

TEST_F(DispatcherTest, LookupTellsPresentFromAbsent) {
  const fuse_entry_out file = Lookup(1, TestUnion::kLowerFile);
  EXPECT_NE(file.nodeid, 0u);
  EXPECT_EQ(file.attr.size, std::strlen(TestUnion::kLowerContent));
  EXPECT_EQ(file.entry_valid, 1u);
  const fuse_entry_out absent = Lookup(1, "absent");
  EXPECT_EQ(absent.nodeid, 0u);
  EXPECT_EQ(absent.entry_valid, 1u);
}

TEST_F(DispatcherTest, ForgetIsSilent) {
  const uint64_t file = LowerFile();
  const std::string one =
      EncodeRequest(FUSE_FORGET, file, 99, Arguments().Add(fuse_forget_in{1}).bytes());
  EXPECT_FALSE(DispatchRaw(one).has_value());
  const uint64_t again = LowerFile();
  const Arguments batch =
      Arguments().Add(fuse_batch_forget_in{.count = 1}).Add(fuse_forget_one{again, 1});
  EXPECT_FALSE(DispatchRaw(EncodeRequest(FUSE_BATCH_FORGET, 0, 99, batch.bytes())).has_value());
  // A count that is larger than the message must not be followed.
  const Arguments lie = Arguments().Add(fuse_batch_forget_in{.count = ~0u});
  EXPECT_FALSE(DispatchRaw(EncodeRequest(FUSE_BATCH_FORGET, 0, 99, lie.bytes())).has_value());
}

TEST_F(DispatcherTest, AFileIsMadeWrittenAndRead) {
  const FakeReply made =
      Ask(FUSE_MKNOD, 1,
          Arguments().Add(fuse_mknod_in{.mode = S_IFREG | 0666, .umask = 022}).Name("new"));
  ASSERT_EQ(made.error, 0);
  const auto entry = made.As<fuse_entry_out>();
  EXPECT_EQ(entry.attr.mode, uint32_t{S_IFREG | 0644});
  const FakeReply written = Write(entry.nodeid, 0, "hello");
  EXPECT_EQ(written.As<fuse_write_out>().size, 5u);
  EXPECT_EQ(Read(FUSE_READ, entry.nodeid, 0, 100).data, "hello");
  EXPECT_EQ(Read(FUSE_READ, entry.nodeid, 4, 1).data, "o");
  EXPECT_EQ(Read(FUSE_READ, entry.nodeid, 5, 10).data, "");
}

TEST_F(DispatcherTest, AReadBeyondTheBufferIsRefusedNotShortened) {
  EXPECT_EQ(Read(FUSE_READ, LowerFile(), 0, kMaxWrite + 1).error, EIO);
}

TEST_F(DispatcherTest, ALowerFileIsWrittenThroughItsOldNode) {
  const uint64_t file = LowerFile();
  EXPECT_EQ(Write(file, 0, "W").error, 0);
  EXPECT_EQ(Read(FUSE_READ, file, 0, 4).data, "What");
  EXPECT_EQ(LowerFile(), file);
}

TEST_F(DispatcherTest, SetattrChangesWhatIsMarked) {
  const uint64_t file = LowerFile();
  fuse_setattr_in in{};
  in.valid = FATTR_MODE | FATTR_SIZE | FATTR_MTIME;
  in.mode = 0600;
  in.size = 4;
  in.mtime = static_cast<uint64_t>(-100);
  const FakeReply reply = Ask(FUSE_SETATTR, file, Arguments().Add(in));
  ASSERT_EQ(reply.error, 0);
  const auto out = reply.As<fuse_attr_out>();
  EXPECT_EQ(out.attr.mode & 07777, 0600u);
  EXPECT_EQ(out.attr.size, 4u);
  EXPECT_EQ(static_cast<int64_t>(out.attr.mtime), -100);
  EXPECT_EQ(
      Ask(FUSE_GETATTR, file, Arguments().Add(fuse_getattr_in{})).As<fuse_attr_out>().attr.size,
      4u);
}

TEST_F(DispatcherTest, StatxShowsTheBirthTime) {
  const FakeReply reply = Ask(abi::kStatx, LowerFile(), Arguments().Add(abi::StatxIn{}));
  ASSERT_EQ(reply.error, 0);
  const auto out = reply.As<abi::StatxOut>();
  EXPECT_EQ(out.stat.mask & STATX_BASIC_STATS, uint32_t{STATX_BASIC_STATS});
  EXPECT_NE(out.stat.mask & STATX_BTIME, 0u);
}

TEST_F(DispatcherTest, NamesAreMovedLinkedAndRemoved) {
  EXPECT_EQ(Ask(FUSE_MKDIR, 1, Arguments().Add(fuse_mkdir_in{.mode = 0755}).Name("dir")).error, 0);
  const uint64_t dir = Lookup(1, "dir").nodeid;
  const uint64_t file = LowerFile();
  EXPECT_EQ(Ask(FUSE_LINK, dir, Arguments().Add(fuse_link_in{file}).Name("alias")).error, 0);
  EXPECT_EQ(Lookup(dir, "alias").nodeid, file);
  EXPECT_EQ(
      Ask(FUSE_RENAME, dir, Arguments().Add(fuse_rename_in{1}).Name("alias").Name("moved")).error,
      0);
  const fuse_rename2_in exclusive{.newdir = 1, .flags = RENAME_NOREPLACE};
  EXPECT_EQ(Ask(FUSE_RENAME2, 1, Arguments().Add(exclusive).Name("moved").Name("dir")).error,
            EEXIST);
  EXPECT_EQ(Ask(FUSE_SYMLINK, 1, Arguments().Name("sym").Name("target/..//x")).error, 0);
  EXPECT_EQ(Ask(FUSE_READLINK, Lookup(1, "sym").nodeid).data, "target/..//x");
  EXPECT_EQ(Ask(FUSE_UNLINK, 1, Arguments().Name("moved")).error, 0);
  EXPECT_EQ(Ask(FUSE_RMDIR, 1, Arguments().Name("dir")).error, 0);
  EXPECT_EQ(Ask(FUSE_RMDIR, 1, Arguments().Name(TestUnion::kLowerDir)).error, ENOTEMPTY);
  EXPECT_EQ(Lookup(1, "dir").nodeid, 0u);
}

TEST_F(DispatcherTest, TmpfileRepliesWithAnEntryAndAnOpenFile) {
  const FakeReply reply =
      Ask(FUSE_TMPFILE, 1, Arguments().Add(fuse_create_in{.mode = S_IFREG | 0600}).Name("/"));
  ASSERT_EQ(reply.error, 0);
  ASSERT_EQ(reply.data.size(), sizeof(fuse_entry_out) + sizeof(fuse_open_out));
  const uint64_t node = reply.As<fuse_entry_out>().nodeid;
  EXPECT_EQ(Write(node, 0, "unnamed").error, 0);
  EXPECT_EQ(Ask(FUSE_LINK, 1, Arguments().Add(fuse_link_in{node}).Name("named")).error, 0);
  EXPECT_EQ(Lookup(1, "named").nodeid, node);
}

TEST_F(DispatcherTest, XattrsAnswerSizesAndERANGE) {
  const uint64_t file = LowerFile();
  const fuse_setxattr_in in{.size = 5};
  ASSERT_EQ(Ask(FUSE_SETXATTR, file, Arguments().Add(in).Name("user.a/b").Raw("value")).error, 0);
  const auto get = [&](uint32_t size) {
    return Ask(FUSE_GETXATTR, file,
               Arguments().Add(fuse_getxattr_in{.size = size}).Name("user.a/b"));
  };
  EXPECT_EQ(get(0).As<fuse_getxattr_out>().size, 5u);
  EXPECT_EQ(get(4).error, ERANGE);
  EXPECT_EQ(get(5).data, "value");
  const auto list = [&](uint32_t size) {
    return Ask(FUSE_LISTXATTR, file, Arguments().Add(fuse_getxattr_in{.size = size}));
  };
  EXPECT_GE(list(0).As<fuse_getxattr_out>().size, 9u);
  EXPECT_EQ(list(1).error, ERANGE);
  EXPECT_NE(list(4096).data.find(std::string("user.a/b\0", 9)), std::string::npos);
  EXPECT_EQ(Ask(FUSE_REMOVEXATTR, file, Arguments().Name("user.a/b")).error, 0);
  EXPECT_EQ(get(0).error, ENODATA);
}

TEST_F(DispatcherTest, AShortSetxattrIsUnderstoodFromAKernelThatHasNoOther) {
  DispatchFixture old;
  old.Ask(FUSE_INIT, 0, InitArguments(~uint64_t{FUSE_SETXATTR_EXT}));
  const uint64_t file = old.Lookup(1, TestUnion::kLowerFile).nodeid;
  struct Short {
    uint32_t size, flags;
  };
  EXPECT_EQ(
      old.Ask(FUSE_SETXATTR, file, Arguments().Add(Short{1, 0}).Name("user.x").Raw("y")).error, 0);
}

// All names of a listing that is read in pieces of `size` bytes.
std::multiset<std::string> ListAll(DispatchFixture& server, uint32_t opcode, uint64_t node,
                                   uint32_t size) {
  std::multiset<std::string> names;
  uint64_t cookie = 0;
  const size_t skip = opcode == FUSE_READDIRPLUS ? sizeof(fuse_entry_out) : 0;
  for (int piece = 0; piece < 1000; ++piece) {
    const FakeReply reply = server.Read(opcode, node, cookie, size);
    EXPECT_EQ(reply.error, 0);
    EXPECT_LE(reply.data.size(), size);
    if (reply.data.empty()) return names;
    for (size_t at = 0; at < reply.data.size();) {
      fuse_dirent record;
      std::memcpy(&record, reply.data.data() + at + skip, sizeof record);
      names.emplace(reply.data.data() + at + skip + FUSE_NAME_OFFSET, record.namelen);
      cookie = record.off;
      at += skip + FUSE_REC_ALIGN(FUSE_NAME_OFFSET + record.namelen);
    }
  }
  ADD_FAILURE() << "the listing does not end";
  return names;
}

TEST_F(DispatcherTest, AListingInPiecesHasEveryNameOnce) {
  const uint64_t dir = Lookup(1, TestUnion::kLowerDir).nodeid;
  for (const uint32_t opcode : {uint32_t{FUSE_READDIR}, uint32_t{FUSE_READDIRPLUS}}) {
    for (const uint32_t size : {300u, 1024u, 4096u, 65536u}) {
      const auto names = ListAll(*this, opcode, dir, size);
      EXPECT_EQ(names.size(), TestUnion::kDirEntries + 2u) << opcode << " by " << size;
      EXPECT_EQ(std::set(names.begin(), names.end()).size(), names.size());
    }
  }
}

TEST_F(DispatcherTest, AListingWhoseReplyIsLostCountsNothing) {
  const uint64_t dir = Lookup(1, TestUnion::kLowerDir).nodeid;
  const uint64_t before = overlay().Counters().nodes;
  fuse_read_in in{.size = 65536};
  const std::string message = EncodeRequest(FUSE_READDIRPLUS, dir, 3, Arguments().Add(in).bytes());
  kernel().Hangup();
  DispatchRaw(message);
  EXPECT_EQ(overlay().Counters().nodes, before);
}

TEST_F(DispatcherTest, AnEntryWhoseReplyIsLostIsForgotten) {
  const uint64_t before = overlay().Counters().nodes;
  const std::string message =
      EncodeRequest(FUSE_LOOKUP, 1, 3, Arguments().Name(TestUnion::kLowerFile).bytes());
  kernel().Hangup();
  DispatchRaw(message);
  EXPECT_EQ(overlay().Counters().nodes, before);
}

TEST_F(DispatcherTest, UnknownIoctlsAreENOTTYAndShortOnesEINVAL) {
  const uint64_t file = LowerFile();
  EXPECT_EQ(
      Ask(FUSE_IOCTL, file, Arguments().Add(fuse_ioctl_in{.cmd = 0x5401, .out_size = 60})).error,
      ENOTTY);
  const fuse_ioctl_in short_flags{.cmd = static_cast<uint32_t>(FS_IOC_GETFLAGS), .out_size = 3};
  EXPECT_EQ(Ask(FUSE_IOCTL, file, Arguments().Add(short_flags)).error, EINVAL);
  const fuse_ioctl_in flags{.cmd = static_cast<uint32_t>(FS_IOC_GETFLAGS), .out_size = sizeof(int)};
  const FakeReply reply = Ask(FUSE_IOCTL, file, Arguments().Add(flags));
  EXPECT_TRUE(reply.error == ENOTTY || reply.data.size() == sizeof(fuse_ioctl_out) + sizeof(int));
}

TEST_F(DispatcherTest, SeekStatfsAndSyncAnswer) {
  const uint64_t file = LowerFile();
  const fuse_lseek_in seek{.offset = 0, .whence = SEEK_HOLE};
  EXPECT_EQ(Ask(FUSE_LSEEK, file, Arguments().Add(seek)).As<fuse_lseek_out>().offset,
            std::strlen(TestUnion::kLowerContent));
  EXPECT_EQ(Ask(FUSE_STATFS, 1).As<fuse_statfs_out>().st.namelen, 255u);
  EXPECT_EQ(Ask(FUSE_FSYNC, file, Arguments().Add(fuse_fsync_in{})).error, 0);
  EXPECT_EQ(Ask(FUSE_FSYNCDIR, 1, Arguments().Add(fuse_fsync_in{})).error, 0);
  EXPECT_EQ(Ask(FUSE_SYNCFS, 1, Arguments().Add(fuse_syncfs_in{})).error, 0);
}

TEST_F(DispatcherTest, CopyFileRangeSaysHowMuchInEitherFormat) {
  const FakeReply made =
      Ask(FUSE_MKNOD, 1, Arguments().Add(fuse_mknod_in{.mode = S_IFREG | 0600}).Name("copy"));
  const uint64_t copy = made.As<fuse_entry_out>().nodeid;
  fuse_copy_file_range_in in{.nodeid_out = copy, .len = 4};
  EXPECT_EQ(Ask(FUSE_COPY_FILE_RANGE, LowerFile(), Arguments().Add(in)).As<fuse_write_out>().size,
            4u);
  in.off_out = 4;
  EXPECT_EQ(Ask(abi::kCopyFileRange64, LowerFile(), Arguments().Add(in))
                .As<abi::CopyFileRangeOut>()
                .bytes_copied,
            4u);
  EXPECT_EQ(Read(FUSE_READ, copy, 0, 100).data, "whatwhat");
  in.flags = 1;
  EXPECT_EQ(Ask(FUSE_COPY_FILE_RANGE, LowerFile(), Arguments().Add(in)).error, EINVAL);
}

TEST_F(DispatcherTest, ANodeThatDoesNotExistIsESTALE) {
  EXPECT_EQ(Ask(FUSE_GETATTR, 123456, Arguments().Add(fuse_getattr_in{})).error, ESTALE);
  EXPECT_EQ(Ask(FUSE_LOOKUP, 0, Arguments().Name("x")).error, ESTALE);
}

TEST_F(DispatcherTest, CountersNameTheOpcodes) {
  LowerFile();
  const std::string line = counters().Line();
  EXPECT_NE(line.find("LOOKUP=1/"), std::string::npos) << line;
  EXPECT_NE(line.find("INIT=1/"), std::string::npos) << line;
}

}  // namespace
}  // namespace plyfs
