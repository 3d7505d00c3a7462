// command_line.h: the command line of the subcommands.
// Not here: what they do (commands.h).
// Thread safety: for main.
#pragma once

namespace plyfs {

// Runs what argv asks for ("plyfs changes --json MNT"); returns the exit status.
int RunCommandLine(int argc, char** argv);

}  // namespace plyfs
