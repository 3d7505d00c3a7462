// main.cc: main() of every test program that links the harness.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "fs/base/user_namespace.h"
#include "tests/harness/hang_guard.h"
#include "tests/harness/uring.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Cases state the modes they expect; the caller's umask must not take part.
  umask(022);
  // Daemons of mount programs become our children when their parents exit: nobody else would be
  // sure to reap them (a container's pid 1 often does not), and a zombie looks like a live server.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Our own mount namespace: a mount is copied into every namespace that others make meanwhile, and
  // would live on there after our umount; and when we are killed, our mounts go with us.
  if (unshare(CLONE_NEWNS) == 0) mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  plyfs::test::InstallHangGuard();
  const std::string options = plyfs::test::OptionsForAllMounts();
  if (options == "io=passthrough" && !plyfs::InFirstUserNamespace()) {
    printf("Skipped\nio=passthrough needs the first user namespace\n");
    return 77;
  }
  if (options != "transport=uring") return RUN_ALL_TESTS();
  // Every mount of this run is to be served over io_uring; where that cannot be, no test runs.
  const plyfs::test::UringEnabled uring;
  if (uring.why_not().empty()) return RUN_ALL_TESTS();
  printf("Skipped\n%s\n", uring.why_not().c_str());
  return 77;  // which meson knows as "skipped"
}
