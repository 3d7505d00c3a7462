// output_file.cc: see output_file.h.
#include "tools/commands/output_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace plyfs {
namespace {

// What the signal handler removes; a plain array, so that the handler may read it.
char doomed[4096];

void RemoveAndDie(int signal) {
  ::unlink(doomed);
  // SA_RESETHAND: the default action is back.
  ::raise(signal);
}

void RemoveOnSignal(const std::string& path) {
  if (path.size() >= sizeof doomed) return;
  std::memcpy(doomed, path.c_str(), path.size() + 1);
  struct sigaction action {};
  action.sa_handler = RemoveAndDie;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    struct sigaction before {};
    // What nohup or a shell ignores for us stays ignored.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
  }
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::Status OutputFile::Failure(const char* what) const {
  return absl::Status(absl::ErrnoToStatusCode(errno),
                      absl::StrCat("--output '", path_, "' cannot be ", what, ": ", std::strerror(errno)));
}

absl::Status OutputFile::Open(const std::string& path) {
  path_ = path;
  struct stat existing;
  if (::stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode)) {
    fd_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    in_place_ = true;
    return fd_.valid() ? absl::OkStatus() : Failure("opened");
  }
  part_ = absl::StrCat(path, ".", ::getpid(), ".part");
  fd_ = UniqueFd(::open(DirectoryOf(path).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666));
  if (fd_.valid()) return absl::OkStatus();
  if (errno != EOPNOTSUPP && errno != EISDIR) return Failure("made");
  RemoveOnSignal(part_);
  fd_ = UniqueFd(::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd_.valid()) return Failure("made");
  part_exists_ = true;
  return absl::OkStatus();
}

absl::Status OutputFile::Commit() {
  if (in_place_) return absl::OkStatus();
  if (!part_exists_) {
    const std::string self = absl::StrCat("/proc/self/fd/", fd_.get());
    RemoveOnSignal(part_);
    // linkat(2) replaces nothing, rename(2) does.
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, part_.c_str(), AT_SYMLINK_FOLLOW) != 0) return Failure("named");
    part_exists_ = true;
  }
  if (::rename(part_.c_str(), path_.c_str()) != 0) return Failure("named");  // COMMIT
  part_exists_ = false;
  return absl::OkStatus();
}

OutputFile::~OutputFile() {
  if (part_exists_) ::unlink(part_.c_str());
}

}  // namespace plyfs
