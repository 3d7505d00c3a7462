// uring.cc: see uring.h.
#include "tests/harness/uring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>

namespace plyfs::test {
namespace {

constexpr char kParameter[] = "/sys/module/fuse/parameters/enable_uring";

}  // namespace

UringEnabled::UringEnabled() {
  lock_ = open(kParameter, O_RDWR | O_CLOEXEC);
  char value = 0;
  if (lock_ < 0 || flock(lock_, LOCK_EX) != 0 || pread(lock_, &value, 1, 0) != 1) {
    why_not_ = std::string(kParameter) + ": " + strerror(errno);
    return;
  }
  was_on_ = value == 'Y';
  if (!Set(true)) why_not_ = std::string("writing ") + kParameter + ": " + strerror(errno);
}

UringEnabled::~UringEnabled() {
  if (why_not_.empty()) Set(was_on_);
  if (lock_ >= 0) close(lock_);
}

bool UringEnabled::Set(bool on) { return pwrite(lock_, on ? "Y\n" : "N\n", 2, 0) == 2; }

bool HasIoUring(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  DIR* const fds = opendir(directory.c_str());
  bool found = false;
  while (const dirent* entry = fds == nullptr ? nullptr : readdir(fds)) {
    char target[PATH_MAX];
    const ssize_t length = readlinkat(dirfd(fds), entry->d_name, target, sizeof target);
    found |= length > 0 && std::string(target, length) == "anon_inode:[io_uring]";
  }
  if (fds != nullptr) closedir(fds);
  return found;
}

std::string OptionsForAllMounts() {
  const char* const options = getenv("PLYFS_TEST_OPTIONS");
  return options == nullptr ? "" : options;
}

}  // namespace plyfs::test
