// attr_codec_test.cc: attributes and times in the kernel's format.
#include "fs/fuse/attr_codec.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmath>
#include <limits>

namespace plyfs {
namespace {

TEST(DeviceCodecTest, EveryNumberThatTheKernelHasComesBack) {
  for (const unsigned high : {0u, 1u, 8u, 255u, 256u, 4095u}) {
    for (const unsigned low : {0u, 1u, 255u, 256u, 65535u, (1u << 20) - 1}) {
      const dev_t device = makedev(high, low);
      EXPECT_EQ(DecodeDevice(EncodeDevice(device)), device) << high << ":" << low;
    }
  }
  EXPECT_EQ(EncodeDevice(makedev(8, 1)), 0x801u);
  EXPECT_EQ(EncodeDevice(makedev(1, 256)), 0x100100u);
}

TEST(ValidityTest, SecondsAreSplitAndClamped) {
  EXPECT_EQ(Validity::FromSeconds(0).seconds, 0u);
  EXPECT_EQ(Validity::FromSeconds(-3).seconds, 0u);
  EXPECT_EQ(Validity::FromSeconds(std::nan("")).seconds, 0u);
  EXPECT_EQ(Validity::FromSeconds(1.5).seconds, 1u);
  EXPECT_EQ(Validity::FromSeconds(1.5).nanoseconds, 500'000'000u);
  EXPECT_EQ(Validity::FromSeconds(1e300).seconds, 1'000'000'000u);
  EXPECT_EQ(Validity::FromSeconds(std::numeric_limits<double>::infinity()).seconds, 1'000'000'000u);
}

TEST(EntryCodecTest, AnAbsentNameIsANegativeEntryThatMayBeCached) {
  const fuse_entry_out out = EncodeEntry(Entry{}, Validity::FromSeconds(9), {});
  EXPECT_EQ(out.nodeid, 0u);
  EXPECT_EQ(out.entry_valid, 9u);
}

TEST(EntryCodecTest, TimesBefore1970KeepTheirSign) {
  Entry entry{.id = NodeId{5}};
  entry.attr.mtime = {.tv_sec = -86400, .tv_nsec = 999'999'999};
  entry.attr.mode = S_IFREG | 0644;
  const fuse_entry_out out = EncodeEntry(entry, {}, Validity::FromSeconds(3));
  EXPECT_EQ(static_cast<int64_t>(out.attr.mtime), -86400);
  EXPECT_EQ(out.attr.mtimensec, 999'999'999u);
  EXPECT_EQ(EncodeStatx(entry.attr, {}).stat.mtime.tv_sec, -86400);
}

TEST(StatxCodecTest, ABirthTimeIsOnlyShownWhereThereIsOne) {
  Attr attr;
  EXPECT_EQ(EncodeStatx(attr, {}).stat.mask & STATX_BTIME, 0u);
  attr.btime.tv_sec = 1;
  EXPECT_NE(EncodeStatx(attr, {}).stat.mask & STATX_BTIME, 0u);
}

TEST(AttrChangeTest, OnlyWhatIsMarkedChanges) {
  fuse_setattr_in in{};
  in.mode = 0777;
  in.size = 3;
  const AttrChange change = DecodeAttrChange(in);
  EXPECT_FALSE(change.mode || change.uid || change.gid || change.size || change.atime ||
               change.mtime || change.kill_suidgid);
}

TEST(AttrChangeTest, EveryMarkIsUnderstood) {
  fuse_setattr_in in{};
  in.valid = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME |
             FATTR_MTIME_NOW | FATTR_CTIME | FATTR_KILL_SUIDGID;
  in.mode = S_IFREG | 04755;
  in.uid = 1;
  in.gid = 2;
  in.size = 3;
  in.atime = static_cast<uint64_t>(-4);
  in.atimensec = 5;
  const AttrChange change = DecodeAttrChange(in);
  EXPECT_EQ(change.mode, mode_t{04755});
  EXPECT_EQ(change.uid, uid_t{1});
  EXPECT_EQ(change.gid, gid_t{2});
  EXPECT_EQ(change.size, 3u);
  EXPECT_EQ(change.atime->tv_sec, -4);
  EXPECT_EQ(change.atime->tv_nsec, 5);
  EXPECT_EQ(change.mtime->tv_nsec, UTIME_NOW);
  EXPECT_TRUE(change.kill_suidgid);
}

}  // namespace
}  // namespace plyfs
