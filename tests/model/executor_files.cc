// executor_files.cc: opening, and operations on open descriptors.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "tests/model/executor.h"

namespace plyfs::model {
namespace {

constexpr off_t kPage = 4096;

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

Actual FromResult(long result) {
  Actual actual;
  actual.error = ErrnoOf(result);
  return actual;
}

Actual Pread(int fd, const Op& op) {
  std::string buffer(static_cast<size_t>(op.length), '\0');
  const ssize_t got = pread(fd, buffer.data(), buffer.size(), op.offset);
  Actual actual = FromResult(got);
  if (got > 0) actual.data = buffer.substr(0, static_cast<size_t>(got));
  return actual;
}

Actual Pwrite(int fd, const Op& op) {
  const std::string bytes = Pattern(op.fill, static_cast<size_t>(op.length));
  const ssize_t put = pwrite(fd, bytes.data(), bytes.size(), op.offset);
  Actual actual = FromResult(put);
  actual.value = std::max<ssize_t>(put, 0);
  return actual;
}

// Type and size are looked at before mapping: touching a page behind the end would be SIGBUS.
Actual Mmap(int fd, const Op& op) {
  Actual actual;
  struct stat st;
  if (fstat(fd, &st) < 0) return FromResult(-1);
  if (!S_ISREG(st.st_mode)) return Actual{.error = ENODEV};
  const off_t count = std::clamp<off_t>(st.st_size - op.offset, 0, op.length);
  if (count == 0) return actual;
  const off_t begin = op.offset / kPage * kPage;
  const size_t length = static_cast<size_t>(op.offset - begin + count);
  const bool writes = op.kind == OpKind::kMmapWrite;
  void* map = mmap(nullptr, length, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, begin);
  if (map == MAP_FAILED) return FromResult(-1);
  char* bytes = static_cast<char*>(map) + (op.offset - begin);
  if (writes) {
    const std::string pattern = Pattern(op.fill, static_cast<size_t>(op.length));
    memcpy(bytes, pattern.data(), static_cast<size_t>(count));
    actual.error = ErrnoOf(msync(map, length, MS_SYNC));
    actual.value = count;
  } else {
    actual.data.assign(bytes, static_cast<size_t>(count));
  }
  munmap(map, length);
  return actual;
}

// A call may copy less than it was asked for; but a file that is copied into itself grows, so there
// the second call would find more than the first.
Actual CopyRange(int from, int to, const Op& op) {
  Actual actual;
  struct stat a = {}, b = {};
  const bool same = fstat(from, &a) == 0 && fstat(to, &b) == 0 && a.st_ino == b.st_ino;
  off_t in = op.offset;
  off_t out = op.offset2;
  do {
    const ssize_t copied =
        copy_file_range(from, &in, to, &out, static_cast<size_t>(op.length - actual.value), 0);
    actual.error = ErrnoOf(copied);
    if (copied <= 0) break;
    actual.value += copied;
  } while (!same && actual.value < op.length);
  return actual;
}

}  // namespace

Actual Executor::Open(const Op& op, int base) {
  const int special = op.kind == OpKind::kTmpfile ? O_TMPFILE : 0;
  // O_NONBLOCK: a FIFO must not stop the sequence.
  const int flags = op.flags | special | O_CLOEXEC | O_NONBLOCK;
  slots_[op.slot] = openat(base, op.path.c_str(), flags, op.mode);
  Actual actual = FromResult(slots_[op.slot]);
  if (actual.error == 0) actual.error = ErrnoOf(fstat(slots_[op.slot], &actual.st));
  return actual;
}

Actual Executor::RunFdOp(const Op& op) {
  const int fd = slots_[op.slot];
  if (fd < 0) return Actual{.error = EBADF};
  switch (op.kind) {
    case OpKind::kLinkFd: {
      const std::string link = "/proc/self/fd/" + std::to_string(fd);
      return FromResult(
          linkat(AT_FDCWD, link.c_str(), root_fd_, op.path.c_str(), AT_SYMLINK_FOLLOW));
    }
    case OpKind::kClose:
      CloseSlot(op.slot);
      return {};
    case OpKind::kPread:
      return Pread(fd, op);
    case OpKind::kPwrite:
      return Pwrite(fd, op);
    case OpKind::kFtruncate:
      return FromResult(ftruncate(fd, op.length));
    case OpKind::kFstat: {
      Actual actual;
      actual.error = ErrnoOf(fstat(fd, &actual.st));
      return actual;
    }
    case OpKind::kFchmod:
      return FromResult(fchmod(fd, op.mode));
    case OpKind::kFchown:
      return FromResult(fchown(fd, op.uid, op.gid));
    case OpKind::kFsetXattr:
      return FromResult(fsetxattr(fd, op.name.c_str(), op.data.data(), op.data.size(), op.flags));
    case OpKind::kFallocate:
      return FromResult(fallocate(fd, op.flags, op.offset, op.length));
    case OpKind::kFsync:
      return FromResult(fsync(fd));
    case OpKind::kCopyRange:
      if (slots_[op.slot2] < 0) return Actual{.error = EBADF};
      return CopyRange(fd, slots_[op.slot2], op);
    default:
      return Mmap(fd, op);
  }
}

}  // namespace plyfs::model
