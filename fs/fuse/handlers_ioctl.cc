// handlers_ioctl.cc: the ioctls behind chattr(1), lsattr(1) and project ids, and our own one; no other is known.
#include <linux/fs.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "fs/base/control_ioctl.h"
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

// The paths are nobody's business but root's and the server's own user's.
Errno TellControl(Call& call, const fuse_ioctl_in& in) {
  if ((in.flags & FUSE_IOCTL_DIR) == 0) return ENOTTY;
  const uid_t uid = call.request.caller().uid;
  if (uid != 0 && uid != ::geteuid()) return EPERM;
  const size_t length = call.control_text.size() + 1;
  if (length > in.out_size) return ENAMETOOLONG;
  const fuse_ioctl_out out{};
  return call.reply.Bytes({reinterpret_cast<const char*>(&out), sizeof out}, {call.control_text.c_str(), length});
}

}  // namespace

Errno OnIoctl(Call& call) {
  ASSIGN_OR_RETURN(const fuse_ioctl_in* const in, call.request.Take<fuse_ioctl_in>());
  if (in->cmd == kControlIoctl) return TellControl(call, *in);
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
