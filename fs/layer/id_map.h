// id_map.h: owners on disk against owners shown: uid/gid mappings, squash.
// Not here: override_stat xattrs (override_stat.h), user namespaces (the kernel translates those).
// Thread safety: immutable once built; share it freely.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace plyfs {

// Where owner, mode and type are kept when the filesystem cannot hold them (option xattr_permissions).
enum class OverrideStat {
  kNone,
  kPrivileged,  // 1: security.fuseoverlayfs.override_stat
  kUser,        // 2: user.containers.override_stat
};

// What the kernel shows for an id that has no place in a user namespace.
inline constexpr uint32_t kOverflowId = 65534;

// One triple of uidmapping= / gidmapping=.
struct IdRange {
  uint32_t on_disk = 0;
  uint32_t shown = 0;
  uint32_t length = 0;
};

// One direction each for uids or gids. With no ranges every id maps to itself; with ranges an id outside of them is shown as
// the overflow id, and cannot be written (EINVAL by the caller).
class IdRanges {
 public:
  IdRanges() = default;
  explicit IdRanges(std::vector<IdRange> ranges) : ranges_(std::move(ranges)) {}

  // "ON_DISK:SHOWN:LEN[:…]", empty segments at the start allowed; nullopt if it does not parse: a count that is no
  // multiple of three, a number outside of 0…2^32-1, a length of 0 or ranges that overlap.
  static std::optional<IdRanges> Parse(std::string_view text);

  bool empty() const { return ranges_.empty(); }
  const std::vector<IdRange>& ranges() const { return ranges_; }
  uint32_t ToShown(uint32_t on_disk) const;
  std::optional<uint32_t> ToDisk(uint32_t shown) const;

 private:
  std::vector<IdRange> ranges_;
};

struct IdMap {
  IdRanges uids;
  IdRanges gids;
  // squash_to_root is 0 here. Every object is shown with this owner, and new ones are written with it.
  std::optional<uid_t> squash_uid;
  std::optional<gid_t> squash_gid;

  uid_t ShownUid(uid_t on_disk) const { return squash_uid ? *squash_uid : uids.ToShown(on_disk); }
  gid_t ShownGid(gid_t on_disk) const { return squash_gid ? *squash_gid : gids.ToShown(on_disk); }
  // What to write for an owner that a caller asks for; nullopt if it has no place on disk.
  std::optional<uid_t> DiskUid(uid_t shown) const { return uids.ToDisk(squash_uid.value_or(shown)); }
  std::optional<gid_t> DiskGid(gid_t shown) const { return gids.ToDisk(squash_gid.value_or(shown)); }

  bool identity() const { return uids.empty() && gids.empty() && !squash_uid && !squash_gid; }
};

}  // namespace plyfs
