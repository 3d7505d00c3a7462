// xattr.h: extended attributes of an object that is named by a descriptor, or by a directory descriptor and one component.
// Not here: which names are private and how users' names are escaped (overlay_xattr.h).
// Thread safety: stateless.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fs/base/result.h"

namespace plyfs {

// An object without opening it: `name` in directory `dir`, or `dir` itself (any descriptor, O_PATH too) when `name` is empty.
// Borrows both.
struct ObjectRef {
  int dir = -1;
  const char* name = "";
};

// "/proc/self/fd/N[/NAME]": how calls that take only a path reach an ObjectRef. The descriptor is the first component, so
// this is a descriptor-relative call all the same; with the l… calls the last component is not followed.
class ProcPath {
 public:
  explicit ProcPath(const ObjectRef& object);
  const char* c_str() const { return text_; }

 private:
  char text_[32 + 256];
};

// The value; ENODATA if there is none, EOPNOTSUPP if the filesystem has no such attributes.
Result<std::string> GetXattr(const ObjectRef& object, const char* name);
// Names as listxattr(2) returns them, NUL-terminated each. An object without attributes gives "".
Result<std::string> ListXattr(const ObjectRef& object);
Errno SetXattr(const ObjectRef& object, const char* name, std::span<const char> value, int flags);
Errno RemoveXattr(const ObjectRef& object, const char* name);

// Calls `visit(const char*)` for each name of a listxattr(2) list; stops at the first error and returns it.
template <typename Visit>
Errno ForEachXattrName(const std::string& list, Visit visit) {
  for (size_t at = 0; at < list.size(); at += std::char_traits<char>::length(list.c_str() + at) + 1) {
    RETURN_IF_ERROR(visit(list.c_str() + at));
  }
  return kOk;
}

}  // namespace plyfs
