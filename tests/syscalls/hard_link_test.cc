// hard_link_test.cc: link(2), and hard links through copy-up and removal.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct ObjectRow {
  const char* name;
  mode_t type;
};

std::vector<ObjectRow> AllObjects() {
  std::vector<ObjectRow> rows;
  for (const TreeObject& object : kTreeObjects) rows.push_back({object.path, object.type});
  return rows;
}

using LinkTest = RowTest<ObjectRow>;

TEST_P(LinkTest, AddsANameToEverythingButDirectories) {
  const std::string from = P(row().name);
  const struct stat before = Lstat(from);
  if (row().type == S_IFDIR) {
    EXPECT_EQ(EPERM, ErrnoOf(link(from.c_str(), P("linked").c_str())));
    return;
  }
  const std::vector<std::string> targets = {"linked", "lowdir/linked", "merged/sub/linked",
                                            "gone",   "merged/gone",   "updir/linked"};
  for (const std::string& to : targets) ASSERT_EQ(0, link(from.c_str(), P(to).c_str())) << to;
  const nlink_t links = before.st_nlink + targets.size();
  EXPECT_EQ(links, Lstat(from).st_nlink);
  Remount();
  for (const std::string& to : targets) {
    EXPECT_EQ(before.st_ino, Lstat(P(to)).st_ino) << to;
    EXPECT_EQ(links, Lstat(P(to)).st_nlink) << to;
    EXPECT_EQ(before.st_mode, Lstat(P(to)).st_mode) << to;
    EXPECT_EQ(before.st_rdev, Lstat(P(to)).st_rdev) << to;
    EXPECT_EQ(OldTime(), TimeOf(Lstat(P(to)).st_mtim)) << to;
  }
  ASSERT_EQ(0, unlink(from.c_str()));
  EXPECT_EQ(links - 1, Lstat(P("linked")).st_nlink);
  if (row().type != S_IFLNK) {
    ASSERT_EQ(0, chmod(P("merged/gone").c_str(), 0611));
    EXPECT_EQ(0611u, Lstat(P("linked")).st_mode & 07777);
  }
}

TEST_P(LinkTest, FailsOnExistingTargets) {
  // The kernel looks at the target name first.
  for (const TreeObject& object : kTreeObjects)
    EXPECT_EQ(EEXIST, ErrnoOf(link(P(row().name).c_str(), P(object.path).c_str()))) << object.path;
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, LinkTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(AllObjects())),
                         NameRow());

class HardLinks : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    BuildStandardTree(layers);
    layers.middle.File("d1/one", "shared\n");
    layers.middle.Link("d2/two", "d1/one");
    layers.middle.Link("d3/three", "d1/one");
  }
};

TEST_P(HardLinks, LowerLinksShareNumberAndCount) {
  const ino_t ino = Lstat(P("lowhard1")).st_ino;
  for (const char* name : {"lowhard1", "lowhard2", "lowhard3"}) {
    EXPECT_EQ(ino, Lstat(P(name)).st_ino);
    EXPECT_EQ(3u, Lstat(P(name)).st_nlink);
  }
}

TEST_P(HardLinks, StayOneFileThroughCopyUp) {
  const ino_t ino = Lstat(P("lowhard1")).st_ino;
  AppendFile(P("lowhard2"), "more\n");
  for (const bool again : {false, true}) {
    for (const char* name : {"lowhard1", "lowhard2", "lowhard3"}) {
      EXPECT_EQ("low hard\nmore\n", ReadFile(P(name))) << name << again;
      EXPECT_EQ(ino, Lstat(P(name)).st_ino) << name << again;
      EXPECT_EQ(3u, Lstat(P(name)).st_nlink) << name << again;
    }
    Remount();
  }
  AppendFile(P("lowhard1"), "again\n");
  EXPECT_EQ("low hard\nmore\nagain\n", ReadFile(P("lowhard3")));
}

TEST_P(HardLinks, InSeveralDirectoriesStayOneFile) {
  ASSERT_EQ(0, chmod(P("d3/three").c_str(), 0604));
  Remount();
  AppendFile(P("d1/one"), "1\n");
  AppendFile(P("d2/two"), "2\n");
  EXPECT_EQ("shared\n1\n2\n", ReadFile(P("d3/three")));
  EXPECT_EQ(0604u, Lstat(P("d1/one")).st_mode & 07777);
  EXPECT_EQ(3u, Lstat(P("d2/two")).st_nlink);
}

TEST_P(HardLinks, RemovedNamesAreNotCounted) {
  ASSERT_EQ(0, unlink(P("lowhard1").c_str()));
  EXPECT_EQ(2u, Lstat(P("lowhard2")).st_nlink);
  AppendFile(P("lowhard2"), "x\n");
  EXPECT_EQ(2u, Lstat(P("lowhard3")).st_nlink);
  EXPECT_EQ("low hard\nx\n", ReadFile(P("lowhard3")));
  Remount();
  EXPECT_EQ(2u, Lstat(P("lowhard3")).st_nlink);
  EXPECT_EQ("low hard\nx\n", ReadFile(P("lowhard3")));
  ASSERT_EQ(0, unlink(P("lowhard2").c_str()));
  EXPECT_EQ(1u, Lstat(P("lowhard3")).st_nlink);
  ASSERT_EQ(0, unlink(P("lowhard3").c_str()));
  EXPECT_EQ(ENOENT, LstatErrno(P("lowhard3")));
}

TEST_P(HardLinks, NewNameOfACopiedUpAlias) {
  AppendFile(P("lowhard1"), "x\n");
  ASSERT_EQ(0, link(P("lowhard3").c_str(), P("updir/new").c_str()));
  Remount();
  EXPECT_EQ(4u, Lstat(P("lowhard2")).st_nlink);
  EXPECT_EQ("low hard\nx\n", ReadFile(P("updir/new")));
  EXPECT_EQ(Lstat(P("lowhard2")).st_ino, Lstat(P("updir/new")).st_ino);
}

TEST_P(HardLinks, RenameOfOneNameOntoItsAliasDoesNothing) {
  EXPECT_EQ(0, rename(P("lowhard1").c_str(), P("lowhard2").c_str()));
  EXPECT_TRUE(Exists(P("lowhard1")));
  EXPECT_EQ(3u, Lstat(P("lowhard1")).st_nlink);
  EXPECT_EQ(0, rename(P("uphard1").c_str(), P("uphard2").c_str()));
  EXPECT_TRUE(Exists(P("uphard1")));
  EXPECT_EQ(2u, Lstat(P("uphard2")).st_nlink);
}

TEST_P(HardLinks, ReplacingAnAliasLowersTheCount) {
  ASSERT_EQ(0, rename(P("upfile").c_str(), P("lowhard1").c_str()));
  EXPECT_EQ(2u, Lstat(P("lowhard2")).st_nlink);
  EXPECT_EQ("up\n", ReadFile(P("lowhard1")));
  EXPECT_EQ(1u, Lstat(P("lowhard1")).st_nlink);
  ASSERT_EQ(0, rename(P("both").c_str(), P("uphard1").c_str()));
  EXPECT_EQ(1u, Lstat(P("uphard2")).st_nlink);
  Remount();
  EXPECT_EQ(2u, Lstat(P("lowhard2")).st_nlink);
}

TEST_P(HardLinks, OpenDescriptorsOfTwoAliasesSeeOneFile) {
  OpenFile one(P("lowhard1"), O_RDONLY), two(P("lowhard2"), O_RDWR);
  EXPECT_EQ(5, pwrite(two.fd(), "HELLO", 5, 0));
  EXPECT_EQ("HELLOard\n", one.Content());
  EXPECT_EQ("HELLOard\n", ReadFile(P("lowhard3")));
}

TEST_P(HardLinks, OfSymlinksAndFifosSurviveCopyUp) {
  mount().Unmount();
  ASSERT_EQ(0, link(InMiddle("lowlink").c_str(), InMiddle("lowlink2").c_str()));
  ASSERT_EQ(0, link(InMiddle("lowfifo").c_str(), InMiddle("lowfifo2").c_str()));
  mount().Mount();
  ASSERT_EQ(0, lchown(P("lowlink").c_str(), kAlice, kAlice));
  ASSERT_EQ(0, chmod(P("lowfifo2").c_str(), 0600));
  Remount();
  EXPECT_EQ(kAlice, Lstat(P("lowlink2")).st_uid);
  EXPECT_EQ(2u, Lstat(P("lowlink2")).st_nlink);
  EXPECT_EQ(0600u, Lstat(P("lowfifo")).st_mode & 07777);
}

TEST_P(HardLinks, LinkThroughSymlinkNamesTheSymlinkUnlessAsked) {
  ASSERT_EQ(0, link(P("lowlink").c_str(), P("l1").c_str()));
  EXPECT_TRUE(S_ISLNK(Lstat(P("l1")).st_mode));
  ASSERT_EQ(0,
            linkat(AT_FDCWD, P("lowlink").c_str(), AT_FDCWD, P("l2").c_str(), AT_SYMLINK_FOLLOW));
  EXPECT_EQ(Lstat(P("lowfile")).st_ino, Lstat(P("l2")).st_ino);
}

TEST_P(HardLinks, CannotCrossFilesystems) {
  if (is_union()) {
    EXPECT_EQ(EXDEV, ErrnoOf(link(P("upfile").c_str(), (dir() / "outside").c_str())));
    EXPECT_EQ(EXDEV, ErrnoOf(rename(P("upfile").c_str(), (dir() / "outside").c_str())));
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, HardLinks, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
