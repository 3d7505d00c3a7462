// temp_dir.cc: creation and stubborn removal of a directory tree.
#include "tests/harness/temp_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace plyfs::test {
namespace {

// Deeper directories are first moved up to the root of the removal, so that neither the stack nor
// the descriptor table limits the depth of a tree.
constexpr int kMaxDepth = 64;

struct Removal {
  int root_fd;
  dev_t dev;
  int moved = 0;
  int first_error = 0;

  void Note(int error) {
    if (first_error == 0) first_error = error;
  }
};

void ClearInodeFlags(int fd) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return;
  const int stuck = FS_IMMUTABLE_FL | FS_APPEND_FL;
  if ((flags & stuck) == 0) return;
  flags &= ~stuck;
  ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

void RemoveContents(Removal& removal, int dir_fd, int depth);

void RemoveDirectory(Removal& removal, int parent_fd, const char* name, int depth) {
  if (depth > kMaxDepth) {
    const std::string moved = ".removing-" + std::to_string(removal.moved++);
    if (renameat(parent_fd, name, removal.root_fd, moved.c_str()) != 0) removal.Note(errno);
    return;
  }
  int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) {
    fchmodat(parent_fd, name, 0700, 0);
    fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) return removal.Note(errno);
  ClearInodeFlags(fd);
  fchmod(fd, 0700);
  RemoveContents(removal, fd, depth);
  close(fd);
  if (unlinkat(parent_fd, name, AT_REMOVEDIR) != 0) removal.Note(errno);
}

void RemoveFile(Removal& removal, int parent_fd, const char* name, mode_t mode) {
  if (unlinkat(parent_fd, name, 0) == 0) return;
  if (errno != EPERM || !S_ISREG(mode)) return removal.Note(errno);
  const int fd = openat(parent_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    ClearInodeFlags(fd);
    close(fd);
  }
  if (unlinkat(parent_fd, name, 0) != 0) removal.Note(errno);
}

std::vector<std::string> NamesIn(int dir_fd) {
  std::vector<std::string> names;
  const int again = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = again < 0 ? nullptr : fdopendir(again);
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(dir);
  return names;
}

void DetachForgottenMount(Removal& removal, int dir_fd, const std::string& name) {
  const std::string path = "/proc/self/fd/" + std::to_string(dir_fd) + "/" + name;
  ADD_FAILURE() << "a mount was left behind: " << name;
  if (umount2(path.c_str(), MNT_DETACH) != 0) removal.Note(errno);
}

void RemoveContents(Removal& removal, int dir_fd, int depth) {
  for (const std::string& name : NamesIn(dir_fd)) {
    struct stat st = {};
    const int rc = fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW);
    // ENOTCONN: a dead FUSE mount.
    if ((rc != 0 && errno == ENOTCONN) || (rc == 0 && st.st_dev != removal.dev)) {
      DetachForgottenMount(removal, dir_fd, name);
      if (fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    }
    if (S_ISDIR(st.st_mode)) {
      RemoveDirectory(removal, dir_fd, name.c_str(), depth + 1);
    } else {
      RemoveFile(removal, dir_fd, name.c_str(), st.st_mode);
    }
  }
}

std::string BaseDirectory() {
  const char* tmpdir = getenv("TMPDIR");
  struct statfs fs = {};
  if (tmpdir != nullptr && *tmpdir != '\0' && statfs(tmpdir, &fs) == 0 &&
      fs.f_type != TMPFS_MAGIC) {
    return tmpdir;
  }
  return "/var/tmp";
}

}  // namespace

int RemoveTree(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  struct stat st = {};
  fstat(fd, &st);
  ClearInodeFlags(fd);
  fchmod(fd, 0700);
  Removal removal{.root_fd = fd, .dev = st.st_dev};
  // A pass may move deep directories up to the root: their old parents go in the next pass.
  int passes = 0;
  do {
    removal.moved = passes * 1000000;
    removal.first_error = 0;
    RemoveContents(removal, fd, 0);
  } while (!NamesIn(fd).empty() && ++passes < 1000);
  close(fd);
  if (rmdir(path.c_str()) != 0) return removal.first_error != 0 ? removal.first_error : errno;
  return 0;
}

TempDir::TempDir() {
  std::string pattern = BaseDirectory() + "/plyfs-test-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) {
    ADD_FAILURE() << "mkdtemp " << pattern << ": " << strerror(errno);
    return;
  }
  path_ = pattern;
  // mkdtemp gives 0700; tests run parts of themselves as other users.
  chmod(path_.c_str(), 0755);
}

TempDir::~TempDir() {
  if (path_.empty()) return;
  const int error = RemoveTree(path_);
  if (error != 0) {
    ADD_FAILURE() << "cannot remove " << path_ << ": " << strerror(error);
  }
}

std::string TempDir::MakeDir(const std::string& name) const {
  const std::string path = *this / name;
  if (mkdir(path.c_str(), 0755) != 0) {
    ADD_FAILURE() << "mkdir " << path << ": " << strerror(errno);
  }
  chmod(path.c_str(), 0755);
  return path;
}

}  // namespace plyfs::test
