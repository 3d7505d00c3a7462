// op.cc: how an operation is printed.

#include "tests/model/op.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <string>
#include <utility>
#include <vector>

namespace plyfs::model {
namespace {

using FlagNames = std::vector<std::pair<int, const char*>>;

std::string JoinFlags(int flags, const FlagNames& names, const char* zero) {
  std::string out;
  for (const auto& [bit, name] : names) {
    if ((flags & bit) != bit) continue;
    if (!out.empty()) out += "|";
    out += name;
    flags &= ~bit;
  }
  if (flags != 0) out += (out.empty() ? "" : "|") + std::to_string(flags);
  return out.empty() ? zero : out;
}

std::string OpenFlags(int flags) {
  const char* access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
  const std::string rest = JoinFlags(flags & ~O_ACCMODE,
                                     {{O_TMPFILE, "O_TMPFILE"},
                                      {O_CREAT, "O_CREAT"},
                                      {O_EXCL, "O_EXCL"},
                                      {O_TRUNC, "O_TRUNC"},
                                      {O_APPEND, "O_APPEND"},
                                      {O_NOFOLLOW, "O_NOFOLLOW"},
                                      {O_DIRECTORY, "O_DIRECTORY"},
                                      {O_NONBLOCK, "O_NONBLOCK"}},
                                     "");
  return std::string(access[flags & O_ACCMODE]) + (rest.empty() ? "" : "|" + rest);
}

std::string RenameFlags(int flags) {
  return JoinFlags(flags, {{1, "RENAME_NOREPLACE"}, {2, "RENAME_EXCHANGE"}, {4, "RENAME_WHITEOUT"}},
                   "0");
}

std::string XattrFlags(int flags) {
  return JoinFlags(flags, {{XATTR_CREATE, "XATTR_CREATE"}, {XATTR_REPLACE, "XATTR_REPLACE"}}, "0");
}

std::string FallocFlags(int flags) {
  return JoinFlags(flags,
                   {{0x01, "FALLOC_FL_KEEP_SIZE"},
                    {0x02, "FALLOC_FL_PUNCH_HOLE"},
                    {0x10, "FALLOC_FL_ZERO_RANGE"}},
                   "0");
}

std::string Fd(int slot) { return "fd" + std::to_string(slot); }

std::string At(const Op& op) { return op.base < 0 ? "root" : Fd(op.base); }

std::string Octal(mode_t mode) {
  char text[16];
  snprintf(text, sizeof text, "0%o", mode);
  return text;
}

std::string Bytes(const Op& op) {
  return "pattern(" + std::to_string(op.fill) + "), " + std::to_string(op.length);
}

std::string Num(int64_t value) { return std::to_string(value); }

std::string Follow(const Op& op) { return op.follow ? "0" : "AT_SYMLINK_NOFOLLOW"; }

std::string NameOpScript(const Op& op) {
  const std::string at = At(op) + ", " + Quote(op.path);
  switch (op.kind) {
    case OpKind::kMkdir:
      return "mkdirat(" + at + ", " + Octal(op.mode) + ")";
    case OpKind::kRmdir:
      return "unlinkat(" + at + ", AT_REMOVEDIR)";
    case OpKind::kUnlink:
      return "unlinkat(" + at + ", 0)";
    case OpKind::kRename:
      return "renameat2(" + at + ", root, " + Quote(op.path2) + ", " + RenameFlags(op.flags) + ")";
    case OpKind::kLink:
      return "linkat(" + at + ", root, " + Quote(op.path2) + ", " +
             (op.follow ? "AT_SYMLINK_FOLLOW" : "0") + ")";
    case OpKind::kSymlink:
      return "symlinkat(" + Quote(op.data) + ", " + at + ")";
    case OpKind::kMknod:
      return "mknodat(" + at + ", " + Octal(op.mode) + ", makedev(" + Num(major(op.rdev)) + ", " +
             Num(minor(op.rdev)) + "))";
    default:
      return "";
  }
}

std::string AttrOpScript(const Op& op) {
  const std::string at = At(op) + ", " + Quote(op.path);
  switch (op.kind) {
    case OpKind::kChmod:
      return "fchmodat(" + at + ", " + Octal(op.mode) + ", 0)";
    case OpKind::kChown:
      return "fchownat(" + at + ", " + Num(static_cast<int>(op.uid)) + ", " +
             Num(static_cast<int>(op.gid)) + ", " + Follow(op) + ")";
    case OpKind::kUtimens:
      return "utimensat(" + at + ", {{OMIT}, {" + Num(op.mtime.tv_sec) + ", " +
             Num(op.mtime.tv_nsec) + "}}, " + Follow(op) + ")";
    case OpKind::kSetXattr:
      return "lsetxattr(" + at + ", " + Quote(op.name) + ", " + Quote(op.data) + ", " +
             XattrFlags(op.flags) + ")";
    case OpKind::kRemoveXattr:
      return "lremovexattr(" + at + ", " + Quote(op.name) + ")";
    case OpKind::kGetXattr:
      return "lgetxattr(" + at + ", " + Quote(op.name) + ")";
    case OpKind::kTruncate:
      return "truncate(" + at + ", " + Num(op.length) + ")";
    case OpKind::kStat:
      return "fstatat(" + at + ", " + Follow(op) + ")";
    case OpKind::kReadlink:
      return "readlinkat(" + at + ")";
    case OpKind::kReaddir:
      return "readdir(" + at + ")  // whole listing, d_type, d_ino";
    case OpKind::kReadFile:
      return "read_whole_file(" + at + ")";
    case OpKind::kOpen:
      return Fd(op.slot) + " = openat(" + at + ", " + OpenFlags(op.flags) + ", " + Octal(op.mode) +
             ")";
    case OpKind::kTmpfile:
      return Fd(op.slot) + " = openat(" + at + ", O_TMPFILE|" + OpenFlags(op.flags) + ", " +
             Octal(op.mode) + ")";
    case OpKind::kLinkFd:
      return "linkat(\"/proc/self/fd/{" + Fd(op.slot) + "}\", " + at + ", AT_SYMLINK_FOLLOW)";
    default:
      return "";
  }
}

std::string FdOpScript(const Op& op) {
  const std::string fd = Fd(op.slot);
  switch (op.kind) {
    case OpKind::kClose:
      return "close(" + fd + ")";
    case OpKind::kPread:
      return "pread(" + fd + ", " + Num(op.length) + ", offset " + Num(op.offset) + ")";
    case OpKind::kPwrite:
      return "pwrite(" + fd + ", " + Bytes(op) + ", offset " + Num(op.offset) + ")";
    case OpKind::kFtruncate:
      return "ftruncate(" + fd + ", " + Num(op.length) + ")";
    case OpKind::kFstat:
      return "fstat(" + fd + ")";
    case OpKind::kFchmod:
      return "fchmod(" + fd + ", " + Octal(op.mode) + ")";
    case OpKind::kFchown:
      return "fchown(" + fd + ", " + Num(static_cast<int>(op.uid)) + ", " +
             Num(static_cast<int>(op.gid)) + ")";
    case OpKind::kFsetXattr:
      return "fsetxattr(" + fd + ", " + Quote(op.name) + ", " + Quote(op.data) + ", " +
             XattrFlags(op.flags) + ")";
    case OpKind::kFallocate:
      return "fallocate(" + fd + ", " + FallocFlags(op.flags) + ", offset " + Num(op.offset) +
             ", " + Num(op.length) + ")";
    case OpKind::kMmapWrite:
      return "memcpy(mmap(" + fd + ", MAP_SHARED) + " + Num(op.offset) + ", " + Bytes(op) +
             "); msync; munmap";
    case OpKind::kMmapRead:
      return "mmap_read(" + fd + ", MAP_SHARED, offset " + Num(op.offset) + ", " + Num(op.length) +
             ")";
    case OpKind::kFsync:
      return "fsync(" + fd + ")";
    case OpKind::kCopyRange:
      return "copy_file_range(" + fd + ", " + Num(op.offset) + ", " + Fd(op.slot2) + ", " +
             Num(op.offset2) + ", " + Num(op.length) + ")";
    default:
      return "";
  }
}

std::string MountOpScript(const Op& op) {
  const std::string dir = "dir" + std::to_string(op.slot);
  switch (op.kind) {
    case OpKind::kDirOpen:
      return dir + " = opendir(" + At(op) + ", " + Quote(op.path) + ")";
    case OpKind::kDirNext:
      return "readdir(" + dir + ")  // at least " + Num(op.length) + " entries";
    case OpKind::kDirEnd:
      return "readdir(" + dir + ")  // to the end; every lasting name once";
    case OpKind::kEvict:
      return op.flags == 0 ? "mount -o remount,rw MNT  // evicts dentries"
                           : "echo 2 > /proc/sys/vm/drop_caches";
    case OpKind::kCompare:
      return "compare_tree()";
    case OpKind::kRemount:
      return "close all; umount MNT; mount MNT again";
    default:
      return "?";
  }
}

}  // namespace

std::string Pattern(uint32_t fill, size_t length) {
  std::string out(length, '\0');
  uint32_t state = fill * 2654435761u + 1;
  for (size_t i = 0; i < length; ++i) {
    if (i % 64 == 0) state = (fill + static_cast<uint32_t>(i)) * 2654435761u + 1;
    state = state * 1664525u + 1013904223u;
    out[i] = static_cast<char>('!' + (state >> 24) % 90);
  }
  return out;
}

std::string Quote(const std::string& text) {
  if (text.size() > 100 && text.find_first_not_of(text.back(), 1) == std::string::npos) {
    return Quote(text.substr(0, 2)) + " \"" + text.back() + "\"*" + std::to_string(text.size() - 2);
  }
  std::string out = "\"";
  for (const unsigned char c : text) {
    char escape[8];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 32 || c >= 127) {
      snprintf(escape, sizeof escape, "\\%03o", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

std::string ToScript(const Op& op) {
  for (auto* print : {NameOpScript, AttrOpScript, FdOpScript, MountOpScript}) {
    std::string line = print(op);
    if (!line.empty()) return line;
  }
  return "?";
}

std::string ErrnoName(int error) {
  if (error == 0) return "0";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

}  // namespace plyfs::model
