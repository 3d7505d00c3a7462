// xattr.cc: see xattr.h.
#include "fs/layer/xattr.h"

#include <sys/xattr.h>

#include <cstdio>

namespace plyfs {
namespace {

// Most values are small; the largest possible one is XATTR_SIZE_MAX (64 KiB).
template <typename Call>
Result<std::string> ReadGrowing(Call call) {
  char small[512];
  const ssize_t got = call(small, sizeof small);
  if (got >= 0) return std::string(small, got);
  if (const Errno error = Errno::Last(); !(error == ERANGE)) return error;
  for (;;) {
    const ssize_t size = call(nullptr, 0);
    if (size < 0) return Errno::Last();
    std::string value(size, '\0');
    const ssize_t read = call(value.data(), value.size());
    if (read >= 0) {
      value.resize(read);
      return value;
    }
    // It may have grown between the two calls.
    if (const Errno error = Errno::Last(); !(error == ERANGE)) return error;
  }
}

// An empty name means the descriptor itself: its /proc link must then be followed, once.
bool IsDescriptor(const ObjectRef& object) { return object.name[0] == '\0'; }

}  // namespace

ProcPath::ProcPath(const ObjectRef& object) {
  std::snprintf(text_, sizeof text_, object.name[0] == '\0' ? "/proc/self/fd/%d%s" : "/proc/self/fd/%d/%s", object.dir,
                object.name);
}

Result<std::string> GetXattr(const ObjectRef& object, const char* name) {
  const ProcPath path(object);
  const auto get = IsDescriptor(object) ? ::getxattr : ::lgetxattr;
  return ReadGrowing([&](char* buffer, size_t size) { return get(path.c_str(), name, buffer, size); });
}

Result<std::string> ListXattr(const ObjectRef& object) {
  const ProcPath path(object);
  const auto list = IsDescriptor(object) ? ::listxattr : ::llistxattr;
  Result<std::string> names =
      ReadGrowing([&](char* buffer, size_t size) { return list(path.c_str(), buffer, size); });
  if (names.error() == EOPNOTSUPP) return std::string();
  return names;
}

Errno SetXattr(const ObjectRef& object, const char* name, std::span<const char> value, int flags) {
  const auto set = IsDescriptor(object) ? ::setxattr : ::lsetxattr;
  return Errno::Of(set(ProcPath(object).c_str(), name, value.data(), value.size(), flags));
}

Errno RemoveXattr(const ObjectRef& object, const char* name) {
  const auto remove = IsDescriptor(object) ? ::removexattr : ::lremovexattr;
  return Errno::Of(remove(ProcPath(object).c_str(), name));
}

}  // namespace plyfs
