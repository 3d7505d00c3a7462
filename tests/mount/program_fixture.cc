// program_fixture.cc: see program_fixture.h.
#include "tests/mount/program_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/harness/file_ops.h"
#include "tests/harness/union_mount.h"

namespace plyfs::test {
namespace {

constexpr long kFuseMagic = 0x65735546;

// Not by a stream: those throw when the process ends between open and read.
std::string ArgumentsOf(const std::string& pid) {
  std::string arguments;
  const int fd = ::open(("/proc/" + pid + "/cmdline").c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[4096];
  for (ssize_t got; fd >= 0 && (got = ::read(fd, buffer, sizeof buffer)) > 0;) {
    arguments.append(buffer, static_cast<size_t>(got));
  }
  if (fd >= 0) ::close(fd);
  return arguments;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

bool IsFuse(const std::string& path) {
  struct statfs stat;
  return ::statfs(path.c_str(), &stat) == 0 && stat.f_type == kFuseMagic;
}

Foreground::Foreground(const std::vector<std::string>& argv,
                       const std::function<void()>& before_exec) {
  pid_ = ::fork();
  if (pid_ != 0) return;
  const int null = ::open("/dev/null", O_RDONLY);
  const int err = ::open((output_ / "stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  ::dup2(null, STDIN_FILENO);
  ::dup2(err, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (before_exec) before_exec();
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

Foreground::~Foreground() {
  if (status_ >= 0) return;
  Signal(SIGKILL);
  Wait();
}

void Foreground::Signal(int signal) const { ::kill(pid_, signal); }

int Foreground::Wait() {
  if (status_ >= 0) return status_;
  int status = 0;
  if (!Eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) {
    Signal(SIGKILL);
    ::waitpid(pid_, &status, 0);
    return status_ = 124;
  }
  return status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Foreground::Stderr() const { return ReadFile(output_ / "stderr"); }

ProgramTest::ProgramTest()
    : lower_(temp_.MakeDir("lower")),
      upper_(temp_.MakeDir("upper")),
      work_(temp_.MakeDir("work")),
      mnt_(temp_.MakeDir("mnt")) {
  WriteFile(lower_ + "/from-lower", "lower content");
}

void ProgramTest::TearDown() {
  // Also a mount whose server is dead, which no statfs tells.
  while (::umount2(mnt_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); })) << "a server stays after the unmount";
  for (const pid_t pid : Servers()) ::kill(pid, SIGKILL);
}

std::string ProgramTest::Options(const std::string& extra) const {
  const std::string layers = "lowerdir=" + lower_ + ",upperdir=" + upper_ + ",workdir=" + work_;
  return extra.empty() ? layers : layers + "," + extra;
}

ProgramResult ProgramTest::Run(const std::vector<std::string>& arguments,
                               const ProgramOptions& how) const {
  std::vector<std::string> argv = {PlyfsBinary()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunProgram(argv, how);
}

ProgramResult ProgramTest::Mount(const std::string& extra, const ProgramOptions& how) const {
  return Run({"-o", Options(extra), mnt_}, how);
}

std::vector<pid_t> ProgramTest::Servers() const {
  std::vector<pid_t> pids;
  DIR* const proc = ::opendir("/proc");
  while (const dirent* entry = ::readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    // A zombie has no arguments, so it does not count.
    if (pid > 0 && ArgumentsOf(entry->d_name).find(temp_.path()) != std::string::npos) {
      pids.push_back(pid);
    }
  }
  ::closedir(proc);
  return pids;
}

pid_t ProgramTest::Server() const {
  const std::vector<pid_t> pids = Servers();
  EXPECT_EQ(pids.size(), 1u);
  return pids.empty() ? 0 : pids.front();
}

}  // namespace plyfs::test
