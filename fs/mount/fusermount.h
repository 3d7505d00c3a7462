// fusermount.h: mounting and unmounting for those who may not call mount(2), through the setuid
// program fusermount3. Not here: when this is needed (kernel_mount.h). Thread safety: pure
// functions; they start a process and wait for it.
//
// The protocol is that of libfuse: the program finds a socket's number in _FUSE_COMMFD and sends
// the opened /dev/fuse over it. libfuse's fuse_open_channel() does the same; its shared library
// would cost every start of plyfs the loading and relocation of code that nothing else here uses.
#pragma once

#include <string>

#include "fs/base/unique_fd.h"

namespace plyfs {

// Mounts on `mountpoint` with `options` (text as after -o). Returns the connection, or an invalid
// descriptor and `error`; fusermount3 itself has then said why on stderr.
UniqueFd FusermountMount(const std::string& mountpoint, const std::string& options,
                         std::string* error);

// Takes the mount out of sight, in use or not. True if it is gone. Prints nothing.
bool FusermountUnmount(const std::string& mountpoint);

}  // namespace plyfs
