// user_namespace.h: which user namespace this process is in (user_namespaces(7)).
// Thread safety: pure function.
#pragma once

#include <cstdint>
#include <fstream>

namespace plyfs {

// The one that the machine began with: capabilities held here are good for the whole of it.
inline bool InFirstUserNamespace() {
  std::ifstream map("/proc/self/uid_map");
  uint64_t inside = 1;
  uint64_t outside = 1;
  uint64_t length = 0;
  map >> inside >> outside >> length;
  return inside == 0 && outside == 0 && length == UINT32_MAX;
}

}  // namespace plyfs
