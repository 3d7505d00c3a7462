// op.h: one filesystem operation of a random sequence, as plain data.
// Not here: what it should do (model.h), how it is done for real (executor.h), how one is chosen
// (generate.h).
// Thread safety: values only.
//
// An Op names everything it needs (paths, slots, sizes), so a sequence keeps its meaning when
// operations are taken out of it; that is what makes shrinking possible.

#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <string>

namespace plyfs::model {

enum class OpKind {
  // Names.
  kMkdir,
  kRmdir,
  kUnlink,
  kRename,  // flags: RENAME_*
  kLink,
  kSymlink,  // data: the target
  kMknod,    // mode with its type, rdev
  // Attributes by path; follow says whether a final symlink is followed.
  kChmod,
  kChown,
  kUtimens,
  kSetXattr,  // flags: XATTR_CREATE, XATTR_REPLACE
  kRemoveXattr,
  kGetXattr,
  kTruncate,
  // Looking.
  kStat,
  kReadlink,
  kReaddir,
  kReadFile,
  // Descriptors, kept in slots.
  kOpen,     // flags: O_*
  kTmpfile,  // path: the directory
  kLinkFd,   // linkat of a slot to path
  kClose,
  kPread,
  kPwrite,
  kFtruncate,
  kFstat,
  kFchmod,
  kFchown,
  kFsetXattr,
  kFallocate,  // flags: FALLOC_FL_*
  kMmapWrite,
  kMmapRead,
  kFsync,
  kCopyRange,  // slot, offset -> slot2, offset2
  // A directory stream that stays open while names come and go.
  kDirOpen,
  kDirNext,  // length: how many entries at most
  kDirEnd,   // read to the end, then check what was seen
  // The mount.
  kEvict,    // make the kernel drop dentries and inodes
  kCompare,  // whole tree against the model
  kRemount,  // unmount, mount again
};

constexpr int kSlots = 8;
constexpr int kDirSlots = 2;

struct Op {
  OpKind kind = OpKind::kStat;
  int base = -1;  // slot of a directory that the path starts at, -1 for the root of the tree
  int slot = -1;
  int slot2 = -1;
  std::string path;
  std::string path2;
  int flags = 0;
  bool follow = false;
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t rdev = 0;
  off_t offset = 0;
  off_t offset2 = 0;
  off_t length = 0;
  uint32_t fill = 0;  // what is written is Pattern(fill, length)
  timespec mtime = {};
  std::string name;  // of an xattr
  std::string data;
};

// `length` bytes that depend on `fill` only, so that misplaced blocks are noticed.
std::string Pattern(uint32_t fill, size_t length);

// A string as a C literal; long runs of one character are shortened to printable C.
std::string Quote(const std::string& text);

// The operation as one line that reads like C.
std::string ToScript(const Op& op);

// "ENOENT" and the like; "0" for no error.
std::string ErrnoName(int error);

}  // namespace plyfs::model
