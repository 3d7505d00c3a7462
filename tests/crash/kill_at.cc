// kill_at.cc: a library for LD_PRELOAD that kills the process at its n-th system call that changes a
// filesystem, so that a crash is tried at every step. Not here: what must hold then (step_test.cc).
// Thread safety: calls are counted over all threads.
//
// $PLYFS_KILL_AT=N      the N-th call (from 1) …
// $PLYFS_KILL_WHEN=W    … dies `before` it is made (the default) or `after` it
// $PLYFS_KILL_COUNT=F   the number of calls so far is kept in the file F (mapped)
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

struct Plan {
  long at = 0;
  bool after = false;
  std::atomic<long>* count = nullptr;
};

Plan* MakePlan() {
  static std::atomic<long> own = 0;
  static Plan plan;
  if (const char* at = std::getenv("PLYFS_KILL_AT")) plan.at = std::atol(at);
  const char* when = std::getenv("PLYFS_KILL_WHEN");
  plan.after = when != nullptr && std::strcmp(when, "after") == 0;
  plan.count = &own;
  const char* file = std::getenv("PLYFS_KILL_COUNT");
  const int fd = file != nullptr ? ::open(file, O_RDWR) : -1;
  if (fd >= 0) {
    void* memory = ::mmap(nullptr, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) plan.count = static_cast<std::atomic<long>*>(memory);
    ::close(fd);
  }
  return &plan;
}

Plan& ThePlan() {
  static Plan* const plan = MakePlan();
  return *plan;
}

class Step {
 public:
  Step() : here_(++*ThePlan().count == ThePlan().at) {
    if (here_ && !ThePlan().after) ::kill(::getpid(), SIGKILL);
  }
  ~Step() {
    if (here_ && ThePlan().after) ::kill(::getpid(), SIGKILL);
  }

 private:
  const bool here_;
};

}  // namespace

#define STEP(result, function, parameters, arguments)                                    \
  extern "C" result function parameters {                                                \
    using Function = result(*) parameters;                                               \
    static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, #function));  \
    const Step step;                                                                     \
    return real arguments;                                                               \
  }

STEP(int, renameat2, (int a, const char* b, int c, const char* d, unsigned e), (a, b, c, d, e))
STEP(int, renameat, (int a, const char* b, int c, const char* d), (a, b, c, d))
STEP(int, rename, (const char* a, const char* b), (a, b))
STEP(int, linkat, (int a, const char* b, int c, const char* d, int e), (a, b, c, d, e))
STEP(int, unlinkat, (int a, const char* b, int c), (a, b, c))
STEP(int, unlink, (const char* a), (a))
STEP(int, mkdirat, (int a, const char* b, mode_t c), (a, b, c))
STEP(int, mkdir, (const char* a, mode_t b), (a, b))
STEP(int, mknodat, (int a, const char* b, mode_t c, dev_t d), (a, b, c, d))
STEP(int, symlinkat, (const char* a, int b, const char* c), (a, b, c))
STEP(int, fchownat, (int a, const char* b, uid_t c, gid_t d, int e), (a, b, c, d, e))
STEP(int, utimensat, (int a, const char* b, const timespec c[2], int d), (a, b, c, d))
STEP(int, setxattr, (const char* a, const char* b, const void* c, size_t d, int e), (a, b, c, d, e))
STEP(int, lsetxattr, (const char* a, const char* b, const void* c, size_t d, int e), (a, b, c, d, e))
STEP(int, ftruncate64, (int a, off64_t b), (a, b))
STEP(int, fallocate64, (int a, int b, off64_t c, off64_t d), (a, b, c, d))
STEP(ssize_t, pwrite64, (int a, const void* b, size_t c, off64_t d), (a, b, c, d))
STEP(ssize_t, copy_file_range, (int a, off64_t* b, int c, off64_t* d, size_t e, unsigned f), (a, b, c, d, e, f))
STEP(int, fsync, (int a), (a))
STEP(int, fdatasync, (int a), (a))
STEP(int, msync, (void* a, size_t b, int c), (a, b, c))

// Only where it makes a file.
extern "C" int openat64(int dir, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const auto mode = static_cast<mode_t>((flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, int) : 0);
  va_end(list);
  using Function = int (*)(int, const char*, int, ...);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "openat64"));
  if ((flags & O_CREAT) == 0) return real(dir, path, flags, mode);
  const Step step;
  return real(dir, path, flags, mode);
}
