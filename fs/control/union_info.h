// union_info.h: what a server tells of itself and its union to the tools.
// Not here: how it travels (json_codec.h).
// Thread safety: value types.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fs/layer/layer_stack.h"
#include "fs/overlay/changes.h"
#include "fs/overlay/config.h"
#include "fs/overlay/types.h"

namespace plyfs {

// What the union is made of. All paths are absolute, as the server sees them.
struct UnionInfo {
  std::string version;  // of the server's program
  pid_t pid = 0;        // of the server, in its own pid namespace
  std::string mountpoint;
  LayerStackOptions layers;
  RedirectDir redirect_dir = RedirectDir::kOff;
};

// Requests of one operation of the FUSE protocol since the mount.
struct OperationStats {
  std::string name;              // "LOOKUP"
  uint64_t count = 0;
  uint64_t nanoseconds = 0;      // the sum of all: from the receipt to the reply
  std::vector<uint64_t> buckets;  // [i]: shorter than 2^i microseconds but in no bucket before; the last: all the others
};

struct StatsReport {
  unsigned threads = 0;  // that serve requests now
  std::vector<OperationStats> operations;  // those that occurred
  OverlayCounters overlay;
  JournalStats journal;
};

}  // namespace plyfs
