// readdir_test.cc: listings that go on from a cookie, whatever has happened in between.
// Not here: what a merged directory shows (tests/syscalls, tests/model).
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "fs/overlay/listing.h"
#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

constexpr int kFiles = 200;

void FillLower(const Union& u) {
  std::filesystem::create_directory(u.layer(1) + "/d");
  for (int i = 0; i < kFiles; ++i) WriteHostFile(u.layer(1) + "/d/f" + std::to_string(i), "");
}

// Reads `dir` in replies of `step` entries; `between` runs after each with the last cookie.
std::vector<Listed> ListInSteps(Union& u, NodeId dir, size_t step,
                                const std::function<void(int)>& between) {
  std::vector<Listed> all;
  uint64_t cookie = 0;
  for (int reply = 0;; ++reply) {
    const std::vector<Listed> some = u.List(dir, cookie, step);
    if (some.empty()) return all;
    all.insert(all.end(), some.begin(), some.end());
    cookie = some.back().cookie;
    between(reply);
  }
}

std::multiset<std::string> NamesOf(const std::vector<Listed>& listed) {
  std::multiset<std::string> names;
  for (const Listed& entry : listed) names.insert(entry.name);
  return names;
}

struct BetweenCase {
  const char* name;
  std::function<void(Union&, NodeId, int)> between;
};

const BetweenCase kBetweenCases[] = {
    {"NothingHappens", [](Union&, NodeId, int) {}},
    {"CachesAreEvicted", [](Union& u, NodeId, int) { u.overlay().TrimCaches(); }},
    {"NewNamesComeAndCachesAreEvicted",
     [](Union& u, NodeId dir, int reply) {
       const std::string name = "new" + std::to_string(reply);
       const Result<Entry> made =
           u.overlay().Mknod(dir, Component(name), {.mode = S_IFREG | 0644}, {});
       ASSERT_TRUE(made.ok());
       u.overlay().Forget(made->id, 1);
       u.overlay().TrimCaches();
     }},
    {"OtherNamesGoAndCachesAreEvicted",
     [](Union& u, NodeId dir, int reply) {
       const std::string name = "gone" + std::to_string(reply);
       EXPECT_EQ(u.overlay().Unlink(dir, Component(name)).value(), 0);
       u.overlay().TrimCaches();
     }},
    {"AnotherReaderStartsFromTheBeginningAfterAChange",
     [](Union& u, NodeId dir, int reply) {
       const std::string name = "gone" + std::to_string(reply);
       EXPECT_EQ(u.overlay().Unlink(dir, Component(name)).value(), 0);
       u.List(dir, 0, 10);
     }},
};

class BetweenTest : public testing::TestWithParam<BetweenCase> {};

TEST_P(BetweenTest, NamesThatStayAreListedExactlyOnce) {
  Union u;
  FillLower(u);
  for (int i = 0; i < 100; ++i) WriteHostFile(u.layer(1) + "/d/gone" + std::to_string(i), "");
  u.Open();
  const NodeId dir = u.At("d");
  const std::vector<Listed> all =
      ListInSteps(u, dir, 7, [&](int reply) { GetParam().between(u, dir, reply); });
  const std::multiset<std::string> names = NamesOf(all);
  EXPECT_EQ(names.count("."), 1u);
  EXPECT_EQ(names.count(".."), 1u);
  for (int i = 0; i < kFiles; ++i) EXPECT_EQ(names.count("f" + std::to_string(i)), 1u) << i;
  for (size_t i = 1; i < all.size(); ++i) EXPECT_GT(all[i].cookie, all[i - 1].cookie);
}

INSTANTIATE_TEST_SUITE_P(Between, BetweenTest, testing::ValuesIn(kBetweenCases),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(ReaddirTest, CookiesAreTheSameInAnotherServer) {
  Union u;
  FillLower(u);
  u.Open();
  const std::vector<Listed> before = u.List(u.At("d"));
  u.Open();
  const std::vector<Listed> after = u.List(u.At("d"));
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].name, after[i].name);
    EXPECT_EQ(before[i].cookie, after[i].cookie);
  }
}

TEST(ReaddirTest, ANameThatWasRemovedAndMadeAgainIsListedAtItsOldPlace) {
  Union u;
  FillLower(u);
  u.Open();
  const NodeId dir = u.At("d");
  const std::string name = "f17";
  const uint64_t cookie = Listing::CookieOf(name);
  ASSERT_TRUE(u.overlay().Unlink(dir, Component(name)).ok());
  u.List(dir);
  ASSERT_TRUE(u.overlay().Mknod(dir, Component(name), {.mode = S_IFREG | 0600}, {}).ok());
  const std::vector<Listed> all = u.List(dir);
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const Listed& entry) { return entry.name == name; });
  ASSERT_NE(at, all.end());
  EXPECT_EQ(at->cookie, cookie);
}

TEST(ReaddirTest, EveryCookieIsPositiveAndLeavesRoomForTheDots) {
  for (int i = 0; i < 10000; ++i) {
    const uint64_t cookie = Listing::CookieOf("name" + std::to_string(i));
    EXPECT_GT(cookie, Listing::kDotDotCookie);
    EXPECT_LE(cookie, static_cast<uint64_t>(INT64_MAX) - 1000);
  }
}

// These pairs have the same 64-bit FNV-1a hash.
constexpr const char* kColliding[][2] = {{"8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"},
                                         {"gMPflVXtwGDXbIhP73TX", "LtHf1prlU1bCeYZEdqWf"}};

TEST(ReaddirTest, NamesWithTheSameHashAreListedOnceEachWhateverTheStep) {
  Union u;
  for (const auto& pair : kColliding) {
    ASSERT_EQ(Listing::CookieOf(pair[0]), Listing::CookieOf(pair[1]))
        << "these names were to collide";
    for (const char* name : pair) WriteHostFile(u.layer(1) + "/" + name, "");
  }
  u.Open();
  for (size_t step = 1; step <= 6; ++step) {
    const std::multiset<std::string> names =
        NamesOf(ListInSteps(u, NodeId::kRoot, step, [&](int) { u.overlay().TrimCaches(); }));
    EXPECT_EQ(names.size(), 6u) << step;
    for (const auto& pair : kColliding) {
      for (const char* name : pair) EXPECT_EQ(names.count(name), 1u) << name << " step " << step;
    }
  }
}

TEST(ReaddirTest, WhatListsWithNodesCountsEachOnceForTheKernel) {
  Union u;
  FillLower(u);
  u.Open();
  const NodeId dir = u.At("d");
  const std::vector<Listed> all = u.List(dir, 0, 1u << 20, ReaddirMode::kPlus);
  EXPECT_EQ(u.overlay().Counters().nodes, kFiles + 2u);
  for (const Listed& entry : all) {
    if (entry.name == "." || entry.name == "..") {
      EXPECT_EQ(entry.id, NodeId::kNone);
      continue;
    }
    const Result<Attr> attr = u.overlay().GetAttr(entry.id);
    ASSERT_TRUE(attr.ok());
    EXPECT_EQ(attr->ino.value, entry.ino);
  }
  u.ForgetAll();
  EXPECT_EQ(u.overlay().Counters().nodes, 1u);
}

TEST(ReaddirTest, ARemovedDirectoryListsNothing) {
  Union u;
  std::filesystem::create_directory(u.layer(1) + "/d");
  u.Open();
  const NodeId dir = u.At("d");
  const std::string name = "d";
  ASSERT_TRUE(u.overlay().Rmdir(NodeId::kRoot, Component(name)).ok());
  EXPECT_TRUE(u.List(dir).empty());
}

}  // namespace
}  // namespace plyfs::test
