// upper_layer.h: the writable layer: each change of it is one method here, relative to an open directory.
// Not here: when to make which change (fs/overlay), temporaries (work_dir.h).
// Thread safety: any thread; the methods keep no state.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <array>
#include <optional>
#include <string>

#include "fs/layer/caller_scope.h"
#include "fs/layer/layer.h"
#include "fs/layer/work_dir.h"

namespace plyfs {

// How absent names are written.
enum class WhiteoutFormat {
  kDevice,  // character device 0:0, as native overlayfs
  kWhFile,  // ".wh.NAME", where the filesystem refuses devices (virtiofs, NFS, some nested overlays)
};

// What the upper's filesystem can do, found by trying it once at mount.
struct UpperCapabilities {
  WhiteoutFormat whiteouts = WhiteoutFormat::kDevice;
  bool rename_whiteout = false;  // renameat2(RENAME_WHITEOUT)
  bool rename_exchange = false;
  bool xattr_marks = false;      // overlay marks can be stored; else ".wh..wh..opq" and no redirects
  MarkNamespace mark_namespace = MarkNamespace::kUser;
};

class UpperLayer final : public Layer {
 public:
  UpperLayer(std::string path, UniqueFd root, uint64_t device, OverrideStat override_stat, UpperCapabilities capabilities)
      : Layer(LayerIndex::kUpper, std::move(path), std::move(root), device, override_stat),
        capabilities_(capabilities) {}

  const UpperCapabilities& capabilities() const { return capabilities_; }

  // --- objects. `mode` is taken as it is unless a CallerScope of the thread says otherwise. EEXIST if the name is taken.
  Errno MakeDirectory(const ObjectRef& at, mode_t mode) const;
  Errno MakeNode(const ObjectRef& at, mode_t mode, dev_t rdev) const;
  Errno MakeSymlink(const ObjectRef& at, const std::string& target) const;
  Result<UniqueFd> MakeFile(const ObjectRef& at, mode_t mode) const;
  // `from` may be a descriptor (empty name): then its file gets its first or one more name.
  Errno Link(const ObjectRef& from, const ObjectRef& to) const;
  Errno Rename(const ObjectRef& from, const ObjectRef& to, unsigned flags) const;
  Errno Unlink(const ObjectRef& object) const;
  Errno RemoveDirectory(const ObjectRef& object) const;

  // --- attributes
  Errno SetOwner(const ObjectRef& object, std::optional<uid_t> uid, std::optional<gid_t> gid) const;
  // Never follows a symlink; EOPNOTSUPP for one.
  Errno SetMode(const ObjectRef& object, mode_t mode) const;
  // As utimensat(2), UTIME_NOW and UTIME_OMIT included.
  Errno SetTimes(const ObjectRef& object, const std::array<timespec, 2>& times) const;

  // --- marks
  Errno SetMark(const ObjectRef& object, std::string_view mark, std::string_view value) const;
  // Marks a directory as showing nothing of the layers below. `dir` is open.
  Errno SetOpaque(int dir) const;

  // --- whiteouts
  // The name does not exist in the upper and is hidden from now on.
  Errno PlaceWhiteout(const ObjectRef& at) const;
  // What is under the name moves to `away` (a free name in the work directory) and the name is hidden: one atomic step where
  // the filesystem can do it, else the whiteout comes first, so that the layers below never shine through.
  Errno ReplaceByWhiteout(const ObjectRef& at, const ObjectRef& away, WorkDir& work) const;
  // Removes a whiteout file that may be left beside a name which now exists (kWhFile only; no-op else).
  Errno ClearWhFile(const ObjectRef& at) const;

 private:
  const UpperCapabilities capabilities_;
};

}  // namespace plyfs
