// rename_matrix_test.cc: renameat2 of every kind of source onto every kind of target, with every
// flag. The verdict is a plain directory with the same visible tree: same errno, same tree after.
// Not here: details of single renames (rename_test.cc), redirects (dir_rename_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct Place {
  const char* path;
  bool moves_need_redirect;  // a directory with lower parts
};

const Place kPlaces[] = {
    {"lowfile", false},     {"upfile", false},  {"covered", false},    {"merged/low", false},
    {"lowlink", false},     {"lowfifo", false}, {"upchr", false},      {"lowhard1", false},
    {"uphard2", false},     {"lowdir", true},   {"lowempty", true},    {"updir", false},
    {"upempty", false},     {"merged", true},   {"mergedempty", true}, {"opaque", false},
    {"filedir", false},     {"dirfile", false}, {"gone", false},       {"gonedir", false},
    {"merged/gone", false}, {"absent", false},  {"lowdir/sub", true},  {"updir/sub", false},
};

struct MatrixCase {
  std::string name;
  unsigned flags;
  Place from;
};

std::vector<MatrixCase> Cases() {
  std::vector<MatrixCase> cases;
  const std::pair<const char*, unsigned> flag_sets[] = {
      {"Plain", 0}, {"NoReplace", RENAME_NOREPLACE}, {"Exchange", RENAME_EXCHANGE}};
  for (const auto& [flag_name, flags] : flag_sets)
    for (const Place& from : kPlaces)
      cases.push_back({std::string(flag_name) + " " + from.path, flags, from});
  return cases;
}

int Rename(const std::string& root, const char* from, const char* to, unsigned flags) {
  return ErrnoOf(
      renameat2(AT_FDCWD, (root + "/" + from).c_str(), AT_FDCWD, (root + "/" + to).c_str(), flags));
}

// One union and one plain twin for all targets of a source; the tree is rebuilt where it changed.
class RenameMatrix : public testing::TestWithParam<std::tuple<Target, MatrixCase>> {
 protected:
  struct Side {
    explicit Side(Target which) : target(which) { Build(); }
    void Build() {
      mount.reset();
      dir = std::make_unique<TempDir>();
      const bool plain = target == Target::kExt4;
      const auto kind = plain ? LayerWriter::Kind::kPlain : LayerWriter::Kind::kLayer;
      const std::string upper_path = dir->MakeDir("upper");
      const std::string middle_path = plain ? upper_path : dir->MakeDir("middle");
      const std::string bottom_path = plain ? upper_path : dir->MakeDir("bottom");
      LayerWriter bottom(bottom_path, kind), middle(middle_path, kind), upper(upper_path, kind);
      LayerSet layers{bottom, middle, upper};
      BuildStandardTree(layers);
      for (const std::string& path : {bottom_path, middle_path, upper_path}) AgeTree(path);
      mount = std::make_unique<UnionMount>(
          UnionOptions{.target = target,
                       .lowers = {middle_path, bottom_path},
                       .upper = upper_path,
                       .work = dir->MakeDir("work"),
                       .mountpoint = *dir / "union",
                       .extra = target == Target::kKernelOverlay ? "index=on" : ""});
    }
    Target target;
    std::unique_ptr<TempDir> dir;
    std::unique_ptr<UnionMount> mount;
  };

  std::string SnapshotWithoutTimes(const Side& side) {
    return SnapshotOf(side.mount->path(), {.times = false});
  }

  void Check(Side& tested, Side& plain, const Place& to) {
    const MatrixCase& row = std::get<1>(GetParam());
    SCOPED_TRACE(row.name + " -> " + to.path);
    // Renaming a name onto itself never reaches the filesystem.
    const bool moves_lower_directory =
        tested.target != Target::kExt4 && std::string(row.from.path) != to.path &&
        (row.from.moves_need_redirect || (row.flags == RENAME_EXCHANGE && to.moves_need_redirect));
    struct stat before = {};
    const std::string root = tested.mount->path();
    lstat((root + "/" + row.from.path).c_str(), &before);
    const int expected = Rename(plain.mount->path(), row.from.path, to.path, row.flags);
    const int got = Rename(root, row.from.path, to.path, row.flags);
    // A union may notice EXDEV before or after ENOTEMPTY.
    if (moves_lower_directory && (expected == 0 || expected == ENOTEMPTY)) {
      EXPECT_TRUE(got == EXDEV || (expected == ENOTEMPTY && got == ENOTEMPTY)) << got;
      plain.Build();
      return;
    }
    EXPECT_EQ(expected, got);
    if (expected != 0 || std::string(row.from.path) == to.path) return;
    const std::string wanted = SnapshotWithoutTimes(plain);
    EXPECT_EQ(wanted, SnapshotWithoutTimes(tested));
    EXPECT_EQ(before.st_ino, Lstat(root + "/" + to.path).st_ino);
    tested.mount->Remount();
    EXPECT_EQ(wanted, SnapshotWithoutTimes(tested));
    EXPECT_EQ(before.st_ino, Lstat(root + "/" + to.path).st_ino);
    tested.Build();
    plain.Build();
  }
};

TEST_P(RenameMatrix, DoesWhatAPlainDirectoryDoes) {
  Side tested(std::get<0>(GetParam())), plain(Target::kExt4);
  ASSERT_TRUE(tested.mount->ok());
  for (const Place& to : kPlaces) {
    Check(tested, plain, to);
    if (!tested.mount->ok()) return;
  }
  // Renames that failed left nothing behind.
  EXPECT_EQ(SnapshotWithoutTimes(plain), SnapshotWithoutTimes(tested));
}

INSTANTIATE_TEST_SUITE_P(OnUnions, RenameMatrix,
                         testing::Combine(UnionTargets(), testing::ValuesIn(Cases())), NameRow());

}  // namespace
}  // namespace plyfs::test
