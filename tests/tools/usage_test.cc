// usage_test.cc: the command line itself: help, wrong usage, exit statuses, man pages, the program that is not there.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/tools/tools_fixture.h"

namespace plyfs::test {
namespace {

constexpr const char* kCommands[] = {"changes", "diff", "apply", "checkpoint", "watch", "fsck", "stats"};

TEST_F(ToolsTest, EveryCommandHasHelpThatNamesItsExitStatus) {
  for (const char* command : kCommands) {
    const std::string help = Output({command, "--help"});
    EXPECT_TRUE(Contains(help, std::string("plyfs ") + command)) << help;
    EXPECT_TRUE(Contains(help, "Exit status: 0 ")) << help;
  }
  for (const char* command : {"create", "list", "delete"}) {
    EXPECT_TRUE(Contains(Output({"checkpoint", command, "--help"}), "TARGET")) << command;
  }
}

struct UsageCase {
  Words arguments;
  int status;
  std::string message;
};

TEST_F(ToolsTest, WrongUsageIsSaidAndDoesNothing) {
  const UsageCase cases[] = {
      {{"changes"}, 2, "a mountpoint is missing"},
      {{"changes", "--jsno", mountpoint_}, 2, "--jsno"},
      {{"changes", "--since"}, 2, "--since"},
      {{"changes", "--since", "", mountpoint_}, 2, "--since: it is empty"},
      {{"diff", "--output", "", mountpoint_}, 2, "--output: it is empty"},
      {{"changes", mountpoint_, "--upper", upper_}, 2, "exclude each other"},
      {{"changes", "--upper", upper_, "--lower", lower_}, 2, "--work is missing"},
      {{"changes", "--upper", upper_, "--work", work_}, 2, "--lower is missing"},
      {{"diff", "--compress", "xz", mountpoint_}, 2, "xz"},
      {{"apply", "layer.tar"}, 2, "DIRECTORY"},
      {{"checkpoint"}, 2, "subcommand"},
      {{"checkpoint", "create"}, 2, "NAME"},
      {{"checkpoint", "rename", "a", "b"}, 2, ""},
      {{"watch"}, 2, "MOUNTPOINT"},
      {{"watch", "--since", "yesterday", mountpoint_}, 2, "--since"},
      {{"watch", "--since", "-1", mountpoint_}, 2, "--since"},
      {{"watch", "--since", "18446744073709551616", mountpoint_}, 2, "--since"},
      {{"stats", "--json", "--prometheus", mountpoint_}, 2, "--prometheus"},
      {{"fsck"}, 16, "a mountpoint is missing"},
      {{"fsck", "--fix", mountpoint_}, 16, "--fix"},
      {{"fsck", lower_}, 8, "no plyfs is mounted here"},
  };
  for (const UsageCase& usage : cases) {
    const ProgramResult result = Run(usage.arguments);
    EXPECT_EQ(result.exit_code, usage.status) << testing::PrintToString(usage.arguments) << result.err;
    EXPECT_TRUE(result.err.starts_with("plyfs " + usage.arguments[0] + ": ")) << result.err;
    EXPECT_TRUE(Contains(result.err, usage.message)) << result.err;
    EXPECT_EQ(result.out, "");
    if (usage.status != 8) {
      EXPECT_TRUE(Contains(result.err, "--help`")) << result.err;
    }
  }
}

TEST_F(ToolsTest, AFullDiskUnderTheOutputIsAFailure) {
  Mount();
  WriteFile(In("new"), "");
  const ProgramResult result = RunProgram({"sh", "-c", "exec " + PlyfsBinary() + " changes " + mountpoint_ + " >/dev/full"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, "standard output")) << result.err;
  const ProgramResult help = RunProgram({"sh", "-c", "exec " + PlyfsBinary() + " changes --help >/dev/full"});
  EXPECT_EQ(help.exit_code, 1);
  const ProgramResult diff = Run({"diff", "-o", "/dev/full", mountpoint_});
  EXPECT_EQ(diff.exit_code, 1);
  EXPECT_TRUE(Contains(diff.err, "/dev/full") && Contains(diff.err, "No space left")) << diff.err;
}

TEST_F(ToolsTest, ALongCommandShowsHowFarItIsOnATerminalOnly) {
  Mount();
  WriteFile(In("new"), "");
  ASSERT_EQ(Run({"diff", "-o", temp_ / "layer.tar", mountpoint_}).exit_code, 0);
  const auto apply = [&](const std::string& directory) {
    return "{ sleep 3; cat " + temp_ / "layer.tar; } | " + PlyfsBinary() + " apply - " + temp_.MakeDir(directory);
  };
  const ProgramResult on_terminal = RunProgram({"script", "-qec", apply("one"), "/dev/null"});
  EXPECT_EQ(on_terminal.exit_code, 0) << on_terminal.out;
  EXPECT_TRUE(Contains(on_terminal.out, "unpacking the layer")) << on_terminal.out;
  EXPECT_TRUE(on_terminal.out.ends_with("\r\033[K")) << testing::PrintToString(on_terminal.out);
  EXPECT_EQ(RunProgram({"sh", "-c", apply("two")}).err, "");
}

TEST_F(ToolsTest, AReaderThatHasSeenEnoughEndsTheListQuietly) {
  Mount();
  for (int i = 0; i < 3000; ++i) WriteFile(In("a-file-with-quite-a-long-name-" + std::to_string(i)), "");
  const ProgramResult result = RunProgram({"sh", "-c", PlyfsBinary() + " changes " + mountpoint_ + " | head -n 1"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "A /a-file-with-quite-a-long-name-0\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(ToolsTest, WithoutPlyfsToolsTheMountProgramSaysWhatIsMissing) {
  const std::string copy = temp_ / "plyfs";
  ASSERT_EQ(RunProgram({"cp", PlyfsBinary(), copy}).exit_code, 0);
  const ProgramResult result = RunProgram({copy, "changes", mountpoint_});
  // An installed plyfs-tools would be found; then the target is what is wrong.
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, "plyfs-tools") || Contains(result.err, mountpoint_)) << result.err;
}

TEST_F(ToolsTest, ThePageNamesEveryCommandAndOption) {
  const std::string page = ReadFile(PLYFS_SOURCE_DIR "/docs/plyfs-tools.1");
  for (const char* command : kCommands) {
    EXPECT_TRUE(Contains(page, std::string("plyfs-") + command)) << command;
    const std::string help = Output({command, "--help"});
    for (size_t at = 0; (at = help.find("--", at)) != std::string::npos; at += 2) {
      std::string option = help.substr(at, help.find_first_of(" ,`\n", at) - at);
      for (size_t dash = 0; (dash = option.find('-', dash)) != std::string::npos; dash += 2) option.insert(dash, 1, '\\');
      EXPECT_TRUE(Contains(page, option)) << command << " " << option;
    }
  }
}

// What bash offers after these words.
Words Completions(const std::string& words) {
  const std::string script = "source " PLYFS_SOURCE_DIR "/tools/completion/plyfs.bash; COMP_WORDS=(" + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _plyfs; printf '%s\\n' \"${COMPREPLY[@]}\"";
  return LinesOf(RunProgram({"bash", "-c", script}).out);
}

TEST_F(ToolsTest, BashCompletesCommandsAndOptions) {
  EXPECT_EQ(Completions("plyfs chan"), Words{"changes"});
  EXPECT_EQ(Completions("plyfs checkpoint d"), Words{"delete"});
  EXPECT_EQ(Completions("plyfs diff --comp"), Words{"--compress"});
  EXPECT_EQ(Completions("plyfs diff --compress g"), Words{"gzip"});
  EXPECT_EQ(Completions("plyfs stats --"), (Words{"--json", "--prometheus", "--help"}));
  EXPECT_EQ(Completions("plyfs fsck " + temp_.path() + "/upp"), Words{upper_});
  EXPECT_EQ(Completions("plyfs -o lower"), Words{"lowerdir="});
}

TEST_F(ToolsTest, AMountpointNamedAsACommandIsWrittenAsAPath) {
  const std::string named = temp_.MakeDir("changes");
  const UnionMount mount({.lowers = {lower_}, .upper = upper_, .work = work_, .mountpoint = named});
  ASSERT_TRUE(mount.ok());
  EXPECT_TRUE(Exists(named + "/a"));
}

}  // namespace
}  // namespace plyfs::test
