// plyfs_tools.cc: the program plyfs-tools: what `plyfs changes` and its kind are. All of it is in tools/commands.
#include <signal.h>

#include <cstdio>
#include <exception>

#include "absl/synchronization/mutex.h"
#include "tools/commands/command_line.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"

int main(int argc, char** argv) {
  // A reader that has seen enough ends us quietly, also when whoever started us ignores the signal.
  ::signal(SIGPIPE, SIG_DFL);
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  try {
    return plyfs::RunCommandLine(argc, argv);
  } catch (const std::exception& exception) {
    plyfs::PrintError(exception.what());
    return plyfs::kToolFailed;
  }
}
