// hang_guard.h: a test that hangs in a FUSE mount fails instead of stopping the machine.
// Not here: time limits of child processes (child.h).
// Thread safety: all functions may be called from any thread.
#pragma once

#include <sys/types.h>

namespace plyfs::test {

/// Mounts fusectl when it is not there. False when that is not allowed (not root).
bool EnsureFuseControl();
/// Aborts the FUSE connection of the filesystem with this st_dev: every call that hangs in it
/// returns ENOTCONN. False when there is none.
bool AbortFuseConnection(dev_t device);

/// While watched, the connection is aborted when the running gtest case outlives its limit.
void WatchFuseConnection(dev_t device);
void UnwatchFuseConnection(dev_t device);

/// Adds the gtest listener that applies the limit ($PLYFS_TEST_SECONDS, default 120 for each
/// case). Called by harness/main.cc.
void InstallHangGuard();

}  // namespace plyfs::test
