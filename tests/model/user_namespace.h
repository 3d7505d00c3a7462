// user_namespace.h: the program run once more, as root of a user namespace.
// Not here: what differs there for the sequences (generate.h: Privilege).
// Thread safety: call it from the main thread, before any other is started.
#pragma once

namespace plyfs::model {

/// Whether this process is the one that RunInUserNamespace started.
bool IsInUserNamespace();

/// Runs the program with the same arguments as root of a new user namespace (ids 100000 and up)
/// with a mount namespace and a /dev/fuse of its own. Needs root. Returns its exit code.
int RunInUserNamespace(char** argv);

}  // namespace plyfs::model
