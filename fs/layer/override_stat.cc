// override_stat.cc: see override_stat.h.
#include "fs/layer/override_stat.h"

#include <sys/sysmacros.h>

#include <charconv>
#include <cstdio>
#include <vector>

namespace plyfs {
namespace {

constexpr const char* kUserName = "user.containers.override_stat";
constexpr const char* kPrivilegedName = "security.fuseoverlayfs.override_stat";
constexpr const char* kLegacyName = "user.fuseoverlayfs.override_stat";

struct TypeName {
  std::string_view text;
  mode_t type;
};
constexpr TypeName kTypes[] = {{"dir", S_IFDIR},   {"file", S_IFREG},   {"symlink", S_IFLNK}, {"pipe", S_IFIFO},
                               {"socket", S_IFSOCK}, {"block", S_IFBLK}, {"char", S_IFCHR}};

template <typename Int>
bool ParseNumber(std::string_view text, int base, Int* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// "dir", "block-8-1", …
bool ParseType(std::string_view text, OverriddenStat* stat) {
  const std::vector<std::string_view> parts = Split(text, '-');
  for (const TypeName& known : kTypes) {
    if (parts[0] != known.text) continue;
    stat->type = known.type;
    if (known.type != S_IFBLK && known.type != S_IFCHR) return parts.size() == 1;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    if (parts.size() != 3 || !ParseNumber(parts[1], 10, &major_number) || !ParseNumber(parts[2], 10, &minor_number)) {
      return false;
    }
    stat->rdev = makedev(major_number, minor_number);
    return true;
  }
  return false;
}

}  // namespace

std::optional<OverriddenStat> ParseOverrideStat(std::string_view value) {
  // Some writers count a terminating NUL.
  while (value.ends_with('\0')) value.remove_suffix(1);
  const std::vector<std::string_view> parts = Split(value, ':');
  if (parts.size() < 3 || parts.size() > 4) return std::nullopt;
  OverriddenStat stat;
  if (!ParseNumber(parts[0], 10, &stat.uid) || !ParseNumber(parts[1], 10, &stat.gid) ||
      !ParseNumber(parts[2], 8, &stat.mode)) {
    return std::nullopt;
  }
  stat.mode &= 07777;
  if (parts.size() == 4 && !ParseType(parts[3], &stat)) return std::nullopt;
  return stat;
}

std::string FormatOverrideStat(const OverriddenStat& stat) {
  char text[96];
  int used = std::snprintf(text, sizeof text, "%u:%u:%04o", stat.uid, stat.gid, stat.mode & 07777);
  for (const TypeName& known : kTypes) {
    if (!stat.type || *stat.type != known.type) continue;
    used += std::snprintf(text + used, sizeof text - used, ":%s", known.text.data());
    if (known.type == S_IFBLK || known.type == S_IFCHR) {
      used += std::snprintf(text + used, sizeof text - used, "-%u-%u", major(stat.rdev), minor(stat.rdev));
    }
  }
  return std::string(text, used);
}

const char* OverrideStatName(OverrideStat kind) {
  switch (kind) {
    case OverrideStat::kNone: return nullptr;
    case OverrideStat::kPrivileged: return kPrivilegedName;
    case OverrideStat::kUser: return kUserName;
  }
  return nullptr;
}

OverrideStat DetectOverrideStat(const ObjectRef& root) {
  if (GetXattr(root, kPrivilegedName).ok()) return OverrideStat::kPrivileged;
  if (GetXattr(root, kUserName).ok() || GetXattr(root, kLegacyName).ok()) return OverrideStat::kUser;
  return OverrideStat::kNone;
}

Result<std::optional<OverriddenStat>> ReadOverrideStat(const ObjectRef& object, OverrideStat kind) {
  if (kind == OverrideStat::kNone) return std::optional<OverriddenStat>();
  Result<std::string> value = GetXattr(object, OverrideStatName(kind));
  if (value.error() == ENODATA && kind == OverrideStat::kUser) value = GetXattr(object, kLegacyName);
  if (!value.ok()) {
    const Errno error = value.error();
    if (error == ENODATA || error == EOPNOTSUPP || error == EPERM) return std::optional<OverriddenStat>();
    return error;
  }
  std::optional<OverriddenStat> stat = ParseOverrideStat(*value);
  if (!stat) return Errno(EIO);
  return stat;
}

Errno WriteOverrideStat(const ObjectRef& object, OverrideStat kind, const OverriddenStat& stat) {
  return SetXattr(object, OverrideStatName(kind), FormatOverrideStat(stat), 0);
}

}  // namespace plyfs
