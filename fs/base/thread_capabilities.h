// thread_capabilities.h: the effective capabilities of the calling thread (capabilities(7)).
// Thread safety: concerns the calling thread only.
#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "fs/base/errno.h"

namespace plyfs {

class ThreadCapabilities {
 public:
  Errno Read() { return Errno::Of(::syscall(SYS_capget, &header_, sets_.data())); }
  Errno Write() { return Errno::Of(::syscall(SYS_capset, &header_, sets_.data())); }

  // CAP_*, below 64.
  bool has(unsigned capability) const { return (sets_[capability / 32].effective & Bit(capability)) != 0; }
  void Set(unsigned capability, bool on) {
    uint32_t& effective = sets_[capability / 32].effective;
    effective = on ? effective | Bit(capability) : effective & ~Bit(capability);
  }

 private:
  static uint32_t Bit(unsigned capability) { return uint32_t{1} << capability % 32; }

  __user_cap_header_struct header_{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets_{};
};

}  // namespace plyfs
