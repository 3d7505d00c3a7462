// acl.h: POSIX ACLs in their xattr form (linux/posix_acl_xattr.h): inheritance and id mapping.
// Not here: permission checks (the kernel makes them).
// Thread safety: stateless.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "fs/base/result.h"

namespace plyfs {

inline constexpr const char* kAclAccess = "system.posix_acl_access";
inline constexpr const char* kAclDefault = "system.posix_acl_default";

struct InheritedAcl {
  mode_t mode = 0;                    // permission bits after the ACL
  std::optional<std::string> access;  // the new object's access ACL, unless the mode says it all
};

// What an object created with `mode` in a directory with this default ACL gets (acl(5), "OBJECT CREATION AND DEFAULT ACLs").
// EIO for a malformed ACL.
Result<InheritedAcl> InheritAcl(std::string_view default_acl, mode_t mode);

// Rewrites the ids of named users and groups; EINVAL if one of them has no counterpart or the ACL is malformed.
using MapId = std::function<std::optional<uint32_t>(uint32_t)>;
Result<std::string> MapAclIds(std::string_view acl, const MapId& map_uid, const MapId& map_gid);

}  // namespace plyfs
