// handlers_ioctl.cc: the ioctls behind chattr(1), lsattr(1) and project ids; no other is known.
#include <linux/fs.h>

#include <algorithm>
#include <optional>

#include "fs/fuse/handlers.h"

namespace plyfs {
namespace {

struct FlagsCommand {
  unsigned long command;  // as a 64-bit program would say it
  size_t size;            // of the argument as the kernel copies it
};

// 32-bit programs number the same commands by the size of their long.
std::optional<FlagsCommand> KnownCommand(uint32_t command) {
  switch (command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC32_GETFLAGS:
      // Declared with a long, implemented with an int by every filesystem.
      return FlagsCommand{FS_IOC_GETFLAGS, sizeof(int)};
    case FS_IOC_SETFLAGS:
    case FS_IOC32_SETFLAGS:
      return FlagsCommand{FS_IOC_SETFLAGS, sizeof(int)};
    case FS_IOC_FSGETXATTR:
      return FlagsCommand{FS_IOC_FSGETXATTR, sizeof(fsxattr)};
    case FS_IOC_FSSETXATTR:
      return FlagsCommand{FS_IOC_FSSETXATTR, sizeof(fsxattr)};
    default:
      return std::nullopt;
  }
}

}  // namespace

Errno OnIoctl(Call& call) {
  ASSIGN_OR_RETURN(const fuse_ioctl_in* const in, call.request.Take<fuse_ioctl_in>());
  const std::optional<FlagsCommand> known = KnownCommand(in->cmd);
  if (!known) return ENOTTY;
  ASSIGN_OR_RETURN(const std::span<const char> given, call.request.TakeBytes(in->in_size));
  // An unrestricted caller could ask with any size; too little room in either direction is its
  // mistake.
  if (std::max<size_t>(in->in_size, in->out_size) < known->size) return EINVAL;
  alignas(8) char argument[64] = {};
  std::copy_n(given.begin(), std::min(given.size(), known->size), argument);
  RETURN_IF_ERROR(
      call.overlay.FileFlags(call.request.node(), known->command, {argument, known->size}));
  const fuse_ioctl_out out{};
  return call.reply.Bytes({reinterpret_cast<const char*>(&out), sizeof out},
                          {argument, std::min<size_t>(in->out_size, known->size)});
}

}  // namespace plyfs
