// daemon_test.cc: what stays behind after the program has returned, signals, and ends of all kinds.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/harness/union_mount.h"
#include "tests/mount/program_fixture.h"

namespace plyfs::test {
namespace {

class DaemonTest : public ProgramTest {
 protected:
  // Number `fd` of the server, as /proc shows it.
  std::string FdOf(int fd) const {
    return ReadLink("/proc/" + std::to_string(Server()) + "/fd/" + std::to_string(fd));
  }
  // The rest of the line in /proc/PID/`file` that starts with `name`.
  std::string StatusOf(const char* file, const std::string& name) const {
    const std::string text = ReadFile("/proc/" + std::to_string(Server()) + "/" + file);
    const size_t at = text.find("\n" + name);
    return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
  }
  std::vector<std::string> ForegroundArguments() const {
    return {PlyfsBinary(), "-f", "-o", Options(), mnt_};
  }
};

TEST_F(DaemonTest, StandardStreamsAreNullSoThatAReaderSeesTheirEnd) {
  // RunProgram reads stderr to its end, as podman does; it would report 124 otherwise.
  ASSERT_EQ(Mount().exit_code, 0);
  for (int fd : {0, 1, 2}) EXPECT_EQ(FdOf(fd), "/dev/null");
}

TEST_F(DaemonTest, LeadsASessionOfItsOwnAndKeepsNoDirectoryBusy) {
  ASSERT_EQ(Mount().exit_code, 0);
  EXPECT_EQ(::getsid(Server()), Server());
  EXPECT_EQ(ReadLink("/proc/" + std::to_string(Server()) + "/cwd"), "/");
}

TEST_F(DaemonTest, KeepsNoDescriptorOfItsCaller) {
  const std::string lock = temp_ / "lock";
  WriteFile(lock, "");
  const auto inherit = [&] {
    const int fd = ::open(lock.c_str(), O_RDWR);
    ::flock(fd, LOCK_EX);
    ::dup2(fd, 77);
  };
  ASSERT_EQ(Mount("", {.before_exec = inherit}).exit_code, 0);
  const int fd = ::open(lock.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0) << "the lock of the caller is still held";
  ::close(fd);
}

TEST_F(DaemonTest, StartsWithoutStandardStreams) {
  const auto close_streams = [] {
    for (int fd : {0, 1, 2}) ::close(fd);
  };
  ASSERT_EQ(Mount("", {.before_exec = close_streams}).exit_code, 0);
  EXPECT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
  for (int fd : {0, 1, 2}) EXPECT_EQ(FdOf(fd), "/dev/null");
}

TEST_F(DaemonTest, LimitsAndUmaskOfTheCallerDoNotBind) {
  const auto restrict = [] {
    rlimit limit;
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 4096;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::umask(0777);
  };
  ASSERT_EQ(Mount("", {.before_exec = restrict}).exit_code, 0);
  EXPECT_EQ(StatusOf("status", "Umask:"), "Umask:\t0000");
  char name[64] = "", unit[64] = "";
  char soft[32] = "", hard[32] = "";
  ASSERT_EQ(::sscanf(StatusOf("limits", "Max open files").c_str(), "%63s open files %31s %31s %63s",
                     name, soft, hard, unit),
            4);
  EXPECT_STREQ(soft, hard);
  WriteFile(mnt_ + "/long", std::string(100000, 'x'));
  EXPECT_EQ(Lstat(upper_ + "/long").st_size, 100000);
}

// --- signals
// -----------------------------------------------------------------------------------------

TEST_F(DaemonTest, TerminatingSignalsUnmountAndEndIt) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    ASSERT_EQ(Mount().exit_code, 0);
    ASSERT_EQ(::kill(Server(), signal), 0);
    EXPECT_TRUE(Eventually([&] { return Servers().empty(); })) << strsignal(signal);
    EXPECT_FALSE(Mounted()) << strsignal(signal);
    EXPECT_EQ(ListDir(mnt_), std::vector<std::string>{}) << "no dead mount stays";
  }
}

TEST_F(DaemonTest, TerminatingSignalsWriteBackAndEndAMountInUse) {
  ASSERT_EQ(Mount("writeback=1").exit_code, 0);
  const int fd = ::open((mnt_ + "/open").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::write(fd, "kept", 4), 4);
  ASSERT_EQ(::kill(Server(), SIGTERM), 0);
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_FALSE(Mounted());
  EXPECT_EQ(ReadFile(upper_ + "/open"), "kept");
  EXPECT_EQ(ErrnoOf(::write(fd, "lost", 4)) != 0 || ErrnoOf(::fsync(fd)) != 0, true);
  ::close(fd);
}

TEST_F(DaemonTest, Sigusr1PrintsOneLineOfCounters) {
  Foreground server(ForegroundArguments());
  ASSERT_TRUE(Eventually([&] { return Mounted(); }));
  EXPECT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
  server.Signal(SIGUSR1);
  EXPECT_TRUE(Eventually([&] { return !server.Stderr().empty(); }));
  EXPECT_EQ(ReadFile(mnt_ + "/from-lower"), "lower content");
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
  const std::string printed = server.Stderr();
  EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'), 1) << printed;
  EXPECT_TRUE(printed.starts_with("plyfs: threads=")) << printed;
}

TEST_F(DaemonTest, StaysInTheForegroundUntilTheUnmount) {
  Foreground server(ForegroundArguments());
  ASSERT_TRUE(Eventually([&] { return Mounted(); }));
  EXPECT_EQ(Server(), server.pid());
  Unmount(mnt_);
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_EQ(server.Stderr(), "");
}

TEST_F(DaemonTest, AnUnmountByOthersEndsIt) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"umount", mnt_},
                                                  {"umount", "-l", mnt_},
                                                  {"fusermount3", "-u", mnt_}}) {
    ASSERT_EQ(Mount().exit_code, 0);
    ASSERT_EQ(RunProgram(command).exit_code, 0);
    EXPECT_TRUE(Eventually([&] { return Servers().empty(); })) << command[0];
  }
}

// A second mount over the first belongs to somebody else.
TEST_F(DaemonTest, NeverUnmountsWhatIsNotItsOwn) {
  ASSERT_EQ(Mount().exit_code, 0);
  const pid_t server = Server();
  ASSERT_EQ(::mount("cover", mnt_.c_str(), "tmpfs", 0, nullptr), 0);
  WriteFile(mnt_ + "/of-the-cover", "x");
  ASSERT_EQ(::kill(server, SIGTERM), 0);
  EXPECT_TRUE(Exists(mnt_ + "/of-the-cover"));
  ASSERT_EQ(::umount2(mnt_.c_str(), 0), 0);
}

// --- a start that is cut off
// ---------------------------------------------------------------------------

// Holds the lock of the upper, so that a start waits until Release.
class HeldUpper {
 public:
  explicit HeldUpper(const std::string& upper)
      : fd_(::open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    EXPECT_EQ(::flock(fd_, LOCK_EX | LOCK_NB), 0);
  }
  ~HeldUpper() { Release(); }
  void Release() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

TEST_F(DaemonTest, AKilledStarterLeavesNoMountThatNobodyKnowsOf) {
  HeldUpper held(upper_);
  Foreground starter({PlyfsBinary(), "-o", Options(), mnt_});
  ASSERT_TRUE(Eventually([&] { return Servers().size() == 2; }))
      << "the one that waits and the server";
  starter.Signal(SIGKILL);
  EXPECT_EQ(starter.Wait(), 128 + SIGKILL);
  held.Release();
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_FALSE(Mounted());
}

TEST_F(DaemonTest, ASignalDuringTheStartUnmountsAfterIt) {
  HeldUpper held(upper_);
  Foreground server(ForegroundArguments());
  // Blocked signals show that the server has reached its start.
  ASSERT_TRUE(Eventually([&] {
    return !Servers().empty() && StatusOf("status", "SigBlk:") != "SigBlk:\t0000000000000000";
  }));
  server.Signal(SIGTERM);
  held.Release();
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_FALSE(Mounted());
}

TEST_F(DaemonTest, AServerKilledDuringTheStartIsReported) {
  HeldUpper held(upper_);
  Foreground starter({PlyfsBinary(), "-o", Options(), mnt_});
  ASSERT_TRUE(Eventually([&] { return Servers().size() == 2; }));
  for (const pid_t pid : Servers()) {
    if (pid != starter.pid()) ::kill(pid, SIGKILL);
  }
  EXPECT_EQ(starter.Wait(), 4);
  EXPECT_EQ(starter.Stderr(),
            "plyfs: the server was ended by signal 9 before the mount was live\n");
  held.Release();
}

}  // namespace
}  // namespace plyfs::test
