// node_table_test.cc: ids, names, references and what goes when.
// Not here: what a node stands for (tests/overlay).
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "fs/node/node_table.h"

namespace plyfs {
namespace {

using FirstName = NodeTable::FirstName;

std::unique_ptr<DirState> UpperDir() {
  auto dir = std::make_unique<DirState>();
  dir->parts.push_back({.layer = LayerIndex::kUpper});
  return dir;
}

NodeTable::Init File(DiskInode key = {}) {
  return {.type = S_IFREG, .layer = LayerIndex{1}, .ino = {7}, .inode_key = key};
}
NodeTable::Init Dir() {
  return {.type = S_IFDIR, .layer = LayerIndex::kUpper, .ino = {8}, .dir = UpperDir()};
}

class NodeTableTest : public testing::Test {
 protected:
  NodeTableTest() { table_.MakeRoot({1}, UpperDir()); }

  // How often on_destroy has been called for an id.
  std::map<uint64_t, int> destroyed_;
  NodeTable table_{[this](Node& node) { ++destroyed_[Value(node.id)]; }};
};

TEST_F(NodeTableTest, TheRootHasItsIdAndIsNeverForgotten) {
  EXPECT_EQ(table_.root()->id, NodeId::kRoot);
  table_.Forget(NodeId::kRoot, 1000);
  EXPECT_TRUE(table_.Find(NodeId::kRoot));
}

TEST_F(NodeTableTest, IdsAreNeverReused) {
  uint64_t last = 1;
  for (int i = 0; i < 100; ++i) {
    const NodeRef node = table_.Insert(table_.root(), "f", File());
    EXPECT_GT(Value(node->id), last);
    last = Value(node->id);
  }
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(destroyed_.size(), 100u);
}

TEST_F(NodeTableTest, ANodeLivesFromLookupToForgetOfTheSameCount) {
  const NodeId id = table_.Insert(table_.root(), "f", File())->id;
  EXPECT_FALSE(table_.Find(id)) << "nobody refers to it";
  NodeRef node = table_.Insert(table_.root(), "f", File());
  const NodeId kept = node->id;
  for (int i = 0; i < 3; ++i) table_.AddLookup(*node);
  node = NodeRef();
  table_.Forget(kept, 2);
  EXPECT_TRUE(table_.FindChild(*table_.root(), "f"));
  table_.Forget(kept, 1);
  EXPECT_FALSE(table_.Find(kept));
  EXPECT_FALSE(table_.FindChild(*table_.root(), "f"));
  EXPECT_EQ(destroyed_[Value(kept)], 1);
}

TEST_F(NodeTableTest, TooLargeAForgetAndOneOfAnUnknownIdDoNoHarm) {
  NodeRef node = table_.Insert(table_.root(), "f", File());
  table_.AddLookup(*node);
  const NodeId id = node->id;
  table_.Forget(id, 1000);
  EXPECT_TRUE(table_.Find(id)) << "a reference of ours is left";
  node = NodeRef();
  EXPECT_FALSE(table_.Find(id));
  table_.Forget(id, 1);
  table_.Forget(NodeId{123456}, 1);
  EXPECT_EQ(destroyed_[Value(id)], 1);
}

TEST_F(NodeTableTest, ASecondInsertOfANameGivesTheFirstNode) {
  const NodeRef first = table_.Insert(table_.root(), "f", File());
  const NodeRef second = table_.Insert(table_.root(), "f", File());
  EXPECT_TRUE(first == second);
  EXPECT_EQ(table_.size(), 2u);
}

TEST_F(NodeTableTest, TheSameNameInTwoDirectoriesIsTwoNodes) {
  const NodeRef dir = table_.Insert(table_.root(), "d", Dir());
  const NodeRef outside = table_.Insert(table_.root(), "f", File());
  const NodeRef inside = table_.Insert(dir, "f", File());
  EXPECT_FALSE(outside == inside);
  EXPECT_TRUE(table_.FindChild(*dir, "f") == inside);
}

TEST_F(NodeTableTest, NamesMayHoldAnyBytes) {
  const std::string odd("a\n\xff\x01 b", 6);
  const NodeRef node = table_.Insert(table_.root(), odd, File());
  EXPECT_TRUE(table_.FindChild(*table_.root(), odd) == node);
  EXPECT_FALSE(table_.FindChild(*table_.root(), odd.substr(0, 5)));
}

TEST_F(NodeTableTest, AChildKeepsItsParentsUntilItGoes) {
  NodeRef leaf;
  {
    const NodeRef d1 = table_.Insert(table_.root(), "d1", Dir());
    const NodeRef d2 = table_.Insert(d1, "d2", Dir());
    leaf = table_.Insert(d2, "f", File());
  }
  EXPECT_EQ(table_.size(), 4u);
  leaf = NodeRef();
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(destroyed_.size(), 3u);
}

TEST_F(NodeTableTest, AChainOf100000DirectoriesGoesWithoutRecursion) {
  constexpr int kDepth = 100000;
  NodeRef at = table_.root();
  for (int i = 0; i < kDepth; ++i) at = table_.Insert(at, "d", Dir());
  EXPECT_EQ(table_.size(), kDepth + 1u);
  at = NodeRef();
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(destroyed_.size(), static_cast<size_t>(kDepth));
}

TEST(NodeTableEndTest, ATableThatGoesDestroysEveryNodeOnceWhateverTheDepth) {
  constexpr int kDepth = 100000;
  int destroyed = 0;
  {
    NodeTable table([&](Node&) { ++destroyed; });
    table.MakeRoot({1}, UpperDir());
    NodeRef at = table.root();
    for (int i = 0; i < kDepth; ++i) at = table.Insert(at, "d", Dir());
    table.AddLookup(*at);
    const NodeRef file = table.Insert(at, "f", File());
    table.AddLookup(*file);
    table.AddName(*file, table.root(), "alias", FirstName::kKeep);
  }
  EXPECT_EQ(destroyed, kDepth + 2);
}

TEST_F(NodeTableTest, AFileIsFoundByEachOfItsNames) {
  const NodeRef dir = table_.Insert(table_.root(), "d", Dir());
  const NodeRef file = table_.Insert(table_.root(), "f", File());
  table_.AddName(*file, dir, "g", FirstName::kReplace);
  EXPECT_TRUE(table_.FindChild(*dir, "g") == file);
  EXPECT_TRUE(table_.FindChild(*table_.root(), "f") == file);
  EXPECT_TRUE(table_.HasOtherName(*file, *dir, "g"));
  EXPECT_TRUE(table_.RemoveName(*file, *table_.root(), "f", FirstName::kReplace));
  EXPECT_FALSE(table_.HasOtherName(*file, *dir, "g"));
  EXPECT_TRUE(table_.HasOtherName(*file, *dir, "another"));
  EXPECT_FALSE(table_.RemoveName(*file, *dir, "g", FirstName::kReplace));
  EXPECT_FALSE(table_.PlaceOf(*file).parent);
}

TEST_F(NodeTableTest, WithReplaceAnotherNameBecomesTheFirst) {
  const NodeRef dir = table_.Insert(table_.root(), "d", Dir());
  const NodeRef file = table_.Insert(table_.root(), "f", File());
  table_.AddName(*file, dir, "g", FirstName::kReplace);
  table_.RemoveName(*file, *table_.root(), "f", FirstName::kReplace);
  EXPECT_EQ(file->name.text, "g");
  EXPECT_TRUE(file->name.parent == dir);
  EXPECT_TRUE(table_.FindChild(*dir, "g") == file);
  EXPECT_EQ(table_.PlaceOf(*file).text, "g");
}

TEST_F(NodeTableTest, WithKeepTheFirstNameStillSaysWhereTheObjectLies) {
  const NodeRef dir = table_.Insert(table_.root(), "d", Dir());
  const NodeRef file = table_.Insert(table_.root(), "f", File());
  table_.AddName(*file, dir, "g", FirstName::kKeep);
  EXPECT_TRUE(table_.RemoveName(*file, *table_.root(), "f", FirstName::kKeep));
  EXPECT_EQ(file->name.text, "f");
  EXPECT_FALSE(table_.FindChild(*table_.root(), "f"));
  EXPECT_EQ(table_.PlaceOf(*file).text, "g") << "the name that the union shows";
  const NodeRef other = table_.Insert(table_.root(), "f", File());
  EXPECT_FALSE(other == file);
}

TEST_F(NodeTableTest, RemovingANameThatIsSomebodyElsesChangesNothing) {
  const NodeRef a = table_.Insert(table_.root(), "a", File());
  const NodeRef b = table_.Insert(table_.root(), "b", File());
  EXPECT_TRUE(table_.RemoveName(*a, *table_.root(), "b", FirstName::kReplace));
  EXPECT_TRUE(table_.FindChild(*table_.root(), "b") == b);
}

TEST_F(NodeTableTest, AMovedNameIsFoundAtItsNewPlaceOnly) {
  NodeRef d1 = table_.Insert(table_.root(), "d1", Dir());
  const NodeRef d2 = table_.Insert(table_.root(), "d2", Dir());
  const NodeRef file = table_.Insert(d1, "f", File());
  table_.MoveName(*file, *d1, "f", d2, "g");
  EXPECT_FALSE(table_.FindChild(*d1, "f"));
  EXPECT_TRUE(table_.FindChild(*d2, "g") == file);
  const NodeId id = d1->id;
  d1 = NodeRef();
  EXPECT_FALSE(table_.Find(id)) << "the file must not keep its old parent";
}

TEST_F(NodeTableTest, SwappedNamesStandForEachOthersNodes) {
  const NodeRef dir = table_.Insert(table_.root(), "d", Dir());
  const NodeRef a = table_.Insert(table_.root(), "a", File());
  const NodeRef b = table_.Insert(dir, "b", File());
  table_.SwapNames({table_.root(), "a"}, {dir, "b"});
  EXPECT_TRUE(table_.FindChild(*table_.root(), "a") == b);
  EXPECT_TRUE(table_.FindChild(*dir, "b") == a);
  EXPECT_EQ(a->name.text, "b");
  EXPECT_TRUE(b->name.parent == table_.root());
}

TEST_F(NodeTableTest, AnObjectWithoutANameGetsOneByALink) {
  const NodeRef file = table_.Insert(table_.root(), "", File());
  EXPECT_FALSE(table_.PlaceOf(*file).parent);
  table_.AddName(*file, table_.root(), "linked", FirstName::kReplace);
  EXPECT_TRUE(table_.FindChild(*table_.root(), "linked") == file);
  EXPECT_EQ(file->name.text, "linked");
}

TEST_F(NodeTableTest, AnInodeIsFoundAsLongAsItsNodeLives) {
  const DiskInode inode{5, 77};
  NodeRef file = table_.Insert(table_.root(), "f", File(inode));
  EXPECT_TRUE(table_.FindByInode(inode) == file);
  table_.RegisterInode(*file, {5, 78});
  EXPECT_FALSE(table_.FindByInode(inode));
  EXPECT_TRUE(table_.FindByInode({5, 78}) == file);
  file = NodeRef();
  EXPECT_FALSE(table_.FindByInode({5, 78}));
}

TEST_F(NodeTableTest, ASecondNameOfAKnownInodeGivesTheSameNode) {
  const DiskInode inode{5, 77};
  const NodeRef first = table_.Insert(table_.root(), "f", File(inode));
  const NodeRef second = table_.Insert(table_.root(), "g", File(inode));
  EXPECT_TRUE(first == second);
  EXPECT_TRUE(table_.FindChild(*table_.root(), "g") == first);
}

TEST_F(NodeTableTest, ShrinkingKeepsEverything) {
  std::vector<NodeRef> kept;
  for (int i = 0; i < 5000; ++i) {
    NodeRef node = table_.Insert(table_.root(), std::to_string(i), File({1, 1000u + i}));
    if (i % 500 == 0) kept.push_back(std::move(node));
  }
  table_.ShrinkToFit();
  EXPECT_EQ(table_.size(), kept.size() + 1);
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_TRUE(table_.FindChild(*table_.root(), std::to_string(i * 500)) == kept[i]);
    EXPECT_TRUE(table_.FindByInode({1, 1000u + i * 500}) == kept[i]);
  }
}

// Each thread does what the kernel may: looks up, forgets, adds and takes names; the nodes are few,
// so that they meet.
TEST(NodeTableThreadTest, ThreadsThatLookUpAndForgetLeaveOnlyTheRoot) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 20000;
  std::atomic<int64_t> made = 0;
  std::atomic<int64_t> destroyed = 0;
  {
    NodeTable table([&](Node&) { ++destroyed; });
    table.MakeRoot({1}, UpperDir());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t);
        std::vector<NodeId> counted;
        for (int i = 0; i < kRounds; ++i) {
          const NodeRef dir = table.Insert(table.root(), "d" + std::to_string(random() % 3), Dir());
          const uint32_t n = random() % 8;
          const std::string name = std::to_string(n);
          NodeRef file = random() % 2 == 0 ? table.FindChild(*dir, name) : NodeRef();
          if (!file) file = table.Insert(dir, name, File({1, n + 1}));
          if (random() % 8 == 0)
            table.AddName(*file, table.root(), "alias" + name, FirstName::kKeep);
          table.AddLookup(*file);
          counted.push_back(file->id);
          EXPECT_TRUE(table.Find(file->id) == file);
          table.FindByInode({1, n + 1});
          if (counted.size() > 16 || random() % 4 == 0) {
            for (const NodeId id : counted) table.Forget(id, 1);
            counted.clear();
          }
          if (i % 4096 == 0) table.ShrinkToFit();
        }
        for (const NodeId id : counted) table.Forget(id, 1);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(table.size(), 1u);
    made = destroyed + 1;  // the root is left
  }
  EXPECT_EQ(destroyed, made) << "the root, and nothing twice";
}

}  // namespace
}  // namespace plyfs
