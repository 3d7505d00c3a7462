// control_ioctl.h: how a program that knows only a mountpoint learns where the union's control socket is.
// Not here: the answer (fs/fuse/handlers_ioctl.cc), the question (fs/control/live_target.cc).
// Thread safety: constants.
#pragma once

#include <sys/ioctl.h>

namespace plyfs {

// Large enough for any path with every character escaped.
struct ControlIoctlText {
  char text[8192];
};

// ioctl(2) on any directory of the mount, by root or the user of the server (else EPERM): fills in
// "workdir=PATH,pid=PID", NUL-terminated. In PATH a comma and a backslash have a backslash before
// them, as in mount options. A read-only union has no workdir: "pid=PID".
inline constexpr unsigned long kControlIoctl = _IOR('p', 0x20, ControlIoctlText);

}  // namespace plyfs
