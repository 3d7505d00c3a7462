// commands_test.cc: changes, checkpoint, diff, apply and fsck, on a live mount and on the same upper unmounted.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "tests/harness/file_ops.h"
#include "tests/harness/tree_snapshot.h"
#include "tests/mount/program_fixture.h"
#include "tests/tools/tools_fixture.h"

namespace plyfs::test {
namespace {

enum class State { kLive, kRemounted, kUnmounted };

// What is asked is the same, whether the server that made the changes answers, a later one, or the tool itself.
class EachStateTest : public ToolsTest, public testing::WithParamInterface<State> {
 protected:
  // The changes are made by now.
  void Settle() {
    if (GetParam() == State::kRemounted) mount_->Remount();
    if (GetParam() == State::kUnmounted) Unmount();
  }

  void ChangeSomething() {
    WriteFile(In("new"), "new\n");
    AppendFile(In("a"), "more\n");
    ASSERT_EQ(::unlink(In("c").c_str()), 0);
    ASSERT_EQ(::mkdir(In("dir").c_str(), 0755), 0);
    ASSERT_EQ(::rename(In("sub/b").c_str(), In("dir/b2").c_str()), 0);
  }
};

INSTANTIATE_TEST_SUITE_P(Union, EachStateTest, testing::Values(State::kLive, State::kRemounted, State::kUnmounted),
                         [](const auto& param) {
                           return param.param == State::kLive ? "Live" : param.param == State::kRemounted ? "Remounted" : "Unmounted";
                         });

TEST_P(EachStateTest, NothingChangedIsNothingListed) {
  Mount();
  Settle();
  EXPECT_EQ(Output(With({"changes"})), "");
  EXPECT_EQ(Output(With({"changes", "--json"})), "");
}

TEST_P(EachStateTest, ChangesAreListedAsDockerDiffListsThem) {
  Mount();
  ChangeSomething();
  Settle();
  EXPECT_EQ(LinesOf(Output(With({"changes"}))),
            (Words{"C /a", "D /c", "A /dir", "A /dir/b2", "A /new", "C /sub", "D /sub/b"}));
}

TEST_P(EachStateTest, JsonTellsRenamesAndTypes) {
  Mount();
  ChangeSomething();
  Settle();
  std::map<std::string, nlohmann::json> by_path;
  for (const nlohmann::json& change : JsonLinesOf(Output(With({"changes", "--json"})))) by_path[change["path"]] = change;
  EXPECT_EQ(by_path["/dir/b2"]["renamed_from"], "/sub/b");
  EXPECT_EQ(by_path["/dir/b2"]["kind"], "A");
  EXPECT_EQ(by_path["/dir"]["type"], "directory");
  EXPECT_EQ(by_path["/c"]["kind"], "D");
  EXPECT_FALSE(by_path["/c"].contains("type"));
}

TEST_P(EachStateTest, JsonTellsWhatIsOnlyTheParentOfAChange) {
  Mount();
  AppendFile(In("sub/b"), "more\n");
  Settle();
  const std::vector<nlohmann::json> changes = JsonLinesOf(Output(With({"changes", "--json"})));
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0]["path"], "/sub");
  EXPECT_EQ(changes[0]["implied"], true);
  EXPECT_FALSE(changes[1].contains("implied"));
}

TEST_P(EachStateTest, OddNamesAreOneLineEach) {
  Mount();
  for (const char* name : {"new\nline", "quote\"", "back\\slash", "tab\t", "latin1-\xe4", "umlaut-\xc3\xa4", " space ", "c1-\xc2\x9b"}) {
    WriteFile(In(name), "");
  }
  Settle();
  const Words lines = LinesOf(Output(With({"changes"})));
  EXPECT_EQ(std::multiset<std::string>(lines.begin(), lines.end()),
            (std::multiset<std::string>{R"(A "/new\nline")", R"(A "/quote\"")", R"(A "/back\\slash")", R"(A "/tab\t")",
                                        R"(A "/latin1-\344")", "A /umlaut-\xc3\xa4", "A / space ", R"(A "/c1-\302\233")"}));
  std::multiset<std::string> bytes;
  for (const nlohmann::json& change : JsonLinesOf(Output(With({"changes", "--json"})))) {
    if (change["path"].is_object()) bytes.insert(change["path"]["path_bytes"]);
  }
  EXPECT_EQ(bytes, (std::multiset<std::string>{"L2xhdGluMS3k"}));
}

TEST_P(EachStateTest, CheckpointsAreCreatedListedAndDeleted) {
  Mount();
  WriteFile(In("before"), "");
  Settle();
  EXPECT_EQ(Output(With({"checkpoint", "list"})), "");
  EXPECT_EQ(Output(With({"checkpoint", "create", "one"})), "");
  EXPECT_EQ(Output(With({"changes", "--since", "one"})), "");
  const Words list = LinesOf(Output(With({"checkpoint", "list"})));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_TRUE(list[0].ends_with(" one")) << list[0];
  EXPECT_EQ(JsonLinesOf(Output(With({"checkpoint", "list", "--json"}))).at(0)["name"], "one");

  const ProgramResult again = Run(With({"checkpoint", "create", "one"}));
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_TRUE(Contains(again.err, "plyfs checkpoint: ") && Contains(again.err, "exists already")) << again.err;
  EXPECT_EQ(Run(With({"checkpoint", "create", "no/name"})).exit_code, 1);

  EXPECT_EQ(Output(With({"checkpoint", "delete", "one"})), "");
  const ProgramResult gone = Run(With({"changes", "--since", "one"}));
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_TRUE(Contains(gone.err, "no checkpoint 'one'")) << gone.err;
}

TEST_P(EachStateTest, OnlyWhatChangedSinceACheckpointIsListed) {
  Mount();
  WriteFile(In("before"), "");
  ASSERT_EQ(Run(With({"checkpoint", "create", "one"})).exit_code, 0);
  WriteFile(In("sub/after"), "");
  Settle();
  EXPECT_EQ(LinesOf(Output(With({"changes", "--since", "one"}))), (Words{"C /sub", "A /sub/after"}));
}

TEST_P(EachStateTest, DiffAppliedOverTheLowersIsTheUnion) {
  Mount();
  ChangeSomething();
  const std::string shown = SnapshotOf(mountpoint_);
  Settle();
  const std::string layer = temp_ / "layer.tar";
  const ProgramResult diff = Run(With({"diff", "--output", layer, "--compress", "gzip"}));
  EXPECT_EQ(diff.exit_code, 0) << diff.err;
  EXPECT_TRUE(diff.err.starts_with("DiffID: sha256:") && Contains(diff.err, "\ndigest: sha256:")) << diff.err;
  EXPECT_EQ(diff.out, "");
  Unmount();

  const std::string copy = temp_.MakeDir("applied");
  EXPECT_EQ(Output({"apply", layer, copy}), "");
  const UnionMount over({.lowers = {copy, lower_}, .mountpoint = temp_ / "over"});
  ASSERT_TRUE(over.ok());
  EXPECT_EQ(SnapshotOf(over.path()), shown);
}

TEST_P(EachStateTest, ACleanUnionIsStatus0) {
  Mount();
  ChangeSomething();
  Settle();
  const ProgramResult fsck = Run(With({"fsck"}));
  EXPECT_EQ(fsck.exit_code, 0) << fsck.out;
  EXPECT_EQ(fsck.out, "");
  EXPECT_EQ(fsck.err, "clean\n");
  EXPECT_EQ(Output(With({"fsck", "--json"})), "");
}

// --- diff and apply -------------------------------------------------------------------------------

TEST_F(ToolsTest, DiffToStandardOutputIsTheSameAsToAFile) {
  Mount();
  WriteFile(In("new"), "new\n");
  const std::string file = temp_ / "layer.tar";
  ASSERT_EQ(Run({"diff", "-o", file, mountpoint_}).exit_code, 0);
  const ProgramResult piped = Run({"diff", mountpoint_});
  EXPECT_EQ(piped.exit_code, 0);
  EXPECT_EQ(piped.out, ReadFile(file));
  EXPECT_EQ(ListDir(temp_.path()), (Words{"layer.tar", "lower", "mnt", "upper", "work"}));
}

TEST_F(ToolsTest, AFailedDiffLeavesNoFile) {
  Mount();
  WriteFile(temp_ / "layer.tar", "old");
  EXPECT_EQ(Run({"diff", "-o", temp_ / "layer.tar", "--since", "nope", mountpoint_}).exit_code, 1);
  EXPECT_EQ(ReadFile(temp_ / "layer.tar"), "old");
  const ProgramResult nowhere = Run({"diff", "-o", temp_ / "no/where", mountpoint_});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_TRUE(Contains(nowhere.err, temp_ / "no/where")) << nowhere.err;
}

// The server is stopped, so that the command is in the midst of it.
TEST_F(ToolsTest, AnInterruptedDiffLeavesNoFile) {
  Mount();
  const pid_t server = mount_->ServerPid();
  const std::string file = temp_ / "layer.tar";
  Foreground diff({"sh", "-c", "exec " + PlyfsBinary() + " diff -o " + file + " " + mountpoint_}, [server] { ::kill(server, SIGSTOP); });
  const auto has_begun = [&] {
    for (const std::string& fd : ListDir("/proc/" + std::to_string(diff.pid()) + "/fd")) {
      if (Contains(ReadLink("/proc/" + std::to_string(diff.pid()) + "/fd/" + fd), temp_.path() + "/#")) return true;
    }
    return false;
  };
  EXPECT_TRUE(Eventually(has_begun));
  diff.Signal(SIGINT);
  ::kill(server, SIGCONT);
  EXPECT_EQ(diff.Wait(), 128 + SIGINT);
  EXPECT_EQ(ListDir(temp_.path()), (Words{"lower", "mnt", "upper", "work"}));
}

TEST_F(ToolsTest, DiffWritesIntoADeviceAndLeavesItOne) {
  Mount();
  const std::string device = temp_ / "null";
  ASSERT_EQ(::mknod(device.c_str(), S_IFCHR | 0666, 0x103), 0);
  EXPECT_EQ(Run({"diff", "-o", device, mountpoint_}).exit_code, 0);
  EXPECT_TRUE(S_ISCHR(Lstat(device).st_mode));
}

TEST_F(ToolsTest, SourceDateEpochIsHonouredOrRefused) {
  Mount();
  WriteFile(In("new"), "new\n");
  const ProgramOptions then{.environment = {"SOURCE_DATE_EPOCH=1000000000"}};
  const std::string first = Run({"diff", mountpoint_}, then).out;
  const timespec now[2] = {{.tv_sec = 0, .tv_nsec = UTIME_NOW}, {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  ASSERT_EQ(::utimensat(AT_FDCWD, In("new").c_str(), now, 0), 0);
  EXPECT_EQ(Run({"diff", mountpoint_}, then).out, first);
  EXPECT_FALSE(first.empty());
  const ProgramResult bad = Run({"diff", mountpoint_}, {.environment = {"SOURCE_DATE_EPOCH=yesterday"}});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_TRUE(Contains(bad.err, "SOURCE_DATE_EPOCH")) << bad.err;
}

TEST_F(ToolsTest, ApplyReadsAPipe) {
  Mount();
  WriteFile(In("new"), "new\n");
  Unmount();
  const std::string target = temp_.MakeDir("applied");
  const std::string plyfs = PlyfsBinary();
  const ProgramResult result = RunProgram({"sh", "-c",
                                           plyfs + " diff --upper " + upper_ + " --work " + work_ + " --lower " + lower_ +
                                               " --compress zstd 2>/dev/null | " + plyfs + " apply - " + target});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ReadFile(target + "/new"), "new\n");
}

TEST_F(ToolsTest, ApplySaysWhatIsMissing) {
  const ProgramResult layer = Run({"apply", temp_ / "none.tar", lower_});
  EXPECT_EQ(layer.exit_code, 1);
  EXPECT_TRUE(Contains(layer.err, temp_ / "none.tar")) << layer.err;
  WriteFile(temp_ / "text", "this is no tar\n");
  EXPECT_EQ(Run({"apply", temp_ / "text", lower_}).exit_code, 1);
  const ProgramResult no_tar = Run({"apply", temp_ / "text", lower_});
  EXPECT_TRUE(Contains(no_tar.err, temp_ / "text") && Contains(no_tar.err, "a layer is a tar")) << no_tar.err;
  const ProgramResult no_file = Run({"apply", lower_, lower_});
  EXPECT_EQ(no_file.exit_code, 1);
  EXPECT_TRUE(Contains(no_file.err, lower_) && Contains(no_file.err, "Is a directory")) << no_file.err;
  const ProgramResult directory = Run({"apply", temp_ / "text", temp_ / "nowhere"});
  EXPECT_EQ(directory.exit_code, 1);
  EXPECT_TRUE(Contains(directory.err, temp_ / "nowhere")) << directory.err;
}

TEST_F(ToolsTest, ApplyRefusesAnUpperInUse) {
  Mount();
  WriteFile(In("new"), "");
  ASSERT_EQ(Run({"diff", "-o", temp_ / "layer.tar", mountpoint_}).exit_code, 0);
  const ProgramResult result = Run({"apply", temp_ / "layer.tar", upper_});
  EXPECT_EQ(result.exit_code, 1) << "an upper that is mounted was written to";
  EXPECT_TRUE(Contains(result.err, upper_)) << result.err;
}

// --- fsck -----------------------------------------------------------------------------------------

TEST_F(ToolsTest, WhatTheJournalDoesNotKnowIsFoundAndRepaired) {
  Mount();
  WriteFile(In("new"), "");
  // Behind the server's back, which nobody may do.
  WriteFile(upper_ + "/smuggled", "");
  const ProgramResult found = Run({"fsck", mountpoint_});
  EXPECT_EQ(found.exit_code, 4) << found.out << found.err;
  EXPECT_TRUE(Contains(found.out, "/smuggled")) << found.out;
  EXPECT_TRUE(Contains(found.err, "--repair")) << found.err;
  const std::vector<nlohmann::json> findings = JsonLinesOf(Run({"fsck", "--json", mountpoint_}).out);
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0]["path"], "/smuggled");
  EXPECT_EQ(Run({"fsck", "--repair", mountpoint_}).exit_code, 1);
  EXPECT_EQ(Run({"fsck", mountpoint_}).exit_code, 0);
}

}  // namespace
}  // namespace plyfs::test
