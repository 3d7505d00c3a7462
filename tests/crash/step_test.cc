// step_test.cc: the server dies before, and after, each of its system calls that change a filesystem,
// in a script that does every kind of operation; then the next mount's journal is a full walk, link
// counts are the number of names, and the script's files are the old or the new ones.
// Not here: random moments (kill_test.cc).
//
// $PLYFS_CRASH_STEPS=all: every step; else every eleventh, from a random one on.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "tests/crash/full_walk.h"
#include "tests/crash/workload.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::crash {
namespace {

const std::string kOld(20'000, 'o');
const std::string kNew(20'000, 'n');

void WriteOver(const std::string& path, int flags, const std::string& content) {
  const int fd = ::open(path.c_str(), O_WRONLY | flags, 0644);
  if (fd < 0) return;
  static_cast<void>(::pwrite(fd, content.data(), content.size(), 0));
  ::close(fd);
}

// Nothing of it is checked as it runs: the server may be gone at any point.
void Script(const std::string& m) {
  WriteOver(m + "/copied", 0, kNew);
  WriteOver(m + "/made", O_CREAT, kNew);
  ::mkdir((m + "/dir").c_str(), 0755);
  ::rename((m + "/made").c_str(), (m + "/dir/moved").c_str());
  ::unlink((m + "/removed").c_str());
  WriteOver(m + "/removed", O_CREAT, kNew);
  WriteOver(m + "/h1", 0, kNew);
  ::unlink((m + "/h2").c_str());
  ::link((m + "/h1").c_str(), (m + "/d/h4").c_str());
  ::rename((m + "/low").c_str(), (m + "/copied").c_str());
  ::unlink((m + "/d/x").c_str());
  ::rmdir((m + "/d").c_str());
  ::mkdir((m + "/d2/sub").c_str(), 0700);
  ::symlink("t", (m + "/d2/s").c_str());
  ::chmod((m + "/d2").c_str(), 0700);
  ::rename((m + "/d2/sub").c_str(), (m + "/dir/sub").c_str());
  ::renameat2(AT_FDCWD, (m + "/d2/y").c_str(), AT_FDCWD, (m + "/h3").c_str(), RENAME_EXCHANGE);
  ::mknod((m + "/fifo").c_str(), S_IFIFO | 0600, 0);
  // Names of files that are not copied up yet, and of those that are by then.
  ::unlink((m + "/g1").c_str());
  ::rename((m + "/fifo").c_str(), (m + "/g2").c_str());
  ::rename((m + "/g3").c_str(), (m + "/dir/g3").c_str());
  ::rename((m + "/d2/g4").c_str(), (m + "/g5").c_str());
  ::rename((m + "/g6").c_str(), (m + "/g1").c_str());
  ::unlink((m + "/dir/g3").c_str());
  ::truncate((m + "/t").c_str(), 0);
}

class StepTest : public testing::Test {
 protected:
  // How many steps the script takes when nothing dies.
  long Steps() {
    long steps = 0;
    Run(0, "before", &steps);
    return steps;
  }

  void Run(long at, const std::string& when, long* steps = nullptr) {
    SCOPED_TRACE("killed " + when + " step " + std::to_string(at));
    const test::TempDir dir;
    const Layers layers{.lowers = {dir.MakeDir("lower")}, .upper = dir.MakeDir("upper"), .work = dir.MakeDir("work")};
    MakeLower(layers.lowers[0]);
    std::ofstream(dir / "count") << std::string(8, '\0');
    test::UnionOptions options{.lowers = layers.lowers, .upper = layers.upper, .work = layers.work, .mountpoint = dir / "mnt"};
    options.environment = {"LD_PRELOAD=" PLYFS_KILL_AT_LIBRARY, "PLYFS_KILL_AT=" + std::to_string(at),
                           "PLYFS_KILL_WHEN=" + when, "PLYFS_KILL_COUNT=" + (dir / "count")};
    // It may die while it mounts.
    const bool mounted = test::TryMount(options).exit_code == 0;
    if (mounted) {
      Script(options.mountpoint);
      // The database is made and written too.
      test::RunProgram({test::PlyfsBinary(), "checkpoint", "create", "one", options.mountpoint});
      ::unlink((options.mountpoint + "/t").c_str());
      test::RunProgram({test::PlyfsBinary(), "changes", options.mountpoint});
    }
    if (::umount2(options.mountpoint.c_str(), 0) != 0) ::umount2(options.mountpoint.c_str(), MNT_DETACH);
    WaitForServer(layers.upper);
    if (steps != nullptr) {
      std::ifstream in(dir / "count", std::ios::binary);
      in.read(reinterpret_cast<char*>(steps), sizeof *steps);
    }
    Check(layers, dir / "mnt");
  }

 private:
  // It holds a lock on the upper until it has ended.
  static void WaitForServer(const std::string& upper) {
    const int fd = ::open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 1000 && ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) ::usleep(10'000);
    ::close(fd);
  }

  static void MakeLower(const std::string& lower) {
    for (const char* name : {"/copied", "/removed", "/low", "/h1", "/t"}) test::WriteFile(lower + name, kOld);
    test::MakeHardLink(lower + "/h1", lower + "/h2");
    test::MakeHardLink(lower + "/h1", lower + "/h3");
    test::WriteFile(lower + "/g1", kOld);
    for (const char* name : {"/g2", "/g3", "/g5", "/g6"}) test::MakeHardLink(lower + "/g1", lower + name);
    test::MakeDirs(lower + "/d");
    test::MakeDirs(lower + "/d2");
    test::WriteFile(lower + "/d/x", kOld);
    test::WriteFile(lower + "/d2/y", kOld);
    test::MakeHardLink(lower + "/g1", lower + "/d2/g4");
  }

  static void Check(const Layers& layers, const std::string& mountpoint) {
    test::UnionMount mount({.lowers = layers.lowers, .upper = layers.upper, .work = layers.work, .mountpoint = mountpoint});
    ASSERT_TRUE(mount.ok());
    const std::set<std::string> walk = FullWalk(layers);
    EXPECT_EQ(Difference(ToolChanges(layers, mountpoint, walk), walk), "");
    const test::ProgramResult fsck = test::RunProgram({test::PlyfsBinary(), "fsck", mountpoint});
    EXPECT_EQ(fsck.exit_code, 0) << fsck.out << fsck.err;
    CheckFiles(mountpoint);
    EXPECT_EQ(WrongLinkCounts(mountpoint), std::vector<std::string>());
  }

  static void CheckFiles(const std::string& dir) {
    for (const std::string& name : test::ListDir(dir)) {
      const std::string path = dir + "/" + name;
      const struct stat st = test::Lstat(path);
      if (S_ISDIR(st.st_mode)) CheckFiles(path);
      if (!S_ISREG(st.st_mode)) continue;
      const std::string content = test::ReadFile(path);
      const bool whole = content == kOld || content == kNew || content.empty();
      EXPECT_TRUE(whole) << path << ": " << content.size() << " bytes";
    }
  }
};

TEST_F(StepTest, AfterADeathAtAnyStepTheJournalIsAFullWalk) {
  const char* wanted = std::getenv("PLYFS_CRASH_STEPS");
  const long stride = wanted != nullptr && std::string(wanted) == "all" ? 1 : 11;
  const long steps = Steps();
  ASSERT_GT(steps, 50);
  std::printf("%ld steps\n", steps);
  for (long at = 1 + static_cast<long>(std::random_device()() % stride); at <= steps && !HasFailure(); at += stride) {
    Run(at, "before");
    if (!HasFailure()) Run(at, "after");
  }
}

}  // namespace
}  // namespace plyfs::crash
