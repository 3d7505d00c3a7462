// user_namespace.cc: see user_namespace.h.

#include "tests/model/user_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace plyfs::model {
namespace {

constexpr char kInNamespace[] = "PLYFS_MODEL_IN_USER_NAMESPACE";
constexpr char kMap[] = "0 100000 65536";
constexpr int kFuseMajor = 10;
constexpr int kFuseMinor = 229;

int Fails(const char* what) {
  fprintf(stderr, "model_test: %s: %s\n", what, strerror(errno));
  return 2;
}

bool WriteFile(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return done;
}

// /dev/fuse is often root's alone. A node with another mode is mounted over it, for us only.
bool ShareFuseDevice() {
  char directory[] = "/var/tmp/plyfs-model-fuse-XXXXXX";
  if (mkdtemp(directory) == nullptr) return false;
  const std::string node = std::string(directory) + "/fuse";
  const bool done = mknod(node.c_str(), S_IFCHR | 0666, makedev(kFuseMajor, kFuseMinor)) == 0 &&
                    chmod(node.c_str(), 0666) == 0 &&
                    mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr) == 0;
  // The mount keeps the node.
  unlink(node.c_str());
  rmdir(directory);
  return done;
}

// The child waits until its maps are written, then becomes root in the namespace.
int BecomeRootThere(int ready, int go, char** argv) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Fails("unshare");
  char byte = 0;
  if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1) return Fails("user namespace");
  if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
    return Fails("setresuid");
  }
  setenv(kInNamespace, "1", 1);
  execv("/proc/self/exe", argv);
  return Fails("exec");
}

}  // namespace

bool IsInUserNamespace() { return getenv(kInNamespace) != nullptr; }

int RunInUserNamespace(char** argv) {
  if (!ShareFuseDevice()) return Fails("a /dev/fuse for the user namespace");
  int ready[2];
  int go[2];
  if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0) return Fails("pipe");
  const pid_t child = fork();
  if (child < 0) return Fails("fork");
  if (child == 0) _exit(BecomeRootThere(ready[1], go[0], argv));
  close(ready[1]);
  char byte = 0;
  const std::string proc = "/proc/" + std::to_string(child);
  if (read(ready[0], &byte, 1) == 1 && WriteFile(proc + "/gid_map", kMap) &&
      WriteFile(proc + "/uid_map", kMap) && write(go[1], &byte, 1) != 1) {
    Fails("user namespace");
  }
  close(go[1]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return Fails("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace plyfs::model
