// executor.h: one operation done for real below a root directory, with descriptors in slots.
// Not here: what should have come out (model.h, checker.h), operations on the mount itself
// (sequence.h).
// Thread safety: one executor belongs to one thread; several may share a mount.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/op.h"

namespace plyfs::model {

struct DirEntry {
  std::string name;
  ino_t ino = 0;
  unsigned char type = 0;  // DT_*
};

/// What one operation really answered.
struct Actual {
  int error = 0;
  struct stat st = {};  // kStat, kFstat, kReaddir: of the directory
  std::string data;
  int64_t value = 0;
  std::vector<DirEntry> entries;  // kReaddir, kDirEnd: without "." and ".."
  bool has_dots = false;          // "." and ".." were listed, "." with the directory's number
};

class Executor {
 public:
  explicit Executor(const std::string& root);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  Actual Run(const Op& op);
  void CloseAll();
  /// Closes everything and opens the root of the new mount.
  void Reopen(const std::string& root);
  int root_fd() const { return root_fd_; }

 private:
  Actual RunNameOp(const Op& op, int base);
  Actual RunAttrOp(const Op& op, int base);
  Actual RunLookOp(const Op& op, int base);
  Actual RunFdOp(const Op& op);
  Actual RunStreamOp(const Op& op, int base);
  Actual Open(const Op& op, int base);
  void CloseSlot(int slot);
  void CloseStream(int stream);

  int root_fd_ = -1;
  std::array<int, kSlots> slots_;
  std::array<int, kDirSlots> streams_;
  std::array<std::vector<DirEntry>, kDirSlots> seen_;
};

/// The whole content through an open descriptor; error 0 or the errno of pread(2).
int ReadAll(int fd, std::string* content);

/// The rest of the entries of an open directory, appended; buffer_size small means many calls.
int ReadEntries(int fd, size_t buffer_size, std::vector<DirEntry>* entries);

/// Takes "." and ".." out. False when one is missing or "." has another number than `self`.
bool TakeDots(ino_t self, std::vector<DirEntry>* entries);

}  // namespace plyfs::model
