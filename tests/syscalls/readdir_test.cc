// readdir_test.cc: listings: completeness, cursors, d_ino and d_type, changes while listing.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct DirCase {
  const char* name;
  std::vector<std::string> names;
};

const DirCase kDirs[] = {
    {"lowdir", {"a", "b", "sub"}},
    {"lowdir/sub", {"c"}},
    {"updir", {"a", "sub"}},
    {"merged", {"both", "low", "mid", "sub", "up"}},
    {"merged/sub", {"low", "up"}},
    {"opaque", {"shown"}},
    {"mergedempty", {}},
    {"lowempty", {}},
    {"upempty", {}},
    {"filedir", {"a"}},
};

unsigned char TypeOfMode(mode_t mode) { return static_cast<unsigned char>((mode & S_IFMT) >> 12); }

using Listing = RowTest<DirCase>;

TEST_P(Listing, NamesEveryVisibleEntryOnce) {
  EXPECT_EQ(row().names, ListDir(P(row().name)));
  // Again from the kernel's cache, after dropping it, and after a remount.
  EXPECT_EQ(row().names, ListDir(P(row().name)));
  mount().DropCaches();
  EXPECT_EQ(row().names, ListDir(P(row().name)));
  Remount();
  EXPECT_EQ(row().names, ListDir(P(row().name)));
}

TEST_P(Listing, NumbersAndTypesAgreeWithStat) {
  const std::string path = P(row().name);
  DIR* dir = opendir(path.c_str());
  ASSERT_NE(nullptr, dir);
  std::set<std::string> seen;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    EXPECT_TRUE(seen.insert(name).second) << name;
    const struct stat st = Lstat(path + "/" + name);
    if (!S_ISDIR(st.st_mode) || Expected(kListedNumberOfForeignMergedDirectory) == 0) {
      EXPECT_EQ(st.st_ino, entry->d_ino) << path << "/" << name;
    }
    EXPECT_EQ(TypeOfMode(st.st_mode), entry->d_type) << path << "/" << name;
  }
  closedir(dir);
  EXPECT_TRUE(seen.contains("."));
  EXPECT_TRUE(seen.contains(".."));
}

TEST_P(Listing, SeekReturnsToEveryPosition) {
  DIR* dir = opendir(P(row().name).c_str());
  ASSERT_NE(nullptr, dir);
  std::vector<std::pair<long, std::string>> entries;
  for (long at = telldir(dir); const dirent* entry = readdir(dir); at = telldir(dir))
    entries.emplace_back(at, entry->d_name);
  for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
    seekdir(dir, it->first);
    const dirent* entry = readdir(dir);
    ASSERT_NE(nullptr, entry);
    EXPECT_EQ(it->second, entry->d_name);
  }
  rewinddir(dir);
  EXPECT_EQ(entries.front().second, readdir(dir)->d_name);
  closedir(dir);
}

TEST_P(Listing, FollowsEveryChangeOfTheDirectory) {
  std::vector<std::string> expected = row().names;
  const std::string path = P(row().name);
  WriteFile(path + "/znew", "");
  expected.push_back("znew");
  EXPECT_EQ(expected, ListDir(path));
  ASSERT_EQ(0, rename((path + "/znew").c_str(), (path + "/zother").c_str()));
  expected.back() = "zother";
  EXPECT_EQ(expected, ListDir(path));
  ASSERT_EQ(0, unlink((path + "/zother").c_str()));
  EXPECT_EQ(row().names, ListDir(path));
  for (const std::string& name : row().names)
    ASSERT_EQ(0, RunProgram({"rm", "-r", path + "/" + name}).exit_code);
  EXPECT_EQ(std::vector<std::string>{}, ListDir(path));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, Listing,
                         testing::Combine(AllTargets(), testing::ValuesIn(kDirs)), NameRow());

using ReaddirTest = SyscallTest;

TEST_P(ReaddirTest, RootShowsTheNumbersOfStatForEveryType) {
  DIR* dir = opendir(Root().c_str());
  ASSERT_NE(nullptr, dir);
  size_t count = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == ".." || name == ".") continue;  // ".." of a mount's root is another filesystem's
    const struct stat st = Lstat(P(name));
    if (!S_ISDIR(st.st_mode) || Expected(kListedNumberOfForeignMergedDirectory) == 0) {
      EXPECT_EQ(st.st_ino, entry->d_ino) << name;
    }
    EXPECT_EQ(TypeOfMode(st.st_mode), entry->d_type) << name;
    ++count;
  }
  closedir(dir);
  EXPECT_EQ(ListDir(Root()).size(), count);
}

TEST_P(ReaddirTest, NumbersStayAfterCopyUpInsideTheDirectory) {
  AppendFile(P("lowdir/a"), "x");
  ASSERT_EQ(0, chmod(P("lowdir/sub").c_str(), 0700));
  DIR* dir = opendir(P("lowdir").c_str());
  ASSERT_NE(nullptr, dir);
  while (const dirent* entry = readdir(dir))
    EXPECT_EQ(Lstat(P("lowdir/" + std::string(entry->d_name))).st_ino, entry->d_ino)
        << entry->d_name;
  closedir(dir);
}

class ManyEntries : public SyscallTest {
 protected:
  static constexpr int kPerLayer = 5000;
  static std::string Name(int i) { return "entry-" + std::to_string(i); }

  void BuildLayers(LayerSet& layers) override {
    for (int i = 0; i < kPerLayer; ++i) layers.middle.File("many/" + Name(i), "");
    for (int i = kPerLayer; i < 2 * kPerLayer; ++i) layers.upper.File("many/" + Name(i), "");
    for (int i = 0; i < 100; ++i) layers.upper.Whiteout("many/" + Name(i));
  }
};

TEST_P(ManyEntries, AreListedOnceEach) {
  const std::vector<std::string> names = ListDir(P("many"));
  EXPECT_EQ(2u * kPerLayer - 100, names.size());
  EXPECT_EQ(names.size(), std::set<std::string>(names.begin(), names.end()).size());
}

TEST_P(ManyEntries, AllAreDeletedByADeletingListing) {
  // What rm -r does: unlink each entry as it is read, without starting again.
  DIR* dir = opendir(P("many").c_str());
  ASSERT_NE(nullptr, dir);
  int deleted = 0;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    EXPECT_EQ(0, unlinkat(dirfd(dir), entry->d_name, 0)) << entry->d_name;
    ++deleted;
  }
  closedir(dir);
  EXPECT_EQ(2 * kPerLayer - 100, deleted);
  EXPECT_EQ(0, rmdir(P("many").c_str()));
}

TEST_P(ManyEntries, EntriesThatStayAreSeenOnceWhileOthersComeAndGo) {
  DIR* dir = opendir(P("many").c_str());
  ASSERT_NE(nullptr, dir);
  std::map<std::string, int> seen;
  int round = 0;
  while (const dirent* entry = readdir(dir)) {
    ++seen[entry->d_name];
    if (++round % 10 != 0) continue;
    const std::string churn = P("many/churn-" + std::to_string(round));
    WriteFile(churn, "");
    if (round % 20 == 0) {
      EXPECT_EQ(0, unlink(churn.c_str()));
    }
  }
  closedir(dir);
  for (int i = 100; i < 2 * kPerLayer; ++i) {
    if (seen[Name(i)] != 1) {
      ADD_FAILURE() << Name(i) << " was seen " << seen[Name(i)] << " times";
      break;
    }
  }
}

TEST_P(ManyEntries, PositionsStayValidAcrossDropOfCaches) {
  DIR* dir = opendir(P("many").c_str());
  ASSERT_NE(nullptr, dir);
  std::vector<std::string> before;
  long middle = 0;
  for (int i = 0; const dirent* entry = readdir(dir); ++i) {
    if (i >= 3000) before.push_back(entry->d_name);
    if (i == 2999) middle = telldir(dir);
  }
  mount().DropCaches();
  seekdir(dir, middle);
  std::vector<std::string> after;
  while (const dirent* entry = readdir(dir)) after.push_back(entry->d_name);
  closedir(dir);
  EXPECT_EQ(before.size(), after.size());
  EXPECT_TRUE(before == after);
}

TEST_P(ManyEntries, LookupsOfAllNamesWork) {
  for (int i = 0; i < 2 * kPerLayer; ++i) {
    const int expected = i < 100 ? ENOENT : 0;
    if (LstatErrno(P("many/" + Name(i))) != expected) {
      ADD_FAILURE() << Name(i);
      break;
    }
  }
}

TEST_P(ReaddirTest, TwoDescriptorsHaveTheirOwnPosition) {
  DIR* one = opendir(P("merged").c_str());
  DIR* two = opendir(P("merged").c_str());
  ASSERT_NE(nullptr, one);
  ASSERT_NE(nullptr, two);
  const std::string first = readdir(one)->d_name;
  const std::string second = readdir(one)->d_name;
  EXPECT_EQ(first, readdir(two)->d_name);
  EXPECT_EQ(second, readdir(two)->d_name);
  closedir(one);
  closedir(two);
}

TEST_P(ReaddirTest, DuplicatedDescriptorsShareTheirPosition) {
  DIR* dir = opendir(P("merged").c_str());
  ASSERT_NE(nullptr, dir);
  const size_t expected = ListDir(P("merged")).size() + 2;
  size_t count = 0;
  while (readdir(dir) != nullptr) ++count;
  EXPECT_EQ(expected, count);
  EXPECT_EQ(nullptr, readdir(dir)) << "the end stays the end";
  closedir(dir);
}

TEST_P(ReaddirTest, RemovedWhileOpenListsNothingMore) {
  DIR* dir = opendir(P("lowempty").c_str());
  ASSERT_NE(nullptr, dir);
  ASSERT_EQ(0, rmdir(P("lowempty").c_str()));
  errno = 0;
  while (const dirent* entry = readdir(dir)) EXPECT_EQ('.', entry->d_name[0]);
  EXPECT_TRUE(errno == 0 || errno == ENOENT) << errno;
  closedir(dir);
}

TEST_P(ReaddirTest, DotAndDotDotAreTheDirectoryAndItsParent) {
  for (const std::string name : {"lowdir/sub", "merged/sub", "updir/sub"}) {
    EXPECT_EQ(Lstat(P(name)).st_ino, Lstat(P(name + "/.")).st_ino);
    EXPECT_EQ(Lstat(P(name.substr(0, name.find('/')))).st_ino, Lstat(P(name + "/..")).st_ino);
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, ReaddirTest, AllTargets(), TargetName);
INSTANTIATE_TEST_SUITE_P(OnEachTarget, ManyEntries, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
