// work_dir.h: where objects are completed before one rename shows them, and where what has no name any more is kept.
// Not here: what goes into a temporary (fs/overlay/copy_up.h, create.h).
// Thread safety: any thread.
//
//   WORKDIR/plyfs/tmp/      half-made objects; swept at every mount
//   WORKDIR/plyfs/orphans/  unlinked files that the kernel still refers to, named by nodeid; swept at every mount
//   WORKDIR/plyfs/index/    one name of its own for the upper copy of each multiply linked lower file, DEVICE-INODE in hex
//   WORKDIR/plyfs/NOTE      what a mount leaves for tools that work on the union while it is not mounted
//   WORKDIR/work/incompat/volatile   "syncs were left out": such an upper must not be believed after a crash
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "fs/base/ids.h"
#include "fs/base/result.h"
#include "fs/base/unique_fd.h"
#include "fs/layer/xattr.h"

namespace plyfs {

class WorkDir {
 public:
  // Makes the sub-directories below `work` (an open directory) and sweeps them.
  static Result<std::unique_ptr<WorkDir>> Open(UniqueFd work);

  // Only index(), and that may be -1: nothing is made or swept.
  static std::unique_ptr<WorkDir> View(int work);

  int own() const { return own_.get(); }  // WORKDIR/plyfs
  int tmp() const { return tmp_.get(); }
  int orphans() const { return orphans_.get(); }
  int index() const { return index_.get(); }

  // A name in tmp/ that nobody else uses.
  std::string NewTempName() { return "t" + std::to_string(next_temp_.fetch_add(1, std::memory_order_relaxed)); }
  static std::string OrphanName(NodeId id) { return std::to_string(Value(id)); }
  static std::string IndexName(const DiskInode& lower);

  // Removes an entry of tmp/ with all below it.
  Errno Discard(const std::string& temp_name) const;

  // The text that the last mount left under this name; empty if it left none.
  Result<std::string> ReadNote(const char* name) const;
  // Leaves it; an empty one removes what an earlier mount left.
  Errno WriteNote(const char* name, std::string_view text) const;

  // The mark of option volatile. Present: an earlier mount left out syncs and did not say that it ended well.
  Result<bool> HasVolatileMark() const;
  Errno WriteVolatileMark() const;

 private:
  WorkDir(UniqueFd work, UniqueFd own, UniqueFd tmp, UniqueFd orphans, UniqueFd index)
      : work_(std::move(work)), own_(std::move(own)), tmp_(std::move(tmp)), orphans_(std::move(orphans)), index_(std::move(index)) {}

  const UniqueFd work_;
  const UniqueFd own_;
  const UniqueFd tmp_;
  const UniqueFd orphans_;
  const UniqueFd index_;
  std::atomic<uint64_t> next_temp_ = 1;
};

// A name in tmp/ that is discarded, with what has been made under it, unless it was committed: renamed to its final place.
class TempEntry {
 public:
  explicit TempEntry(WorkDir& work) : work_(work), name_(work.NewTempName()) {}
  ~TempEntry() {
    if (!committed_) work_.Discard(name_).Ignore("tmp/ is swept at the next mount");
  }
  TempEntry(const TempEntry&) = delete;
  TempEntry& operator=(const TempEntry&) = delete;

  ObjectRef ref() const { return {.dir = work_.tmp(), .name = name_.c_str()}; }
  void Committed() { committed_ = true; }

 private:
  WorkDir& work_;
  const std::string name_;
  bool committed_ = false;
};

// Removes `object` and everything below it, whatever it is. Directories without permission are opened up first.
Errno RemoveTree(const ObjectRef& object);

}  // namespace plyfs
