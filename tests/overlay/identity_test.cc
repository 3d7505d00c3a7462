// identity_test.cc: what stays the same object: inode numbers, hard links, files that have lost
// their names. Not here: the same through a mount (tests/syscalls), after a crash.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/overlay/union.h"

namespace plyfs::test {
namespace {

uint64_t InoOf(Union& u, NodeId id) {
  const Result<Attr> attr = u.overlay().GetAttr(id);
  EXPECT_EQ(attr.error().value(), 0);
  return attr.ok() ? attr->ino.value : 0;
}
Errno Write(Union& u, NodeId id, std::string_view data) {
  return u.overlay().Write(id, data, 0, {}).error();
}
Errno Unlink(Union& u, const std::string& name) {
  return u.overlay().Unlink(NodeId::kRoot, Component(name));
}
NodeId Create(Union& u, const std::string& name) {
  const Result<Entry> made =
      u.overlay().Mknod(NodeId::kRoot, Component(name), {.mode = S_IFREG | 0600}, {});
  EXPECT_EQ(made.error().value(), 0) << name;
  return made.ok() ? made->id : NodeId::kNone;
}

class IdentityTest : public testing::TestWithParam<Whiteouts> {
 protected:
  IdentityTest() : u_({.whiteouts = GetParam()}) {
    WriteHostFile(u_.layer(1) + "/f", "lower");
    WriteHostFile(u_.layer(1) + "/h1", "linked");
    EXPECT_EQ(::link((u_.layer(1) + "/h1").c_str(), (u_.layer(1) + "/h2").c_str()), 0);
    u_.Open();
  }
  Union u_;
};
INSTANTIATE_TEST_SUITE_P(EachFormat, IdentityTest,
                         testing::Values(Whiteouts::kDevice, Whiteouts::kWhFile),
                         [](const auto& row) {
                           return row.param == Whiteouts::kDevice ? "Devices" : "WhiteoutFiles";
                         });

TEST_P(IdentityTest, ANumberStaysThroughCopyUpRenameAndEviction) {
  const NodeId id = u_.At("f");
  const uint64_t ino = InoOf(u_, id);
  ASSERT_TRUE(Write(u_, id, "new").ok());
  EXPECT_EQ(InoOf(u_, id), ino);
  const std::string from = "f";
  const std::string to = "g";
  ASSERT_TRUE(
      u_.overlay().Rename(NodeId::kRoot, Component(from), NodeId::kRoot, Component(to), 0).ok());
  u_.ForgetAll();
  u_.overlay().TrimCaches();
  EXPECT_EQ(InoOf(u_, u_.At("g")), ino);
}

TEST_P(IdentityTest, AnUnlinkedLowerFileCanStillBeReadAndWritten) {
  const NodeId id = u_.At("f");
  const uint64_t ino = InoOf(u_, id);
  ASSERT_TRUE(Unlink(u_, "f").ok());
  EXPECT_EQ(u_.Content("f"), "(absent)");
  ASSERT_TRUE(Write(u_, id, "LOW").ok());
  std::string data(10, '\0');
  const Result<size_t> got = u_.overlay().Read(id, data, 0);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(data.substr(0, *got), "LOWer");
  const Result<Attr> attr = u_.overlay().GetAttr(id);
  ASSERT_TRUE(attr.ok());
  EXPECT_EQ(attr->ino.value, ino);
  EXPECT_EQ(attr->nlink, 0u);
  u_.ForgetAll();
  EXPECT_TRUE(std::filesystem::is_empty(u_.work() + "/plyfs/orphans"));
}

TEST_P(IdentityTest, ANewFileNeverGetsTheNumberOfADeadOne) {
  const NodeId id = u_.At("f");
  const uint64_t ino = InoOf(u_, id);
  ASSERT_TRUE(Unlink(u_, "f").ok());
  ASSERT_TRUE(Write(u_, id, "x").ok());
  u_.ForgetAll();
  // The filesystem gives the freed inode to one of these.
  for (int i = 0; i < 20; ++i)
    EXPECT_NE(InoOf(u_, Create(u_, "new" + std::to_string(i))), ino) << i;
}

TEST_P(IdentityTest, ANameCanGoAndComeAgainAndAgain) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Unlink(u_, "f").value(), 0) << i;
    EXPECT_EQ(u_.Content("f"), "(absent)");
    Create(u_, "f");
    EXPECT_EQ(u_.Content("f"), "") << "the lower file must not shine through";
  }
  const std::string from = "f";
  const std::string to = "moved";
  EXPECT_EQ(
      u_.overlay().Rename(NodeId::kRoot, Component(from), NodeId::kRoot, Component(to), 0).value(),
      0);
  EXPECT_EQ(u_.Content("f"), "(absent)");
}

TEST_P(IdentityTest, ADirectoryCanGoAndComeAgainWithoutItsOldContent) {
  Union u({.whiteouts = GetParam()});
  std::filesystem::create_directory(u.layer(1) + "/d");
  WriteHostFile(u.layer(1) + "/d/old", "old");
  u.Open();
  const std::string name = "d";
  const std::string old = "old";
  for (int i = 0; i < 3; ++i) {
    const NodeId dir = u.At("d");
    if (i == 0) {
      ASSERT_EQ(u.overlay().Unlink(dir, Component(old)).value(), 0);
    }
    ASSERT_EQ(u.overlay().Rmdir(NodeId::kRoot, Component(name)).value(), 0) << i;
    ASSERT_EQ(u.overlay().Mkdir(NodeId::kRoot, Component(name), {.mode = 0755}, {}).error().value(),
              0)
        << i;
    EXPECT_TRUE(u.Names("d").empty()) << i;
  }
  u.Open();
  EXPECT_TRUE(u.Names("d").empty()) << "after a remount";
}

TEST_P(IdentityTest, HardLinksStayOneFileAfterCopyUpAndRemount) {
  const NodeId first = u_.At("h1");
  ASSERT_TRUE(Write(u_, first, "LINK").ok());
  EXPECT_EQ(u_.At("h2"), first);
  EXPECT_EQ(u_.Content("h2"), "LINKed");
  EXPECT_EQ(u_.overlay().GetAttr(first)->nlink, 2u);
  u_.Open();
  EXPECT_EQ(u_.Content("h2"), "LINKed");
  EXPECT_EQ(u_.At("h1"), u_.At("h2"));
  ASSERT_TRUE(Unlink(u_, "h1").ok());
  EXPECT_EQ(u_.overlay().GetAttr(u_.At("h2"))->nlink, 1u);
  EXPECT_EQ(u_.Content("h2"), "LINKed");
}

TEST_P(IdentityTest, AReadOnlyUnionChangesNothing) {
  Union u({.writable = false});
  WriteHostFile(u.layer(1) + "/f", "lower");
  u.Open();
  const NodeId id = u.At("f");
  const std::string name = "f";
  const std::string other = "g";
  EXPECT_EQ(Write(u, id, "x").value(), EROFS);
  EXPECT_EQ(u.overlay().SetAttr(id, {.mode = 0600}, {}).error().value(), EROFS);
  EXPECT_EQ(u.overlay().Unlink(NodeId::kRoot, Component(name)).value(), EROFS);
  EXPECT_EQ(u.overlay().Mkdir(NodeId::kRoot, Component(other), {.mode = 0755}, {}).error().value(),
            EROFS);
  EXPECT_EQ(u.overlay()
                .Rename(NodeId::kRoot, Component(name), NodeId::kRoot, Component(other), 0)
                .value(),
            EROFS);
  EXPECT_EQ(u.overlay().Link(id, NodeId::kRoot, Component(other)).error().value(), EROFS);
  EXPECT_EQ(u.Content("f"), "lower");
}

TEST_P(IdentityTest, AnUnknownIdIsStaleAndAFileIsNoDirectory) {
  const std::string name = "f";
  const NodeId file = u_.At("f");
  EXPECT_EQ(u_.overlay().GetAttr(NodeId{987654}).error().value(), ESTALE);
  EXPECT_EQ(u_.overlay().Lookup(NodeId{987654}, Component(name)).error().value(), ESTALE);
  EXPECT_EQ(u_.overlay().Lookup(file, Component(name)).error().value(), ENOTDIR);
  EXPECT_EQ(u_.overlay().Unlink(file, Component(name)).value(), ENOTDIR);
}

}  // namespace
}  // namespace plyfs::test
