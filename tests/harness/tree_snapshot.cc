// tree_snapshot.cc: the text form of a tree.
#include "tests/harness/tree_snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <vector>

namespace plyfs::test {
namespace {

constexpr size_t kShortContent = 64;

std::string Failed(const char* what) {
  return std::string(" ") + what + ".errno=" + std::to_string(errno);
}

std::string Hex(const std::string& bytes) {
  static const char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char c : bytes) {
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      text += static_cast<char>(c);
    } else {
      text += std::string("\\x") + kDigits[c >> 4] + kDigits[c & 15];
    }
  }
  return text;
}

std::string ContentText(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Failed("open");
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  std::string head;
  uint64_t total = 0;
  static thread_local std::vector<char> buffer(1 << 20);
  ssize_t got;
  while ((got = read(fd, buffer.data(), buffer.size())) > 0) {
    const size_t length = static_cast<size_t>(got);
    if (total < kShortContent) head.append(buffer.data(), std::min(length, kShortContent));
    total += length;
    for (size_t i = 0; i < length; ++i)
      hash = (hash ^ static_cast<unsigned char>(buffer[i])) * 1099511628211ULL;
  }
  const std::string text = got < 0                  ? Failed("read")
                           : total <= kShortContent ? " \"" + Hex(head) + "\""
                                                    : " hash=" + std::to_string(hash);
  close(fd);
  return text;
}

std::string XattrText(const std::string& path) {
  std::string list(65536, '\0');
  const ssize_t length = llistxattr(path.c_str(), list.data(), list.size());
  if (length < 0) return Failed("listxattr");
  std::vector<std::string> items;
  for (size_t at = 0; at < static_cast<size_t>(length);) {
    const std::string name = list.c_str() + at;
    at += name.size() + 1;
    std::string value(65536, '\0');
    const ssize_t size = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size >= 0) value.resize(static_cast<size_t>(size));
    items.push_back(" " + name + "=" + (size < 0 ? Failed("getxattr") : Hex(value)));
  }
  std::sort(items.begin(), items.end());
  std::string text;
  for (const std::string& item : items) text += item;
  return text;
}

std::string TimeText(const timespec& time) {
  char text[40];
  snprintf(text, sizeof text, "%lld.%09ld", static_cast<long long>(time.tv_sec), time.tv_nsec);
  return text;
}

char TypeLetter(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'f';
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'l';
    case S_IFCHR:
      return 'c';
    case S_IFBLK:
      return 'b';
    case S_IFIFO:
      return 'p';
    case S_IFSOCK:
      return 's';
    default:
      return '?';
  }
}

std::string LinkText(const std::string& path) {
  char target[4096];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  if (length < 0) return Failed("readlink");
  return " -> " + Hex(std::string(target, static_cast<size_t>(length)));
}

class Walk {
 public:
  explicit Walk(const SnapshotOptions& options) : options_(options) {}

  void Visit(const std::string& path, const std::string& shown) {
    struct stat st = {};
    text_ << shown;
    if (lstat(path.c_str(), &st) != 0) {
      text_ << Failed("lstat") << "\n";
      return;
    }
    Describe(path, st);
    text_ << "\n";
    if (S_ISDIR(st.st_mode)) VisitChildren(path, shown);
  }

  std::string text() const { return text_.str(); }

 private:
  void Describe(const std::string& path, const struct stat& st) {
    const bool is_dir = S_ISDIR(st.st_mode);
    text_ << " " << TypeLetter(st.st_mode) << " " << std::oct << (st.st_mode & 07777) << std::dec
          << " " << st.st_uid << ":" << st.st_gid;
    if (!is_dir || options_.directory_nlink) text_ << " nlink=" << st.st_nlink;
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
      text_ << " rdev=" << major(st.st_rdev) << ":" << minor(st.st_rdev);
    if (!is_dir || options_.directory_sizes) text_ << " size=" << st.st_size;
    if (options_.inode_numbers) text_ << " ino=" << st.st_ino;
    if (options_.times) text_ << " mtime=" << TimeText(st.st_mtim);
    if (options_.xattrs) text_ << XattrText(path);
    if (S_ISREG(st.st_mode)) text_ << ContentText(path);
    if (S_ISLNK(st.st_mode)) text_ << LinkText(path);
  }

  void VisitChildren(const std::string& path, const std::string& shown) {
    DIR* dir = opendir(path.c_str());
    if (dir == nullptr) {
      text_ << shown << Failed("opendir") << "\n";
      return;
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(dir)) names.emplace_back(entry->d_name);
    if (errno != 0) text_ << shown << Failed("readdir") << "\n";
    closedir(dir);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      if (name == "." || name == "..") continue;
      Visit(path + "/" + name, shown == "." ? Hex(name) : shown + "/" + Hex(name));
    }
  }

  SnapshotOptions options_;
  std::ostringstream text_;
};

}  // namespace

std::string SnapshotOf(const std::string& root, const SnapshotOptions& options) {
  Walk walk(options);
  walk.Visit(root, ".");
  return walk.text();
}

}  // namespace plyfs::test
