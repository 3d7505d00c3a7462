// subcommand.h: `plyfs changes` and its kind: from the mount program to plyfs-tools.
// Not here: what they do (tools/commands).
// Thread safety: for main, before there are threads.
#pragma once

#include <string_view>

namespace plyfs {

// changes, diff, apply, checkpoint, watch, fsck or stats. A mountpoint of such a name is written ./changes.
bool IsSubcommand(std::string_view argument);

// Becomes plyfs-tools, which is looked for beside this program and then where it is installed. Returns only on failure, with
// the exit status.
int ExecSubcommand(char** argv);

}  // namespace plyfs
