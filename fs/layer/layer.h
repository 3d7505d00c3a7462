// layer.h: one directory tree on a real filesystem, read side.
// Not here: changes (upper_layer.h), which layer wins (fs/overlay).
// Thread safety: immutable once opened; share it freely.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fs/base/ids.h"
#include "fs/base/name.h"
#include "fs/base/result.h"
#include "fs/base/unique_fd.h"
#include "fs/layer/id_map.h"
#include "fs/layer/overlay_xattr.h"
#include "fs/layer/xattr.h"

namespace plyfs {

// What one layer has under a name. Absence is a value, not an error.
struct LayerEntry {
  enum Kind { kAbsent, kWhiteout, kPresent } kind = kAbsent;
  struct statx stat {};  // valid when kPresent
};

// One entry of a directory as getdents(2) shows it; never "." or "..".
struct RawDirEntry {
  const char* name;
  uint64_t inode;
  uint8_t type;  // DT_*
};

// Basic attributes and the birth time, symlinks not followed.
Result<struct statx> StatObject(const ObjectRef& object);
DiskInode DiskInodeOf(const struct statx& stat);
dev_t DeviceNumberOf(const struct statx& stat);

// A directory, for reading if we may, else as O_PATH (then only names below it can be reached). ENOTDIR for anything else,
// ELOOP for a symlink.
Result<UniqueFd> OpenDirectory(const ObjectRef& object);
// `path` (relative, any number of components, none of them a symlink) below the directory `dir`, as a directory.
Result<UniqueFd> OpenDirectoryBeneath(int dir, const std::string& path);
// A regular file. Never opens a device or a fifo: ENXIO. The access time is left alone where the caller may ask for that.
Result<UniqueFd> OpenRegular(const ObjectRef& object, int flags);
// The same for a path below `dir`, none of whose components is a symlink; read-only.
Result<UniqueFd> OpenRegularBeneath(int dir, const std::string& path);
// O_PATH: keeps an object of any type reachable after its name has gone.
Result<UniqueFd> OpenPath(const ObjectRef& object);
Result<std::string> ReadLinkObject(const ObjectRef& object);
// Calls `visit` for each entry in the order of the filesystem; stops at its first error.
Errno ListDirectory(int dir, const std::function<Errno(const RawDirEntry&)>& visit);

class Layer {
 public:
  Layer(LayerIndex index, std::string path, UniqueFd root, uint64_t device, OverrideStat override_stat)
      : index_(index), path_(std::move(path)), root_(std::move(root)), device_(device), override_stat_(override_stat) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  LayerIndex index() const { return index_; }
  // As the user named it, for messages only.
  const std::string& path() const { return path_; }
  int root() const { return root_.get(); }
  uint64_t device() const { return device_; }
  OverrideStat override_stat() const { return override_stat_; }

  // What the layer has under `name` in its directory `dir`, native whiteouts told apart: character device 0:0 and, where
  // `marks` says that the directory may have them, whiteouts by attribute. A file that is itself a ".wh." mark is absent.
  Result<LayerEntry> Lookup(int dir, const DirMarks& marks, Name name) const;

  // Whether the layer hides `name` by an OCI whiteout file ".wh.NAME". Asked only where a layer below has the name.
  Result<bool> HasWhFile(int dir, Name name) const;
  // Whether the directory hides everything below it by an OCI ".wh..wh..opq" file.
  Result<bool> HasWhOpaque(int dir) const;
  // Whether this entry is an OCI mark (an empty regular file whose name begins with ".wh.", not marked as literal).
  Result<bool> IsWhMark(const ObjectRef& object, const struct statx& stat) const;

 private:
  const LayerIndex index_;
  const std::string path_;
  const UniqueFd root_;
  const uint64_t device_;
  const OverrideStat override_stat_;
};

}  // namespace plyfs
