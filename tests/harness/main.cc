// main.cc: main() of every test program that links the harness.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/harness/hang_guard.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Cases state the modes they expect; the caller's umask must not take part.
  umask(022);
  // Daemons of mount programs become our children when their parents exit: nobody else would be
  // sure to reap them (a container's pid 1 often does not), and a zombie looks like a live server.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  plyfs::test::InstallHangGuard();
  return RUN_ALL_TESTS();
}
