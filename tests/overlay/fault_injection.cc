// fault_injection.cc: see fault_injection.h. Each wrapper asks whether it is its turn, then calls
// the C library's function.
#include "tests/overlay/fault_injection.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

namespace plyfs::test {
namespace {

thread_local int calls_left = 0;  // until the failing one; 0: not armed
thread_local FaultIn armed_sort = FaultIn::kChanges;
thread_local Fault armed_fault = Fault::kError;
thread_local std::string failed_call;

void Die() { ::kill(::getpid(), SIGKILL); }

// One call: from before it is made until after it.
class Step {
 public:
  Step(FaultIn sort, const char* name) {
    if (calls_left == 0 || sort != armed_sort || --calls_left > 0) return;
    failed_call = name;
    dies_after_ = armed_fault == Fault::kDieAfter;
    fails_ = armed_fault == Fault::kError;
    if (armed_fault == Fault::kDieBefore) Die();
    if (fails_) errno = EIO;
  }
  ~Step() {
    if (dies_after_) Die();
  }
  bool fails() const { return fails_; }

 private:
  bool fails_ = false;
  bool dies_after_ = false;
};

FaultIn SortOfOpen(int flags) {
  return (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? FaultIn::kChanges
                                                                                : FaultIn::kReads;
}

FaultIn SortOfSyscall(long number) {
  const bool looks = number == SYS_getdents64 || number == SYS_openat2;
  return looks ? FaultIn::kReads : FaultIn::kChanges;
}

// setfsuid and its like cannot fail and are no filesystem calls.
bool CountsSyscall(long number) {
  constexpr long kFchmodat2 = 452;
  return number == SYS_getdents64 || number == SYS_openat2 || number == kFchmodat2;
}

}  // namespace

void ArmFault(FaultIn sort, int nth, Fault fault) {
  failed_call.clear();
  armed_fault = fault;
  armed_sort = sort;
  calls_left = nth;
}

std::string DisarmFault() {
  calls_left = 0;
  return failed_call;
}

}  // namespace plyfs::test

using plyfs::test::FaultIn;
using plyfs::test::Step;

// WRAP(result, function, (parameters), (arguments))
#define WRAP(sort, result, function, parameters, arguments)                    \
  extern "C" result __real_##function parameters;                              \
  extern "C" result __wrap_##function parameters {                             \
    const Step step(FaultIn::sort, #function);                                 \
    return step.fails() ? -1 : __real_##function arguments;                    \
  }

WRAP(kChanges, int, mkdirat, (int d, const char* p, mode_t m), (d, p, m))
WRAP(kChanges, int, mknodat, (int d, const char* p, mode_t m, dev_t r), (d, p, m, r))
WRAP(kChanges, int, symlinkat, (const char* t, int d, const char* p), (t, d, p))
WRAP(kChanges, int, linkat, (int d, const char* p, int e, const char* q, int f), (d, p, e, q, f))
WRAP(kChanges, int, renameat2, (int d, const char* p, int e, const char* q, unsigned f),
     (d, p, e, q, f))
WRAP(kChanges, int, unlinkat, (int d, const char* p, int f), (d, p, f))
WRAP(kChanges, int, fchownat, (int d, const char* p, uid_t u, gid_t g, int f), (d, p, u, g, f))
WRAP(kChanges, int, chmod, (const char* p, mode_t m), (p, m))
WRAP(kChanges, int, fchmodat, (int d, const char* p, mode_t m, int f), (d, p, m, f))
WRAP(kChanges, int, utimensat, (int d, const char* p, const timespec t[2], int f), (d, p, t, f))
WRAP(kChanges, int, setxattr, (const char* p, const char* n, const void* v, size_t s, int f),
     (p, n, v, s, f))
WRAP(kChanges, int, lsetxattr, (const char* p, const char* n, const void* v, size_t s, int f),
     (p, n, v, s, f))
WRAP(kChanges, int, removexattr, (const char* p, const char* n), (p, n))
WRAP(kChanges, int, lremovexattr, (const char* p, const char* n), (p, n))
WRAP(kChanges, int, fsync, (int f), (f))
WRAP(kChanges, int, ftruncate64, (int f, off_t s), (f, s))
WRAP(kChanges, int, fallocate64, (int f, int m, off_t o, off_t l), (f, m, o, l))
WRAP(kChanges, ssize_t, pwrite64, (int f, const void* b, size_t s, off_t o), (f, b, s, o))
WRAP(kChanges, ssize_t, sendfile64, (int o, int i, off_t* at, size_t s), (o, i, at, s))
WRAP(kChanges, ssize_t, copy_file_range, (int i, off_t* io, int o, off_t* oo, size_t s, unsigned f),
     (i, io, o, oo, s, f))
WRAP(kReads, int, statx, (int d, const char* p, int f, unsigned m, struct statx* s),
     (d, p, f, m, s))
WRAP(kReads, ssize_t, getxattr, (const char* p, const char* n, void* v, size_t s), (p, n, v, s))
WRAP(kReads, ssize_t, lgetxattr, (const char* p, const char* n, void* v, size_t s), (p, n, v, s))
WRAP(kReads, ssize_t, listxattr, (const char* p, char* l, size_t s), (p, l, s))
WRAP(kReads, ssize_t, llistxattr, (const char* p, char* l, size_t s), (p, l, s))
WRAP(kReads, ssize_t, readlinkat, (int d, const char* p, char* b, size_t s), (d, p, b, s))
WRAP(kReads, ssize_t, pread64, (int f, void* b, size_t s, off_t o), (f, b, s, o))
WRAP(kReads, off_t, lseek64, (int f, off_t o, int w), (f, o, w))

extern "C" int __real_open64(const char* path, int flags, ...);
extern "C" int __wrap_open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  const Step step(plyfs::test::SortOfOpen(flags), "open");
  return step.fails() ? -1 : __real_open64(path, flags, mode);
}

extern "C" int __real_openat64(int dir, const char* path, int flags, ...);
extern "C" int __wrap_openat64(int dir, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  const Step step(plyfs::test::SortOfOpen(flags), "openat");
  return step.fails() ? -1 : __real_openat64(dir, path, flags, mode);
}

extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a[5];
  for (long& argument : a) argument = va_arg(rest, long);
  va_end(rest);
  if (!plyfs::test::CountsSyscall(number)) return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
  const Step step(plyfs::test::SortOfSyscall(number), "syscall");
  return step.fails() ? -1 : __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
}
