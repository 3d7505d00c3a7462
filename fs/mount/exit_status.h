// exit_status.h: what the exit status of plyfs says. Part of the interface: --help and the man page
// list it. Thread safety: constants.
#pragma once

namespace plyfs {

enum ExitStatus : int {
  kExitLive = 0,    // the mount is live, or in the foreground: it was unmounted
  kExitUsage = 1,   // the command line
  kExitLayers = 2,  // a layer cannot be opened or must not be used
  kExitMount = 3,   // the kernel or fusermount3 refuses the mount
  kExitServer = 4,  // the server failed after the mount; it is unmounted again
};

}  // namespace plyfs
