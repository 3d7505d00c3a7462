// acl.cc: see acl.h. Follows fs/posix_acl.c (posix_acl_create_masq).
#include "fs/layer/acl.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <sys/stat.h>

#include <cstring>
#include <vector>

namespace plyfs {
namespace {

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};

std::optional<std::vector<AclEntry>> Decode(std::string_view acl) {
  posix_acl_xattr_header header;
  if (acl.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, acl.data(), sizeof header);
  acl.remove_prefix(sizeof header);
  if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION || acl.size() % sizeof(posix_acl_xattr_entry) != 0) {
    return std::nullopt;
  }
  std::vector<AclEntry> entries;
  for (; !acl.empty(); acl.remove_prefix(sizeof(posix_acl_xattr_entry))) {
    posix_acl_xattr_entry raw;
    std::memcpy(&raw, acl.data(), sizeof raw);
    entries.push_back({le16toh(raw.e_tag), le16toh(raw.e_perm), le32toh(raw.e_id)});
  }
  return entries;
}

std::string Encode(const std::vector<AclEntry>& entries) {
  const posix_acl_xattr_header header{.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
  std::string acl(reinterpret_cast<const char*>(&header), sizeof header);
  for (const AclEntry& entry : entries) {
    const posix_acl_xattr_entry raw{htole16(entry.tag), htole16(entry.permissions), htole32(entry.id)};
    acl.append(reinterpret_cast<const char*>(&raw), sizeof raw);
  }
  return acl;
}

// Both get what both allow. `shift` is the place of the class in the mode.
void Intersect(AclEntry* entry, mode_t* mode, int shift) {
  entry->permissions &= (*mode >> shift) | ~S_IRWXO;
  *mode &= (mode_t{entry->permissions} << shift) | ~(mode_t{S_IRWXO} << shift);
}

}  // namespace

Result<InheritedAcl> InheritAcl(std::string_view default_acl, mode_t mode) {
  std::optional<std::vector<AclEntry>> entries = Decode(default_acl);
  if (!entries) return Errno(EIO);
  AclEntry* group = nullptr;
  AclEntry* mask = nullptr;
  bool mode_says_all = true;
  for (AclEntry& entry : *entries) {
    switch (entry.tag) {
      case ACL_USER_OBJ: Intersect(&entry, &mode, 6); break;
      case ACL_OTHER: Intersect(&entry, &mode, 0); break;
      case ACL_GROUP_OBJ: group = &entry; break;
      case ACL_MASK: mask = &entry; [[fallthrough]];
      case ACL_USER:
      case ACL_GROUP: mode_says_all = false; break;
      default: return Errno(EIO);
    }
  }
  if (mask == nullptr && group == nullptr) return Errno(EIO);
  Intersect(mask != nullptr ? mask : group, &mode, 3);
  InheritedAcl inherited{.mode = mode};
  if (!mode_says_all) inherited.access = Encode(*entries);
  return inherited;
}

Result<std::string> MapAclIds(std::string_view acl, const MapId& map_uid, const MapId& map_gid) {
  std::optional<std::vector<AclEntry>> entries = Decode(acl);
  if (!entries) return Errno(EINVAL);
  for (AclEntry& entry : *entries) {
    if (entry.tag != ACL_USER && entry.tag != ACL_GROUP) continue;
    const std::optional<uint32_t> id = entry.tag == ACL_USER ? map_uid(entry.id) : map_gid(entry.id);
    if (!id) return Errno(EINVAL);
    entry.id = *id;
  }
  return Encode(*entries);
}

}  // namespace plyfs
