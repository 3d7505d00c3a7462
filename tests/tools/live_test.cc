// live_test.cc: what needs a server: watch, stats, who may ask, servers that are killed or busy, targets that are none.
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "fs/base/control_ioctl.h"
#include "tests/harness/file_ops.h"
#include "tests/mount/program_fixture.h"
#include "tests/tools/tools_fixture.h"

namespace plyfs::test {
namespace {

// --- watch ----------------------------------------------------------------------------------------

// plyfs watch with its output in a file.
class Watcher {
 public:
  Watcher(const TempDir& temp, const std::string& options, const std::string& mountpoint)
      : output_(temp / "watched"),
        program_({"sh", "-c", "exec " + PlyfsBinary() + " watch " + options + " " + mountpoint + " >" + output_}) {}

  std::string Output() const { return Exists(output_) ? ReadFile(output_) : ""; }
  bool WaitFor(const std::string& text) const {
    return Eventually([&] { return Contains(Output(), text); });
  }
  int Wait() { return program_.Wait(); }
  std::string Stderr() const { return program_.Stderr(); }
  void Signal(int signal) const { program_.Signal(signal); }

 private:
  const std::string output_;
  Foreground program_;
};

TEST_F(ToolsTest, WatchPrintsWhatHappensUntilTheUnmount) {
  Mount();
  Watcher watcher(temp_, "--since 0", mountpoint_);
  WriteFile(In("made"), "");
  ASSERT_EQ(::rename(In("made").c_str(), In("re named").c_str()), 0);
  ASSERT_EQ(::unlink(In("re named").c_str()), 0);
  EXPECT_TRUE(watcher.WaitFor(" create /made\n")) << watcher.Output();
  EXPECT_TRUE(watcher.WaitFor(" rename /made -> \"/re named\"\n")) << watcher.Output();
  EXPECT_TRUE(watcher.WaitFor(" delete /re named\n")) << watcher.Output();
  Unmount();
  EXPECT_EQ(watcher.Wait(), 0);
  EXPECT_TRUE(Contains(watcher.Stderr(), "unmounted")) << watcher.Stderr();
}

TEST_F(ToolsTest, WatchAsJsonGoesOnFromItsLastNumber) {
  Mount();
  WriteFile(In("one"), "");
  WriteFile(In("two"), "");
  uint64_t last = 0;
  {
    Watcher watcher(temp_, "--json --since 0", mountpoint_);
    EXPECT_TRUE(watcher.WaitFor("/two\"")) << watcher.Output();
    watcher.Signal(SIGINT);
    EXPECT_EQ(watcher.Wait(), 128 + SIGINT);
    for (const nlohmann::json& event : JsonLinesOf(watcher.Output())) {
      EXPECT_GT(event["sequence"].get<uint64_t>(), last);
      last = event["sequence"];
    }
  }
  WriteFile(In("three"), "");
  Watcher watcher(temp_, "--json --since " + std::to_string(last), mountpoint_);
  EXPECT_TRUE(watcher.WaitFor("/three\"")) << watcher.Output();
  EXPECT_FALSE(Contains(watcher.Output(), "/two")) << watcher.Output();
  watcher.Signal(SIGTERM);
  watcher.Wait();
}

// More of them than are read at once.
TEST_F(ToolsTest, WatchGoesOnBehindEventsOfDirectoriesThatHaveGone) {
  Mount();
  ASSERT_EQ(::mkdir(In("gone").c_str(), 0755), 0);
  for (int i = 0; i < 300; ++i) WriteFile(In("gone/file-" + std::to_string(i)), "");
  RemoveTree(In("gone"));
  WriteFile(In("after"), "");
  Watcher watcher(temp_, "--since 0", mountpoint_);
  EXPECT_TRUE(watcher.WaitFor(" create /after\n")) << watcher.Output();
}

// --- stats ----------------------------------------------------------------------------------------

TEST_F(ToolsTest, StatsCountWhatWasDone) {
  Mount();
  AppendFile(In("a"), "more\n");
  for (int i = 0; i < 10; ++i) Exists(In("absent-" + std::to_string(i)));
  const std::vector<nlohmann::json> stats = JsonLinesOf(Output({"stats", "--json", mountpoint_}));
  ASSERT_EQ(stats.size(), 1u);
  EXPECT_EQ(stats[0]["copied_up_files"], 1);
  EXPECT_EQ(stats[0]["copied_up_bytes"], 2);
  EXPECT_GE(stats[0]["threads"], 1);
  EXPECT_GT(stats[0]["journal"]["sequence"], 0);
  uint64_t lookups = 0;
  for (const nlohmann::json& operation : stats[0]["operations"]) {
    uint64_t in_buckets = 0;
    for (const nlohmann::json& bucket : operation["buckets"]) in_buckets += bucket.get<uint64_t>();
    EXPECT_EQ(in_buckets, operation["count"].get<uint64_t>()) << operation;
    if (operation["name"] == "LOOKUP") lookups = operation["count"];
  }
  EXPECT_GE(lookups, 11u);
}

TEST_F(ToolsTest, StatsForPeopleAndForPrometheus) {
  Mount();
  AppendFile(In("a"), "more\n");
  const std::string table = Output({"stats", mountpoint_});
  EXPECT_TRUE(Contains(table, "\ncopied-up files      1\n")) << table;
  EXPECT_TRUE(Contains(table, "\nLOOKUP ")) << table;

  const std::string text = Output({"stats", "--prometheus", mountpoint_});
  EXPECT_TRUE(Contains(text, "plyfs_copied_up_files_total{mountpoint=\"" + mountpoint_ + "\"} 1\n")) << text;
  // The buckets of a histogram are cumulative, and the last is the count.
  uint64_t before = 0;
  uint64_t infinite = 0;
  for (const std::string& line : LinesOf(text)) {
    EXPECT_TRUE(line.starts_with("# ") || line.starts_with("plyfs_")) << line;
    if (!Contains(line, "operation=\"LOOKUP\"")) continue;
    const uint64_t value = std::strtoull(line.substr(line.rfind(' ') + 1).c_str(), nullptr, 10);
    if (Contains(line, "_bucket{")) {
      EXPECT_GE(value, before) << line;
      before = value;
      if (Contains(line, "le=\"+Inf\"")) infinite = value;
    } else if (Contains(line, "_count{")) {
      EXPECT_EQ(value, infinite);
    }
  }
  EXPECT_GT(infinite, 0u);
}

// --- targets that are none ------------------------------------------------------------------------

TEST_F(ToolsTest, WhatIsNoUnionIsNamed) {
  const ProgramResult plain = Run({"changes", lower_});
  EXPECT_EQ(plain.exit_code, 1);
  EXPECT_TRUE(Contains(plain.err, lower_) && Contains(plain.err, "no plyfs is mounted here")) << plain.err;
  EXPECT_TRUE(Contains(plain.err, "--upper")) << plain.err;
  const ProgramResult absent = Run({"stats", temp_ / "nowhere"});
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_TRUE(Contains(absent.err, temp_ / "nowhere")) << absent.err;
  EXPECT_EQ(Run({"changes", lower_ + "/a"}).exit_code, 1);
  for (const char* command : {"watch", "stats"}) {
    const ProgramResult result = Run({command, lower_});
    EXPECT_TRUE(Contains(result.err, "no plyfs is mounted here")) << result.err;
    EXPECT_FALSE(Contains(result.err, "--upper")) << "it has no such option: " << result.err;
  }
}

TEST_F(ToolsTest, AReadOnlyUnionHasNothingToTell) {
  const UnionMount mount({.lowers = {lower_}, .mountpoint = mountpoint_});
  ASSERT_TRUE(mount.ok());
  for (const char* command : {"changes", "stats", "fsck"}) {
    const ProgramResult result = Run({command, mountpoint_});
    EXPECT_NE(result.exit_code, 0);
    EXPECT_TRUE(Contains(result.err, "read-only union")) << result.err;
  }
}

TEST_F(ToolsTest, WithoutAJournalTheOptionIsNamed) {
  Mount("journal=off");
  WriteFile(In("new"), "");
  for (const Words& command : {Words{"changes"}, {"diff"}, {"checkpoint", "list"}, {"watch"}, {"fsck"}}) {
    const ProgramResult result = Run(With(command));
    EXPECT_NE(result.exit_code, 0) << command[0];
    EXPECT_TRUE(Contains(result.err, "journal=off")) << result.err;
  }
  EXPECT_EQ(Run({"stats", mountpoint_}).exit_code, 0);
}

TEST_F(ToolsTest, AJournalOfALaterVersionIsNamed) {
  Mount();
  WriteFile(In("new"), "");
  Unmount();
  const std::string tail = work_ + "/plyfs/journal/tail";
  std::string bytes = ReadFile(tail);
  ++bytes[0];
  WriteFile(tail, bytes);
  for (const auto& [command, failed] : {std::pair("changes", 1), std::pair("fsck", 8)}) {
    const ProgramResult unmounted = Run(With({command}));
    EXPECT_EQ(unmounted.exit_code, failed) << command;
    EXPECT_TRUE(Contains(unmounted.err, work_) && Contains(unmounted.err, "a later version of plyfs")) << unmounted.err;
    EXPECT_FALSE(Contains(unmounted.err, "journal=off")) << unmounted.err;
  }
  Mount();
  const ProgramResult live = Run(With({"changes"}));
  EXPECT_TRUE(Contains(live.err, mountpoint_) && Contains(live.err, "a later version of plyfs")) << live.err;
}

TEST_F(ToolsTest, LayersThatAreMountedAreRefused) {
  Mount();
  const ProgramResult result = Run({"changes", "--upper", upper_, "--work", work_, "--lower", lower_});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, upper_) && Contains(result.err, "give the mountpoint instead")) << result.err;
}

TEST_F(ToolsTest, TheLayerThatIsInUseIsNamed) {
  Mount();
  const std::string other = temp_.MakeDir("other");
  const ProgramResult work = Run({"changes", "--upper", other, "--work", work_, "--lower", lower_});
  EXPECT_EQ(work.exit_code, 1);
  EXPECT_TRUE(Contains(work.err, "--work '" + work_ + "' is mounted")) << work.err;
}

TEST_F(ToolsTest, LayersThatAreNotThereAreNamed) {
  const ProgramResult result = Run({"changes", "--upper", temp_ / "nowhere", "--work", work_, "--lower", lower_});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, temp_ / "nowhere")) << result.err;
}

TEST_F(ToolsTest, AMountpointMayBeReachedByASymlinkOrFromWithin) {
  Mount();
  WriteFile(In("new"), "");
  MakeSymlink(mountpoint_, temp_ / "link");
  EXPECT_EQ(Output({"changes", temp_ / "link"}), "A /new\n");
  EXPECT_EQ(Output({"changes", In("sub")}), "A /new\n");
}

TEST_F(ToolsTest, PathsWithCommasAndColonsWork) {
  const std::string upper = temp_.MakeDir("up,per:\\ \xff");
  const std::string work = temp_.MakeDir("wo,rk:\\ \xff");
  const UnionMount mount({.lowers = {lower_}, .upper = upper, .work = work, .mountpoint = mountpoint_});
  ASSERT_TRUE(mount.ok());
  WriteFile(In("new"), "");
  EXPECT_EQ(Output({"changes", mountpoint_}), "A /new\n");
  EXPECT_EQ(Run({"diff", "-o", temp_ / "layer.tar", mountpoint_}).exit_code, 0);
}

TEST_F(ToolsTest, ATargetOfAnyNameIsOneLineInAMessage) {
  Mount();
  WriteFile(In("new"), "");
  const std::string odd = temp_ / "new\nline \xff\xc2\x9b";
  MakeSymlink(mountpoint_, odd);
  EXPECT_EQ(Output({"changes", odd}), "A /new\n");
  const ProgramResult failed = Run({"changes", "--since", "nope", odd});
  EXPECT_EQ(LinesOf(failed.err).size(), 1u) << failed.err;
  EXPECT_TRUE(Contains(failed.err, "new?line \xff?")) << failed.err;
}

TEST_F(ToolsTest, ManyLowersAreTold) {
  std::vector<std::string> lowers = {lower_};
  for (int i = 0; i < 300; ++i) lowers.push_back(temp_.MakeDir("lower-with-a-rather-long-name-" + std::to_string(i)));
  const UnionMount mount({.lowers = lowers, .upper = upper_, .work = work_, .mountpoint = mountpoint_});
  ASSERT_TRUE(mount.ok());
  WriteFile(In("new"), "");
  EXPECT_EQ(Run({"diff", "-o", temp_ / "layer.tar", mountpoint_}).exit_code, 0);
}

TEST_F(ToolsTest, ManyLowersCanBeGiven) {
  Mount();
  WriteFile(In("new"), "");
  Unmount();
  Words command = {"changes", "--upper", upper_, "--work", work_, "--lower", lower_};
  for (int i = 0; i < 128; ++i) command.insert(command.end(), {"--lower", temp_.MakeDir("lower-" + std::to_string(i))});
  EXPECT_EQ(Output(command), "A /new\n");
}

// --- who may ask ----------------------------------------------------------------------------------

TEST_F(ToolsTest, OtherUsersAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  ASSERT_EQ(::chmod(temp_.path().c_str(), 0755), 0);
  Mount("allow_other");
  const auto become_other = [] {
    if (::setgid(12345) != 0 || ::setuid(12345) != 0) ::_exit(99);
  };
  // The program itself, beyond directories that others may not search.
  const std::string other = mountpoint_;
  const int asked = RunAs({.uid = 12345, .gid = 12345}, [&] {
    const int directory = ::open(other.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static ControlIoctlText text;
    if (directory < 0) return 100;
    const int result = ErrnoOf(::ioctl(directory, kControlIoctl, &text));
    ::close(directory);
    return result;
  });
  EXPECT_EQ(asked, EPERM);
  if (::access(PlyfsBinary().c_str(), X_OK) == 0) {
    const ProgramResult result = Run({"changes", mountpoint_}, {.before_exec = become_other});
    EXPECT_NE(result.exit_code, 0);
  }
}

// --- servers that are gone ------------------------------------------------------------------------

TEST_F(ToolsTest, AfterAKilledServerTheNextOneAnswers) {
  Mount();
  WriteFile(In("new"), "");
  ::kill(mount_->ServerPid(), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return mount_->ServerPids().empty(); }));
  EXPECT_TRUE(Exists(work_ + "/plyfs/control")) << "a killed server cannot remove it";
  const ProgramResult dead = Run({"changes", mountpoint_});
  EXPECT_EQ(dead.exit_code, 1);
  EXPECT_TRUE(Contains(dead.err, mountpoint_)) << dead.err;
  mount_->Remount();
  EXPECT_EQ(Output({"changes", mountpoint_}), "A /new\n");
  Unmount();
  EXPECT_FALSE(Exists(work_ + "/plyfs/control"));
}

TEST_F(ToolsTest, ToolsAtOnceAgree) {
  Mount();
  for (int i = 0; i < 100; ++i) WriteFile(In("file-" + std::to_string(i)), "");
  std::vector<std::unique_ptr<Foreground>> tools;
  for (int i = 0; i < 6; ++i) {
    tools.push_back(std::make_unique<Foreground>(Words{
        "sh", "-c", "exec " + PlyfsBinary() + " changes " + mountpoint_ + " >" + (temp_ / "out-" + std::to_string(i))}));
  }
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(tools[static_cast<size_t>(i)]->Wait(), 0);
    EXPECT_EQ(LinesOf(ReadFile(temp_ / "out-" + std::to_string(i))).size(), 100u);
  }
}

}  // namespace
}  // namespace plyfs::test
