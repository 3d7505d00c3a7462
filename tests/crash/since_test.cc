// since_test.cc: random changes after a checkpoint, against a copy of what the tree was at the checkpoint;
// then the same after a kill -9.
// Not here: the list against the lowers (kill_test.cc).
//
// What was touched and is the same again may be listed as C. Below a directory that threads remove and make
// again (n0, n1, n2) a name that was there before may be A, and one that is gone need not be listed: the
// directory may have been replaced as a whole.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <thread>

#include "tests/crash/full_walk.h"
#include "tests/crash/workload.h"
#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"

namespace plyfs::crash {
namespace {

using State = std::map<std::string, std::string>;  // path -> all that can differ

void Look(const std::string& root, const std::string& path, State* state) {
  for (const std::string& name : test::ListDir(root + path)) {
    const std::string child = path + "/" + name;
    const struct stat st = test::Lstat(root + child);
    std::string text = std::to_string(st.st_mode);
    if (S_ISREG(st.st_mode)) text += " " + std::to_string(std::hash<std::string>()(test::ReadFile(root + child)));
    (*state)[child] = text;
    if (S_ISDIR(st.st_mode)) Look(root, child, state);
  }
}

bool InRemadeDirectory(const std::string& path) {
  const size_t at = path.find("/n");
  return at != std::string::npos && path.find('/', at + 1) != std::string::npos;
}

// Empty, or what is wrong with the list.
std::string Judge(const State& before, const State& now, const std::map<std::string, char>& listed) {
  std::string wrong;
  for (const auto& [path, text] : now) {
    const auto then = before.find(path);
    const auto line = listed.find(path);
    const char kind = line == listed.end() ? '-' : line->second;
    if (then == before.end() ? kind == 'A' : kind == 'C') continue;
    if (InRemadeDirectory(path) && kind != '-' && kind != 'D') continue;
    if (then != before.end() && then->second == text && kind == '-') continue;
    wrong += path + " is listed as " + kind + (then == before.end() ? ", and is new\n" : ", and was there\n");
  }
  for (const auto& [path, text] : before) {
    if (now.contains(path) || InRemadeDirectory(path)) continue;
    if (!listed.contains(path) || listed.at(path) != 'D') wrong += path + " is gone, and is not listed as D\n";
  }
  for (const auto& [path, kind] : listed) {
    if (now.contains(path) || before.contains(path)) continue;
    wrong += path + " is listed as " + kind + ", and is in neither\n";
  }
  return wrong;
}

TEST(Since, TheListIsWhatIsDifferentFromTheTreeAtTheCheckpoint) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 4 && !testing::Test::HasFailure(); ++round) {
    const test::TempDir dir;
    const std::string lower = dir.MakeDir("lower");
    MakeLower(lower);
    test::UnionMount mount({.lowers = {lower}, .upper = dir.MakeDir("upper"), .work = dir.MakeDir("work"), .mountpoint = dir / "mnt"});
    const auto work = [&](int microseconds) {
      std::atomic<bool> stop = false;
      std::vector<std::thread> threads;
      for (int i = 0; i < 2; ++i) threads.emplace_back([&, seed_of_it = random()] { RunThread(mount.path(), seed_of_it, stop); });
      ::usleep(microseconds);
      stop = true;
      for (std::thread& thread : threads) thread.join();
    };
    const auto check = [&](const std::string& name, const State& before, const char* when) {
      const test::ProgramResult result = test::RunProgram({test::PlyfsBinary(), "changes", "--since", name, mount.path()});
      ASSERT_EQ(result.exit_code, 0) << result.err;
      std::map<std::string, char> listed;
      std::istringstream in(result.out);
      for (std::string line; std::getline(in, line);) listed[line.substr(2)] = line[0];
      State now;
      Look(mount.path(), "", &now);
      EXPECT_EQ(Judge(before, now, listed), "") << when << ", since " << name << "\n" << result.out;
    };
    State one;
    State two;
    work(60'000);
    ASSERT_EQ(test::RunProgram({test::PlyfsBinary(), "checkpoint", "create", "one", mount.path()}).exit_code, 0);
    Look(mount.path(), "", &one);
    work(60'000);
    check("one", one, "at once");
    ASSERT_EQ(test::RunProgram({test::PlyfsBinary(), "checkpoint", "create", "two", mount.path()}).exit_code, 0);
    Look(mount.path(), "", &two);
    check("two", two, "before anything");
    work(20'000);
    check("one", one, "at once");
    check("two", two, "at once");
    for (const pid_t pid : mount.ServerPids()) ::kill(pid, SIGKILL);
    mount.Remount();
    check("two", two, "after a kill");
    check("one", one, "after a kill");
    mount.Remount();
    check("two", two, "after a remount");
  }
}

}  // namespace
}  // namespace plyfs::crash
