// override_stat.h: owner, mode and type in an attribute, for filesystems that cannot hold them (container storage on NFS,
// virtiofs, or a rootless store without subordinate ids). The format is fuse-overlayfs': "uid:gid:mode[:type]".
// Not here: uid/gid mappings (id_map.h).
// Thread safety: stateless.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "fs/layer/id_map.h"
#include "fs/layer/xattr.h"

namespace plyfs {

struct OverriddenStat {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;               // permission bits
  std::optional<mode_t> type;    // S_IFMT bits, when the value names a type
  dev_t rdev = 0;
};

// nullopt if it does not parse.
std::optional<OverriddenStat> ParseOverrideStat(std::string_view value);
std::string FormatOverrideStat(const OverriddenStat& stat);

// The attribute that `kind` writes; null for kNone.
const char* OverrideStatName(OverrideStat kind);
// Which attribute a layer uses, by looking at its root.
OverrideStat DetectOverrideStat(const ObjectRef& root);

// The object's attribute under `kind` (for kUser the legacy user.fuseoverlayfs.override_stat as well); nullopt if it has
// none; EIO if it does not parse.
Result<std::optional<OverriddenStat>> ReadOverrideStat(const ObjectRef& object, OverrideStat kind);
Errno WriteOverrideStat(const ObjectRef& object, OverrideStat kind, const OverriddenStat& stat);

}  // namespace plyfs
