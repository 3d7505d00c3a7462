// xattr_ops.cc: see xattr_ops.h.
#include "fs/overlay/xattr_ops.h"

#include <sys/xattr.h>

#include <set>

#include "absl/cleanup/cleanup.h"
#include "fs/layer/acl.h"
#include "fs/layer/overlay_xattr.h"
#include "fs/overlay/copy_up.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

constexpr std::string_view kSecurityPrefix = "security.";
constexpr std::string_view kOverridePrefix = "user.containers.override_";

bool IsAcl(std::string_view name) { return name == kAclAccess || name == kAclDefault; }

// Where users' attributes are not shown or not stored at all.
Errno CheckSupported(const Core& core, std::string_view name) {
  if (IsAcl(name)) return core.config.acl ? kOk : Errno(EOPNOTSUPP);
  return core.config.xattrs ? kOk : Errno(EOPNOTSUPP);
}

// With xattr_permissions=2 the layer cannot hold security. attributes either; they are kept under user. One that a layer does
// hold, made without the option, is shown where there is no other.
bool KeepsSecurityElsewhere(const Layer& layer) { return layer.override_stat() == OverrideStat::kUser; }

bool IsKeptElsewhere(const Layer& layer, std::string_view shown) {
  return shown.starts_with(kSecurityPrefix) && KeepsSecurityElsewhere(layer);
}

// Nullopt for a name that users may not have.
std::optional<std::string> StoredName(const Layer& layer, const std::string& shown) {
  if (IsKeptElsewhere(layer, shown)) {
    return std::string(kOverridePrefix) + shown.substr(kSecurityPrefix.size());
  }
  return EscapeXattrName(shown);
}

std::optional<std::string> ShownName(const Layer& layer, std::string_view stored) {
  if (KeepsSecurityElsewhere(layer) && stored.starts_with(kOverridePrefix)) {
    const std::string_view rest = stored.substr(kOverridePrefix.size());
    if (rest == "stat") return std::nullopt;
    return std::string(kSecurityPrefix) + std::string(rest);
  }
  return UnescapeXattrName(stored);
}

// The value of `shown`, which users may have and which is stored as `stored`.
Result<std::string> GetStored(const Layer& layer, const ObjectRef& object, const std::string& shown, const std::string& stored) {
  Result<std::string> value = GetXattr(object, stored.c_str());
  const bool is_absent = value.error() == ENODATA || value.error() == EOPNOTSUPP;
  return is_absent && IsKeptElsewhere(layer, shown) ? GetXattr(object, shown.c_str()) : std::move(value);
}

// XATTR_CREATE and XATTR_REPLACE mean what users see, which may be stored in either of two places.
Errno SetStored(const Layer& layer, const ObjectRef& object, const XattrChange& change, const std::string& stored,
                std::span<const char> value) {
  if (!IsKeptElsewhere(layer, change.name)) return SetXattr(object, stored.c_str(), value, change.flags);
  const Result<std::string> old = GetStored(layer, object, change.name, stored);
  if (old.ok() && (change.flags & XATTR_CREATE) != 0) return EEXIST;
  if (!old.ok() && (change.flags & XATTR_REPLACE) != 0) return old.error();
  return SetXattr(object, stored.c_str(), value, 0);
}

Errno RemoveStored(const Layer& layer, const ObjectRef& object, const std::string& shown, const std::string& stored) {
  const Errno error = RemoveXattr(object, stored.c_str());
  if (!IsKeptElsewhere(layer, shown) || !(error.ok() || error == ENODATA || error == EOPNOTSUPP)) return error;
  const Errno real = RemoveXattr(object, shown.c_str());
  return real == ENODATA ? error : real;
}

LayerIndex LayerOf(const Node& node) { return node.is_directory() ? node.dir->parts.front().layer : node.layer; }

Result<std::string> ShowAcl(const Core& core, const std::string& acl) {
  const IdMap& ids = core.ids();
  return MapAclIds(acl, [&](uint32_t id) { return ids.uids.ToShown(id); }, [&](uint32_t id) { return ids.gids.ToShown(id); });
}

Result<std::string> StoreAcl(const Core& core, std::span<const char> acl) {
  const IdMap& ids = core.ids();
  return MapAclIds({acl.data(), acl.size()}, [&](uint32_t id) { return ids.uids.ToDisk(id); },
                   [&](uint32_t id) { return ids.gids.ToDisk(id); });
}

// The upper copy of what is about to be changed.
Errno PrepareChange(Core& core, const NodeRef& node) {
  const Errno error = CopyUp(core, node);
  return node->is_directory() && error == ENOENT ? kOk : error;  // a removed directory: see the caller
}

}  // namespace

Result<std::string> ReadXattr(Core& core, const NodeRef& node, const std::string& name) {
  RETURN_IF_ERROR(CheckSupported(core, name));
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&node->mutex);
  if (node->is_directory() && node->dir->removed) return Errno(ENODATA);
  const std::optional<std::string> stored = StoredName(core.layer(LayerOf(*node)), name);
  if (!stored) return Errno(ENODATA);
  ASSIGN_OR_RETURN(const Located located, Locate(core, *node));
  Result<std::string> value = GetStored(core.layer(LayerOf(*node)), located.ref(), name, *stored);
  if (!value.ok() || !IsAcl(name) || core.ids().identity()) return value;
  return ShowAcl(core, *value);
}

Result<std::string> ReadXattrNames(Core& core, const NodeRef& node, const Caller& caller) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&node->mutex);
  if (node->is_directory() && node->dir->removed) return std::string();
  const Layer& layer = core.layer(LayerOf(*node));
  ASSIGN_OR_RETURN(const Located located, Locate(core, *node));
  ASSIGN_OR_RETURN(const std::string stored, ListXattr(located.ref()));
  std::set<std::string> shown;  // each once, also when it is stored in both places
  RETURN_IF_ERROR(ForEachXattrName(stored, [&](const char* name) -> Errno {
    std::optional<std::string> as_shown = ShownName(layer, name);
    if (as_shown && as_shown->starts_with("trusted.") && caller.uid != 0) return kOk;
    if (as_shown && CheckSupported(core, *as_shown).ok()) shown.insert(*std::move(as_shown));
    return kOk;
  }));
  std::string names;
  for (const std::string& name : shown) names.append(name.c_str(), name.size() + 1);
  return names;
}

Errno ChangeXattr(Core& core, const NodeRef& node, const XattrChange& change) {
  if (core.read_only()) return EROFS;
  RETURN_IF_ERROR(CheckSupported(core, change.name));
  const std::optional<std::string> stored = StoredName(core.upper(), change.name);
  if (!stored) return EPERM;
  RETURN_IF_ERROR(PrepareChange(core, node));
  const absl::Cleanup again = [&] { RecordChangeAgain(core, node); };

  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock lock(&node->mutex);
  if (node->is_directory() && node->dir->removed) return ENOENT;
  ASSIGN_OR_RETURN(const Located located, Locate(core, *node));
  std::string acl;
  std::span<const char> value = change.value;
  if (IsAcl(change.name) && !core.ids().identity()) {
    ASSIGN_OR_RETURN(acl, StoreAcl(core, value));
    value = acl;
  }
  RETURN_IF_ERROR(SetStored(core.upper(), located.ref(), change, *stored, value));
  if (!change.kill_sgid) return kOk;
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(located.ref()));
  if ((stat.stx_mode & S_ISGID) == 0) return kOk;
  return core.upper().SetMode(located.ref(), stat.stx_mode & 07777 & ~S_ISGID);
}

Errno DropXattr(Core& core, const NodeRef& node, const std::string& name) {
  if (core.read_only()) return EROFS;
  RETURN_IF_ERROR(CheckSupported(core, name));
  // Nothing to remove is no reason to copy a file up. An ACL that is not there may be removed.
  const Result<std::string> value = ReadXattr(core, node, name);
  if (!value.ok()) return value.error() == ENODATA && IsAcl(name) ? kOk : value.error();
  const std::optional<std::string> stored = StoredName(core.upper(), name);
  if (!stored) return EPERM;
  RETURN_IF_ERROR(PrepareChange(core, node));
  const absl::Cleanup again = [&] { RecordChangeAgain(core, node); };

  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::MutexLock lock(&node->mutex);
  if (node->is_directory() && node->dir->removed) return ENODATA;
  ASSIGN_OR_RETURN(const Located located, Locate(core, *node));
  return RemoveStored(core.upper(), located.ref(), name, *stored);
}

}  // namespace plyfs
