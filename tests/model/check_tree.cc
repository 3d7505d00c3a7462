// check_tree.cc: the whole tree on disk against the model's.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "tests/model/checker.h"

namespace plyfs::model {
namespace {

constexpr int kMaxReports = 10;

// Set by the machine's security policy, or checked by other tests (ACLs).
bool IsOtherXattr(const std::string& name) {
  return name == "security.selinux" || name.rfind("system.posix_acl", 0) == 0;
}

std::set<std::string> ListXattrs(const std::string& path, int* error) {
  std::vector<char> names(65536);
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  *error = size < 0 ? errno : 0;
  std::set<std::string> out;
  for (ssize_t at = 0; at < size;) {
    const std::string name = names.data() + at;
    if (!IsOtherXattr(name)) out.insert(name);
    at += static_cast<ssize_t>(name.size()) + 1;
  }
  return out;
}

std::string ReadLinkAt(int parent_fd, const std::string& name) {
  char target[8192];
  const ssize_t size = readlinkat(parent_fd, name.c_str(), target, sizeof target);
  return size < 0 ? "readlink: " + ErrnoName(errno)
                  : std::string(target, static_cast<size_t>(size));
}

std::string ContentProblem(int parent_fd, const std::string& name, const std::string& expected) {
  const int fd = openat(parent_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return "open: " + ErrnoName(errno) + "; ";
  std::string content;
  const int error = ReadAll(fd, &content);
  close(fd);
  if (error != 0) return "read: " + ErrnoName(error) + "; ";
  if (content == expected) return "";
  size_t at = 0;
  while (at < content.size() && at < expected.size() && content[at] == expected[at]) ++at;
  return "content differs at byte " + std::to_string(at) + ": expected length " +
         std::to_string(expected.size()) + " " + Quote(expected.substr(at, 16)) + ", got length " +
         std::to_string(content.size()) + " " + Quote(content.substr(at, 16)) + "; ";
}

}  // namespace

void Checker::Report(const std::string& path, const std::string& problem) {
  if (problem.empty() || ++reported_ > kMaxReports) return;
  report_ += "  " + Quote(path) + ": " + problem + "\n";
}

std::string Checker::CheckXattrs(const InodePtr& inode, const std::string& path) {
  int error = 0;
  const std::set<std::string> names = ListXattrs(path, &error);
  if (error != 0) return "listxattr: " + ErrnoName(error) + "; ";
  std::string out;
  for (const std::string& name : names) {
    if (inode->xattrs.count(name) == 0) out += "xattr " + name + " should not be there; ";
  }
  for (const auto& [name, value] : inode->xattrs) {
    if (names.count(name) == 0) out += "xattr " + name + " is not listed; ";
    char buffer[65536];
    const ssize_t size = lgetxattr(path.c_str(), name.c_str(), buffer, sizeof buffer);
    if (size < 0) {
      out += "xattr " + name + ": " + ErrnoName(errno) + "; ";
    } else if (value != std::string(buffer, static_cast<size_t>(size))) {
      out += "xattr " + name + " has another value; ";
    }
  }
  return out;
}

std::string Checker::CheckNode(int parent_fd, const std::string& name, const InodePtr& inode) {
  struct stat st;
  if (fstatat(parent_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) {
    return "stat: " + ErrnoName(errno) + "; ";
  }
  std::string out = CheckStat(inode, st);
  if ((st.st_mode & S_IFMT) != (inode->mode & S_IFMT)) return out;
  if (inode->IsLink() && ReadLinkAt(parent_fd, name) != inode->data) {
    out += "target is " + Quote(ReadLinkAt(parent_fd, name)) + ", expected " + Quote(inode->data) +
           "; ";
  }
  if (inode->IsReg()) out += ContentProblem(parent_fd, name, inode->data);
  return out + CheckXattrs(inode, "/proc/self/fd/" + std::to_string(parent_fd) + "/" + name);
}

void Checker::WalkDir(int fd, const std::string& path, const InodePtr& dir) {
  Actual listing;
  struct stat st;
  listing.error = ReadEntries(fd, 32768, &listing.entries);
  if (listing.error != 0 || fstat(fd, &st) < 0) {
    return Report(path, "readdir: " + ErrnoName(listing.error != 0 ? listing.error : errno));
  }
  listing.has_dots = TakeDots(st.st_ino, &listing.entries);
  Report(path, CheckListing(dir, dir->children, listing));
  for (const auto& [name, child] : dir->children) {
    const std::string child_path = path.empty() ? name : path + "/" + name;
    if (child->linked_in_lower && !options_.lower_links) continue;
    if (child->IsWhiteoutDevice() && !options_.whiteout_devices) continue;
    Report(child_path, CheckNode(fd, name, child));
    if (!child->IsDir()) continue;
    const int child_fd = openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child_fd < 0) {
      Report(child_path, "opendir: " + ErrnoName(errno));
      continue;
    }
    WalkDir(child_fd, child_path, child);
    close(child_fd);
  }
}

std::string Checker::CheckTree(int root_fd, const InodePtr& root) {
  report_.clear();
  reported_ = 0;
  struct stat st;
  if (fstat(root_fd, &st) < 0) return "fstat of the root: " + ErrnoName(errno);
  device_ = st.st_dev;
  // Others make names in a directory that is shared.
  if (!options_.name_prefix.empty()) root->mtime.reset();
  Report("", CheckStat(root, st));
  if (options_.name_prefix.empty()) {
    Report("", CheckXattrs(root, "/proc/self/fd/" + std::to_string(root_fd) + "/."));
  }
  const int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return "open of the root: " + ErrnoName(errno);
  WalkDir(fd, "", root);
  close(fd);
  if (reported_ > kMaxReports) {
    report_ += "  and " + std::to_string(reported_ - kMaxReports) + " more\n";
  }
  return report_;
}

void Checker::NoteRemount(const InodePtr& root) {
  device_ = 0;
  if (options_.remembers) return;
  remounted_ = true;
  owners_.clear();
  for (const auto& [path, inode] : AllPaths(root)) inode->ino.reset();
}

}  // namespace plyfs::model
