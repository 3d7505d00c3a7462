// file_ops.cc: thin wrappers that turn errors into test failures.
#include "tests/harness/file_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

namespace plyfs::test {
namespace {

void Check(bool ok, const char* what, const std::string& path) {
  if (!ok) {
    ADD_FAILURE() << what << " " << path << ": " << strerror(errno);
  }
}

void WriteAll(int fd, const std::string& content, const std::string& path) {
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t wrote = write(fd, content.data() + done, content.size() - done);
    if (wrote <= 0) return Check(false, "write", path);
    done += static_cast<size_t>(wrote);
  }
}

}  // namespace

std::string ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  Check(fd >= 0, "open", path);
  if (fd < 0) return "";
  std::string content;
  char buffer[65536];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0)
    content.append(buffer, static_cast<size_t>(got));
  Check(got == 0, "read", path);
  close(fd);
  return content;
}

void WriteFile(const std::string& path, const std::string& content, mode_t mode) {
  const bool is_new = !Exists(path);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  Check(fd >= 0, "create", path);
  if (fd < 0) return;
  WriteAll(fd, content, path);
  if (is_new) Check(fchmod(fd, mode) == 0, "chmod", path);
  Check(close(fd) == 0, "close", path);
}

void AppendFile(const std::string& path, const std::string& content) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  Check(fd >= 0, "open for append", path);
  if (fd < 0) return;
  WriteAll(fd, content, path);
  Check(close(fd) == 0, "close", path);
}

void MakeDirs(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string prefix = path.substr(0, slash);
    if (mkdir(prefix.c_str(), 0755) == 0) {
      Check(chmod(prefix.c_str(), 0755) == 0, "chmod", prefix);
    } else if (errno != EEXIST) {
      return Check(false, "mkdir", prefix);
    }
    if (slash == std::string::npos) return;
  }
}

void MakeSymlink(const std::string& target, const std::string& path) {
  Check(symlink(target.c_str(), path.c_str()) == 0, "symlink", path);
}

void MakeHardLink(const std::string& existing, const std::string& path) {
  Check(link(existing.c_str(), path.c_str()) == 0, "link", path);
}

void MakeWhiteout(const std::string& path) {
  Check(mknod(path.c_str(), S_IFCHR, makedev(0, 0)) == 0, "mknod 0:0", path);
}

void MakeOpaque(const std::string& path) {
  Check(SetXattr(path, "trusted.overlay.opaque", "y") == 0, "set opaque on", path);
}

struct stat Lstat(const std::string& path) {
  struct stat st = {};
  Check(lstat(path.c_str(), &st) == 0, "lstat", path);
  return st;
}

bool Exists(const std::string& path) { return LstatErrno(path) == 0; }

int LstatErrno(const std::string& path) {
  struct stat st = {};
  return lstat(path.c_str(), &st) == 0 ? 0 : errno;
}

std::string ReadLink(const std::string& path) {
  char target[4096];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  Check(length >= 0, "readlink", path);
  return length < 0 ? "" : std::string(target, static_cast<size_t>(length));
}

std::vector<std::string> ListDir(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = opendir(path.c_str());
  Check(dir != nullptr, "opendir", path);
  if (dir == nullptr) return names;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  Check(errno == 0, "readdir", path);
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> GetXattr(const std::string& path, const std::string& name) {
  std::string value(65536, '\0');
  const ssize_t length = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (length < 0) {
    Check(errno == ENODATA, "lgetxattr", path + " " + name);
    return std::nullopt;
  }
  value.resize(static_cast<size_t>(length));
  return value;
}

int SetXattr(const std::string& path, const std::string& name, const std::string& value,
             int flags) {
  return lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), flags) == 0 ? 0 : errno;
}

int RemoveXattr(const std::string& path, const std::string& name) {
  return lremovexattr(path.c_str(), name.c_str()) == 0 ? 0 : errno;
}

std::vector<std::string> ListXattrs(const std::string& path) {
  std::string list(65536, '\0');
  const ssize_t length = llistxattr(path.c_str(), list.data(), list.size());
  Check(length >= 0, "llistxattr", path);
  std::vector<std::string> names;
  for (size_t at = 0; length > 0 && at < static_cast<size_t>(length);) {
    names.emplace_back(list.c_str() + at);
    at += names.back().size() + 1;
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace plyfs::test
