// fault_injection.h: makes the n-th system call of this thread fail, or the process die at it, so
// that every step of an operation fails once. The linker puts a wrapper between the program and the C library
// (-Wl,--wrap=…, see meson.build); fs/ knows nothing of it. Not here: what must hold after a
// failure (fault_test.cc) or a death (link_count_test.cc). Thread safety: counts and fails only calls of the thread that armed it.
#pragma once

#include <string>

namespace plyfs::test {

enum class FaultIn {
  kChanges,  // calls that change a filesystem
  kReads,    // calls that only look
};

enum class Fault {
  kError,      // EIO
  kDieBefore,  // SIGKILL before the call
  kDieAfter,   // and after it
};

// From now on the `nth` call (from 1) of that sort meets the fault; all others are made.
void ArmFault(FaultIn sort, int nth, Fault fault = Fault::kError);
// Back to normal. Returns the name of the call that failed; empty if there were fewer calls.
std::string DisarmFault();

}  // namespace plyfs::test
