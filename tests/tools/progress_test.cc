// progress_test.cc: the line on the terminal that shows how far a long command is, seen through a pseudoterminal.
// Not here: what is shown of apply (usage_test.cc).
#include "tools/commands/progress.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>

#include "tests/control/control_fixture.h"
#include "tests/harness/file_ops.h"
#include "tests/mount/program_fixture.h"
#include "tests/tools/tools_fixture.h"
#include "tools/commands/console.h"

namespace plyfs::test {
namespace {

using std::chrono::milliseconds;
constexpr const char* kWipe = "\r\033[K";

// What `body` writes, in a child whose standard streams are a terminal of so many columns.
std::string OnTerminal(unsigned short columns, const std::function<void()>& body) {
  int terminal = -1;
  const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    ::alarm(60);
    body();
    ::_exit(0);
  }
  std::string output;
  char buffer[4096];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;) output.append(buffer, static_cast<size_t>(got));
  ::close(terminal);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return output;
}

// Shows some lines: each look is one more.
void ShowLooks(int looks, const ProgressState& state) {
  std::atomic<int> seen = 0;
  const Progress progress("working", [&] {
    ++seen;
    return state;
  }, milliseconds(0));
  while (seen < looks) ::usleep(1000);
}

TEST(ProgressTest, IsWipedOutAtTheEnd) {
  const std::string output = OnTerminal(80, [] { ShowLooks(2, {.counted = "5 names looked at"}); });
  EXPECT_TRUE(output.starts_with("working, 5 names looked at, 0 s")) << testing::PrintToString(output);
  EXPECT_TRUE(output.ends_with(kWipe)) << testing::PrintToString(output);
  EXPECT_FALSE(Contains(output, "\n"));
}

TEST(ProgressTest, HasABarWhereTheEndIsKnown) {
  const std::string output = OnTerminal(120, [] { ShowLooks(1, {.done = 50, .total = 100, .counted = "50 entries"}); });
  EXPECT_TRUE(Contains(output, "working [###############               ]  50 %, 50 entries, 0 s")) << testing::PrintToString(output);
}

TEST(ProgressTest, IsCutToTheTerminal) {
  const std::string output = OnTerminal(20, [] { ShowLooks(1, {.counted = "1234567890 names looked at"}); });
  EXPECT_TRUE(output.starts_with("working, 1234567890" + std::string(kWipe))) << testing::PrintToString(output);
}

TEST(ProgressTest, AMessageDoesNotStandInItsLine) {
  const std::string output = OnTerminal(80, [] {
    ShowStatusLine("working, 1 s");
    PrintNote("warning: look out");
    ShowStatusLine("working, 2 s");
    ShowStatusLine("");
  });
  EXPECT_EQ(output, "working, 1 s" + std::string(kWipe) + "warning: look out\r\nworking, 2 s" + kWipe);
}

TEST(ProgressTest, NothingIsShownOfWhatTakesLessThanASecond) {
  EXPECT_EQ(OnTerminal(80, [] { const Progress progress("working"); }), "");
}

TEST(ProgressTest, NothingIsShownWithoutATerminal) {
  EXPECT_EQ(OnTerminal(80, [] {
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    const Progress progress("working", nullptr, milliseconds(0));
    ::usleep(300'000);
  }), "");
}

// --- the commands

// In the place of the mount's server, one that works until a tool has asked it often enough how far it is.
class SlowJournal : public FakeJournal {
 public:
  Errno ForEachChange(const std::string& since_checkpoint, const OnChange& visit) override {
    Work();
    return FakeJournal::ForEachChange(since_checkpoint, visit);
  }
  Result<std::vector<FsckFinding>> CheckJournal(bool repair) override {
    Work();
    return FakeJournal::CheckJournal(repair);
  }
  Errno CreateCheckpoint(const std::string& name) override {
    Work();
    return FakeJournal::CreateCheckpoint(name);
  }
  OverlayCounters Counters() override {
    // What was examined before this command does not count.
    return {.examined_names = 1000 + 500 * asked_++};
  }

 private:
  // The first question is asked at the start, the others of a line each.
  void Work() {
    EXPECT_TRUE(Eventually([&] { return asked_ >= 3; }));
  }
  std::atomic<uint64_t> asked_ = 0;
};

struct SlowCase {
  const char* name;
  Words command;
  const char* shown;
};

class SlowServerTest : public ToolsTest, public testing::WithParamInterface<SlowCase> {};
INSTANTIATE_TEST_SUITE_P(Command, SlowServerTest,
                         testing::Values(SlowCase{"Changes", {"changes"}, "listing the changes"},
                                         SlowCase{"Diff", {"diff", "-o", "/dev/null"}, "listing the changes"},
                                         SlowCase{"Fsck", {"fsck"}, "checking the journal"},
                                         SlowCase{"Repair", {"fsck", "--repair"}, "repairing the journal"},
                                         SlowCase{"Checkpoint", {"checkpoint", "create", "x"}, "creating the checkpoint"}),
                         [](const auto& param) { return param.param.name; });

TEST_P(SlowServerTest, HowFarItIsIsShownAndWipedOut) {
  Mount();
  const UniqueFd own(::open((work_ + "/plyfs").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Result<std::unique_ptr<ControlServer>> server = ControlServer::Bind(own.get());
  ASSERT_TRUE(server.ok());
  SlowJournal journal;
  ASSERT_TRUE((*server)->Serve(journal, {.info = {.layers = {.lowers = {lower_}, .upper = upper_, .work = work_}}}).ok());
  std::string command = "exec " + PlyfsBinary();
  for (const std::string& word : GetParam().command) command += " " + word;
  const ProgramResult result = RunProgram({"script", "-qec", command + " " + mountpoint_, "/dev/null"});
  EXPECT_EQ(result.exit_code, 0) << result.out;
  const std::string shown = GetParam().shown;
  EXPECT_TRUE(result.out.starts_with(shown + ", 500 names looked at, 1 s" + kWipe)) << testing::PrintToString(result.out);
  EXPECT_EQ(result.out.rfind(shown) < result.out.rfind(kWipe), true) << testing::PrintToString(result.out);
}

TEST_F(ToolsTest, TheServerCountsTheNamesThatItLooksAt) {
  Mount();
  for (int i = 0; i < 100; ++i) WriteFile(In("file-" + std::to_string(i)), "");
  const auto examined = [&] { return JsonLinesOf(Output({"stats", "--json", mountpoint_})).at(0)["examined_names"].get<uint64_t>(); };
  EXPECT_EQ(examined(), 0u);
  Output({"changes", mountpoint_});
  EXPECT_EQ(examined(), 100u);
  EXPECT_EQ(Run({"fsck", mountpoint_}).exit_code, 0);
  EXPECT_EQ(examined(), 200u);
}

}  // namespace
}  // namespace plyfs::test
