// executor.cc: the operations on names, attributes and listings.

#include "tests/model/executor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace plyfs::model {
namespace {

constexpr size_t kSmallListing = 600;  // bytes: two entries with the longest names

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

Actual FromResult(long result) {
  Actual actual;
  actual.error = ErrnoOf(result);
  return actual;
}

// For the xattr calls, which know no directory descriptor.
std::string ProcPath(int base, const std::string& path) {
  return "/proc/self/fd/" + std::to_string(base) + "/" + path;
}

int Nofollow(const Op& op) { return op.follow ? 0 : AT_SYMLINK_NOFOLLOW; }

Actual GetXattr(const std::string& path, const std::string& name) {
  char value[65536];
  const ssize_t size = lgetxattr(path.c_str(), name.c_str(), value, sizeof value);
  Actual actual = FromResult(size);
  if (size > 0) actual.data.assign(value, static_cast<size_t>(size));
  return actual;
}

}  // namespace

Executor::Executor(const std::string& root) {
  slots_.fill(-1);
  streams_.fill(-1);
  Reopen(root);
}

Executor::~Executor() {
  CloseAll();
  if (root_fd_ >= 0) close(root_fd_);
}

void Executor::CloseSlot(int slot) {
  if (slots_[slot] >= 0) close(slots_[slot]);
  slots_[slot] = -1;
}

void Executor::CloseStream(int stream) {
  if (streams_[stream] >= 0) close(streams_[stream]);
  streams_[stream] = -1;
  seen_[stream].clear();
}

void Executor::CloseAll() {
  for (int i = 0; i < kSlots; ++i) CloseSlot(i);
  for (int i = 0; i < kDirSlots; ++i) CloseStream(i);
}

void Executor::Reopen(const std::string& root) {
  CloseAll();
  if (root_fd_ >= 0) close(root_fd_);
  root_fd_ = root.empty() ? -1 : open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!root.empty() && root_fd_ < 0) {
    throw std::system_error(errno, std::generic_category(), "opening " + root);
  }
}

Actual Executor::Run(const Op& op) {
  int base = root_fd_;
  // What a slot held is closed even when the open that was to fill it fails.
  if (op.kind == OpKind::kOpen || op.kind == OpKind::kTmpfile) CloseSlot(op.slot);
  if (op.kind == OpKind::kDirOpen) CloseStream(op.slot);
  if (op.base >= 0) base = slots_[op.base];
  if (base < 0) return Actual{.error = EBADF};
  if (op.kind <= OpKind::kMknod) return RunNameOp(op, base);
  if (op.kind <= OpKind::kTruncate) return RunAttrOp(op, base);
  if (op.kind <= OpKind::kReadFile) return RunLookOp(op, base);
  if (op.kind == OpKind::kOpen || op.kind == OpKind::kTmpfile) return Open(op, base);
  if (op.kind <= OpKind::kCopyRange) return RunFdOp(op);
  return RunStreamOp(op, base);
}

Actual Executor::RunNameOp(const Op& op, int base) {
  const char* path = op.path.c_str();
  switch (op.kind) {
    case OpKind::kMkdir:
      return FromResult(mkdirat(base, path, op.mode));
    case OpKind::kRmdir:
      return FromResult(unlinkat(base, path, AT_REMOVEDIR));
    case OpKind::kUnlink:
      return FromResult(unlinkat(base, path, 0));
    case OpKind::kRename:
      return FromResult(
          renameat2(base, path, root_fd_, op.path2.c_str(), static_cast<unsigned>(op.flags)));
    case OpKind::kLink:
      return FromResult(
          linkat(base, path, root_fd_, op.path2.c_str(), op.follow ? AT_SYMLINK_FOLLOW : 0));
    case OpKind::kSymlink:
      return FromResult(symlinkat(op.data.c_str(), base, path));
    default:
      return FromResult(mknodat(base, path, op.mode, op.rdev));
  }
}

Actual Executor::RunAttrOp(const Op& op, int base) {
  const char* path = op.path.c_str();
  switch (op.kind) {
    case OpKind::kChmod:
      return FromResult(fchmodat(base, path, op.mode, 0));
    case OpKind::kChown:
      return FromResult(fchownat(base, path, op.uid, op.gid, Nofollow(op)));
    case OpKind::kUtimens: {
      const timespec times[2] = {{1, 0}, op.mtime};
      return FromResult(utimensat(base, path, times, Nofollow(op)));
    }
    case OpKind::kSetXattr:
      return FromResult(lsetxattr(ProcPath(base, op.path).c_str(), op.name.c_str(), op.data.data(),
                                  op.data.size(), op.flags));
    case OpKind::kRemoveXattr:
      return FromResult(lremovexattr(ProcPath(base, op.path).c_str(), op.name.c_str()));
    case OpKind::kGetXattr:
      return GetXattr(ProcPath(base, op.path), op.name);
    default:
      return FromResult(truncate(ProcPath(base, op.path).c_str(), op.length));
  }
}

Actual Executor::RunLookOp(const Op& op, int base) {
  const char* path = op.path.c_str();
  Actual actual;
  if (op.kind == OpKind::kStat) {
    actual.error = ErrnoOf(fstatat(base, path, &actual.st, Nofollow(op)));
    return actual;
  }
  if (op.kind == OpKind::kReadlink) {
    char target[8192];
    const ssize_t size = readlinkat(base, path, target, sizeof target);
    actual.error = ErrnoOf(size);
    if (size > 0) actual.data.assign(target, static_cast<size_t>(size));
    return actual;
  }
  const bool listing = op.kind == OpKind::kReaddir;
  const int flags =
      O_RDONLY | O_CLOEXEC | (listing ? O_DIRECTORY : 0) | (op.follow ? 0 : O_NOFOLLOW);
  const int fd = openat(base, path, flags);
  if (fd < 0) return FromResult(fd);
  if (listing) {
    actual.error = ReadEntries(fd, 32768, &actual.entries);
    if (actual.error == 0) actual.error = ErrnoOf(fstat(fd, &actual.st));
    if (actual.error == 0) actual.has_dots = TakeDots(actual.st.st_ino, &actual.entries);
  } else {
    actual.error = ReadAll(fd, &actual.data);
  }
  close(fd);
  return actual;
}

Actual Executor::RunStreamOp(const Op& op, int base) {
  int& stream = streams_[op.slot];
  if (op.kind == OpKind::kDirOpen) {
    stream = openat(base, op.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return FromResult(stream);
  }
  Actual actual;
  if (stream < 0) return Actual{.error = EBADF};
  std::vector<DirEntry>& seen = seen_[op.slot];
  if (op.kind == OpKind::kDirNext) {
    const size_t wanted = seen.size() + static_cast<size_t>(op.length);
    while (seen.size() < wanted && actual.error == 0) {
      const size_t before = seen.size();
      actual.error = ReadEntries(stream, 0, &seen);
      if (seen.size() == before) break;
    }
    return actual;
  }
  actual.error = ReadEntries(stream, kSmallListing, &seen);
  actual.entries = seen;
  TakeDots(0, &actual.entries);
  CloseStream(op.slot);
  return actual;
}

int ReadAll(int fd, std::string* content) {
  char buffer[65536];
  while (true) {
    const ssize_t got = pread(fd, buffer, sizeof buffer, static_cast<off_t>(content->size()));
    if (got <= 0) return ErrnoOf(got);
    content->append(buffer, static_cast<size_t>(got));
  }
}

int ReadEntries(int fd, size_t buffer_size, std::vector<DirEntry>* entries) {
  const bool one_call = buffer_size == 0;
  std::vector<char> buffer(one_call ? kSmallListing : buffer_size);
  while (true) {
    const ssize_t got = getdents64(fd, buffer.data(), buffer.size());
    if (got <= 0) return ErrnoOf(got);
    for (ssize_t at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const struct dirent64*>(buffer.data() + at);
      entries->push_back({.name = entry->d_name, .ino = entry->d_ino, .type = entry->d_type});
      at += entry->d_reclen;
    }
    if (one_call) return 0;
  }
}

bool TakeDots(ino_t self, std::vector<DirEntry>* entries) {
  int dots = 0;
  bool right_number = false;
  for (const DirEntry& entry : *entries) {
    if (entry.name == "." || entry.name == "..") ++dots;
    if (entry.name == "." && entry.ino == self) right_number = true;
  }
  std::erase_if(*entries, [](const DirEntry& e) { return e.name == "." || e.name == ".."; });
  return dots == 2 && right_number;
}

}  // namespace plyfs::model
