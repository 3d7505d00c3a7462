// mount_main.h: the program plyfs: options -> layers -> mount -> Overlay -> session. The only place
// where these meet. Not here: the parts themselves. Thread safety: call once, from main.
#pragma once

namespace plyfs {

// Returns the exit status (exit_status.h).
int MountMain(int argc, const char* const* argv);

}  // namespace plyfs
