// daemon.cc: see daemon.h.
#include "fs/mount/daemon.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fs/base/log.h"
#include "fs/mount/exit_status.h"

namespace plyfs {
namespace {

// The child has ended without having been ready: its exit status is ours.
int StatusOf(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return kExitServer;
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : kExitServer;
  LogError("the server was ended by signal %d before the mount was live", WTERMSIG(status));
  return kExitServer;
}

int WaitFor(pid_t child, const UniqueFd& pipe) {
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipe.get(), &byte, 1);
  } while (got < 0 && errno == EINTR);
  return got == 1 ? static_cast<int>(kExitLive) : StatusOf(child);
}

void ReplaceStandardStreams() {
  // Where there is no /dev/null, anything that can be neither read nor written does.
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) null = ::open("/", O_PATH | O_CLOEXEC);
  const UniqueFd owner(null);
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(null, stream) < 0) ::close(stream);
  }
}

}  // namespace

InheritedFds::InheritedFds() {
  for (int fd = 0; fd < kEnd; ++fd) {
    open_[fd] = ::fcntl(fd, F_GETFD) >= 0;
    // open(2) takes the lowest free number, which is this one.
    if (!open_[fd] && fd <= STDERR_FILENO && ::open("/dev/null", O_RDWR) < 0) continue;
  }
}

void InheritedFds::Close() const {
  for (int fd = STDERR_FILENO + 1; fd < kEnd; ++fd) {
    if (open_[fd]) ::close(fd);
  }
}

std::optional<int> Readiness::Fork() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) {
    LogError("pipe: %s", std::strerror(errno));
    return kExitServer;
  }
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    LogError("fork: %s", std::strerror(errno));
    return kExitServer;
  }
  if (child > 0) {
    write_end.reset();  // or a child that fails would never end the read
    return WaitFor(child, read_end);
  }
  ::setsid();
  pipe_ = std::move(write_end);
  return std::nullopt;
}

bool Readiness::Announce(const InheritedFds& inherited) {
  if (!pipe_.valid()) return true;
  // Before the parent exits: callers read the pipe that is our stderr to its end as soon as it has.
  SetLogTarget(LogTarget::kSyslog);
  ReplaceStandardStreams();
  inherited.Close();
  if (::chdir("/") < 0) LogWarning("chdir /: %s", std::strerror(errno));
  const bool told = ::write(pipe_.get(), "", 1) == 1;
  pipe_.reset();
  return told;
}

}  // namespace plyfs
