// fusermount.cc: see fusermount.h.
#include "fs/mount/fusermount.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace plyfs {
namespace {

constexpr const char* kPrograms[] = {"fusermount3", "fusermount"};

// Attributes for a child that starts with no signal blocked, whatever the caller blocks.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

class FileActions {
 public:
  // The child gets `inherited` under the same number, if it is one.
  explicit FileActions(int inherited) {
    ::posix_spawn_file_actions_init(&actions_);
    // dup2 onto itself takes close-on-exec off in the child.
    if (inherited >= 0) ::posix_spawn_file_actions_adddup2(&actions_, inherited, inherited);
  }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// Starts fusermount3 with `arguments`; -1 and errno if there is no such program.
pid_t Start(const std::vector<std::string>& arguments, int comm_fd) {
  std::string comm = "_FUSE_COMMFD=" + std::to_string(comm_fd);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  if (comm_fd >= 0) environment.push_back(comm.data());
  environment.push_back(nullptr);

  const SpawnAttributes attributes;
  const FileActions actions(comm_fd);
  for (const char* program : kPrograms) {
    std::vector<char*> argv = {const_cast<char*>(program)};
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_t child = -1;
    errno = ::posix_spawnp(&child, program, actions.get(), attributes.get(), argv.data(),
                           environment.data());
    if (errno == 0) return child;
  }
  return -1;
}

bool Succeeded(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The descriptor that arrives on `socket`, or an invalid one when the peer goes away without
// sending any.
UniqueFd Receive(int socket) {
  char byte = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec data = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  const cmsghdr* header = received > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return UniqueFd();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

UniqueFd FusermountMount(const std::string& mountpoint, const std::string& options,
                         std::string* error) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
    *error = std::string("socketpair: ") + std::strerror(errno);
    return UniqueFd();
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  const pid_t child = Start({"-o", options, "--", mountpoint}, theirs.get());
  if (child < 0) {
    *error = std::string("cannot run fusermount3 (package fuse3): ") + std::strerror(errno);
    return UniqueFd();
  }
  theirs.reset();  // or Receive would wait forever for a program that failed
  UniqueFd device = Receive(ours.get());
  const bool succeeded = Succeeded(child);
  if (device.valid() && succeeded) return device;
  *error = "fusermount3 refused";
  return UniqueFd();
}

bool FusermountUnmount(const std::string& mountpoint) {
  const pid_t child = Start({"-u", "-q", "-z", "--", mountpoint}, -1);
  return child >= 0 && Succeeded(child);
}

}  // namespace plyfs
