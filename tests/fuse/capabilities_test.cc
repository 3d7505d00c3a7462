// capabilities_test.cc: what INIT agrees on.
#include "fs/fuse/capabilities.h"

#include <gtest/gtest.h>

namespace plyfs {
namespace {

constexpr InitOffer kAll{.major = 7, .minor = 45, .max_readahead = 4096, .flags = ~uint64_t{0}};

TEST(CapabilitiesTest, NothingIsAskedForThatWasNotOffered) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const uint64_t offered = ~(uint64_t{1} << bit);
    const Capabilities chosen =
        ChooseCapabilities({.major = 7, .minor = 45, .flags = offered}, {.writeback = true});
    EXPECT_EQ(chosen.flags & ~offered, 0u) << bit;
  }
}

TEST(CapabilitiesTest, WhatTheServerCannotDoIsNeverAskedFor) {
  const Capabilities chosen = ChooseCapabilities(kAll, {});
  for (const uint64_t flag :
       {uint64_t{FUSE_ATOMIC_O_TRUNC}, uint64_t{FUSE_POSIX_LOCKS}, uint64_t{FUSE_FLOCK_LOCKS},
        uint64_t{FUSE_AUTO_INVAL_DATA}, uint64_t{FUSE_EXPORT_SUPPORT},
        uint64_t{FUSE_WRITEBACK_CACHE}, uint64_t{FUSE_HANDLE_KILLPRIV}, uint64_t{FUSE_SECURITY_CTX},
        uint64_t{FUSE_SPLICE_READ}}) {
    EXPECT_FALSE(chosen.has(flag)) << std::hex << flag;
  }
}

TEST(CapabilitiesTest, OptionsDecideAboutAclsAndWriteback) {
  EXPECT_TRUE(ChooseCapabilities(kAll, {.acl = true}).has(FUSE_POSIX_ACL));
  EXPECT_FALSE(ChooseCapabilities(kAll, {.acl = false}).has(FUSE_POSIX_ACL));
  EXPECT_TRUE(ChooseCapabilities(kAll, {.writeback = true}).has(FUSE_WRITEBACK_CACHE));
}

TEST(CapabilitiesTest, TheServerAlwaysAppliesTheUmask) {
  EXPECT_TRUE(ChooseCapabilities(kAll, {.acl = true}).has(FUSE_DONT_MASK));
  EXPECT_TRUE(ChooseCapabilities(kAll, {.acl = false}).has(FUSE_DONT_MASK));
}

TEST(CapabilitiesTest, TheReplySplitsTheFlagsAndBoundsRequests) {
  const CapabilityOptions options{.max_write = 1 << 20};
  const Capabilities chosen = ChooseCapabilities(kAll, options);
  const fuse_init_out out = EncodeInit(kAll, chosen, options);
  EXPECT_EQ(out.major, 7u);
  EXPECT_EQ(out.max_write, 1u << 20);
  EXPECT_EQ(out.max_pages, 256);
  EXPECT_EQ(out.time_gran, 1u);
  EXPECT_NE(out.flags & FUSE_INIT_EXT, 0u);
  EXPECT_NE(out.flags2 & (abi::kNoExportSupport >> 32), 0u);
  EXPECT_EQ(out.max_readahead, 4096u);
}

}  // namespace
}  // namespace plyfs
