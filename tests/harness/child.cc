// child.cc: fork, credentials, timeouts.
#include "tests/harness/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

namespace plyfs::test {
namespace {

using Clock = std::chrono::steady_clock;

int MillisUntil(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

// Waits for `pid` until the deadline. A child stuck in a filesystem call may survive SIGKILL for a
// while (until the FUSE connection is aborted), so it is not waited for after the kill.
bool WaitUntil(pid_t pid, Clock::time_point deadline, int* status) {
  for (useconds_t pause = 100;; pause = pause < 10000 ? pause * 2 : pause) {
    const pid_t done = waitpid(pid, status, WNOHANG);
    if (done == pid) return true;
    if (done < 0 && errno != EINTR) return false;
    if (MillisUntil(deadline) == 0) break;
    usleep(pause);
  }
  kill(pid, SIGKILL);
  return false;
}

[[noreturn]] void ExecChild(const std::vector<std::string>& argv, const ProgramOptions& options,
                            int out, int err) {
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  for (const std::string& setting : options.environment) putenv(const_cast<char*>(setting.c_str()));
  if (options.before_exec) options.before_exec();
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  execvp(args[0], args.data());
  dprintf(STDERR_FILENO, "cannot run %s: %s\n", args[0], strerror(errno));
  _exit(127);
}

// Reads both pipes until both are closed. False at the deadline.
bool Collect(int out_fd, int err_fd, Clock::time_point deadline, ProgramResult* result) {
  pollfd fds[2] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}};
  std::string* texts[2] = {&result->out, &result->err};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const int ready = poll(fds, 2, MillisUntil(deadline));
    if (ready == 0) return false;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[65536];
      const ssize_t got = read(fds[i].fd, buffer, sizeof buffer);
      if (got > 0) texts[i]->append(buffer, static_cast<size_t>(got));
      if (got == 0 || (got < 0 && errno != EINTR)) fds[i].fd = -1;
    }
  }
  return true;
}

}  // namespace

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

int RunInChild(const std::function<int()>& body, int timeout_seconds) {
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) {
    ADD_FAILURE() << "fork: " << strerror(errno);
    return -1;
  }
  if (pid == 0) _exit(body());
  int status = 0;
  if (!WaitUntil(pid, Clock::now() + std::chrono::seconds(timeout_seconds), &status)) {
    ADD_FAILURE() << "the child did not end within " << timeout_seconds << " s";
    return -1;
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  ADD_FAILURE() << "the child was killed by signal " << WTERMSIG(status);
  return -1;
}

int RunAs(const Credentials& who, const std::function<int()>& body, int timeout_seconds) {
  return RunInChild(
      [&] {
        umask(0);
        if (setgroups(who.groups.size(), who.groups.data()) != 0 ||
            setresgid(who.gid, who.gid, who.gid) != 0 ||
            setresuid(who.uid, who.uid, who.uid) != 0) {
          dprintf(STDERR_FILENO, "cannot become %u:%u: %s\n", who.uid, who.gid, strerror(errno));
          return 254;
        }
        return body();
      },
      timeout_seconds);
}

ProgramResult RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options) {
  ProgramResult result;
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "pipe: " << strerror(errno);
    return result;
  }
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) ExecChild(argv, options, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  const auto deadline = Clock::now() + std::chrono::seconds(options.timeout_seconds);
  const bool closed = Collect(out[0], err[0], deadline, &result);
  close(out[0]);
  close(err[0]);
  int status = 0;
  if (!closed || !WaitUntil(pid, deadline, &status)) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    result.exit_code = 124;
    return result;
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace plyfs::test
