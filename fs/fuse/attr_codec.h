// attr_codec.h: attributes, entries and times in the kernel's format.
// Not here: sending them (reply.h).
// Thread safety: pure functions and value types.
#pragma once

#include <cstdint>

#include "fs/base/result.h"
#include "fs/fuse/kernel_abi.h"
#include "fs/overlay/types.h"

namespace plyfs {

// For how long the kernel may believe an entry or attributes.
struct Validity {
  uint64_t seconds = 0;
  uint32_t nanoseconds = 0;

  // Clamped to 0…1e9 seconds: practically for ever, and no kernel overflows on it. NaN counts as 0.
  static Validity FromSeconds(double seconds);
};

// The kernel's 32-bit device number against makedev(3).
uint32_t EncodeDevice(dev_t device);
dev_t DecodeDevice(uint32_t device);

fuse_attr EncodeAttr(const Attr& attr);
fuse_attr_out EncodeAttrOut(const Attr& attr, Validity validity);
// An Entry whose id is kNone becomes a negative entry. `attributes`: for how long those are to be believed.
fuse_entry_out EncodeEntry(const Entry& entry, Validity validity, Validity attributes);
abi::StatxOut EncodeStatx(const Attr& attr, Validity validity);

// What SETATTR asks for. FATTR_CTIME is ignored: a layer's filesystem sets ctime itself.
AttrChange DecodeAttrChange(const fuse_setattr_in& in);

}  // namespace plyfs
