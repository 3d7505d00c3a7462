// capabilities.h: what the INIT reply asks of the kernel, and why.
// Not here: what the requests then look like (request.h, handlers_*.cc).
// Thread safety: pure functions and value types.
#pragma once

#include <cstdint>
#include <span>

#include "fs/base/result.h"
#include "fs/fuse/kernel_abi.h"
#include "fs/fuse/request.h"

namespace plyfs {

struct CapabilityOptions {
  uint32_t max_write = 1 << 20;  // bytes; also the limit of one READ
  bool acl = true;               // false: option noacl
  bool writeback = false;        // option writeback=1
  bool over_io_uring = false;    // option transport=uring, and rings are there
  bool passthrough = false;      // option io=passthrough
  bool stacked_upper = false;    // the upper is on a filesystem that is stacked on another one (overlayfs)
};

// What the kernel offers in its INIT request.
struct InitOffer {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t max_readahead = 0;
  uint64_t flags = 0;  // flags2 in the upper half

  // EIO for a message that is too short.
  static Result<InitOffer> Decode(Request& request);
};

// What was agreed; the format of some requests and the answers to OPEN and OPENDIR depend on it.
struct Capabilities {
  uint64_t flags = 0;
  bool has(uint64_t flag) const { return (flags & flag) != 0; }
};

// Only flags that `offer` has are ever asked for.
Capabilities ChooseCapabilities(const InitOffer& offer, const CapabilityOptions& options);

// The 64 bytes of the reply. For an offer with another major version it says ours and nothing else
// counts.
fuse_init_out EncodeInit(const InitOffer& offer, const Capabilities& chosen,
                         const CapabilityOptions& options);

}  // namespace plyfs
