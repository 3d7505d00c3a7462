// looker.cc: see looker.h.

#include "tests/model/looker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "tests/model/executor.h"
#include "tests/model/op.h"

namespace plyfs::model {
namespace {

constexpr int kMaxDepth = 20;

}  // namespace

void Looker::LookOnce() {
  const int fd = open(mount_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Note("open of the root", errno);
  LookInto(fd, 0);
  close(fd);
}

void Looker::LookInto(int fd, int depth) {
  std::vector<DirEntry> entries;
  Note("readdir", ReadEntries(fd, 4096, &entries));
  for (const DirEntry& entry : entries) {
    if (entry.name == "." || entry.name == "..") continue;
    struct stat st;
    if (fstatat(fd, entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) {
      Note("stat", errno);
      continue;
    }
    if (!S_ISDIR(st.st_mode) || depth > kMaxDepth) continue;
    const int child =
        openat(fd, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0) {
      Note("open", errno);
      continue;
    }
    LookInto(child, depth + 1);
    close(child);
  }
}

void Looker::Note(const std::string& call, int error) {
  if (error == 0 || error == ENOENT || error == ENOTDIR || !problem_.empty()) return;
  problem_ = "find: " + call + ": " + ErrnoName(error);
}

}  // namespace plyfs::model
