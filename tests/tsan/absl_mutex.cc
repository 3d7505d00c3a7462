// absl_mutex.cc: tells ThreadSanitizer what Abseil's mutex does.
// Debian's libabsl is built without the sanitizer, which therefore sees neither the locks nor the
// order that they make, and would report every guarded access as a race. tools/test links this file
// into its ThreadSanitizer build with `-Wl,--wrap=` for each function below, nothing else does.
// Not here: atomics and threads, which the sanitizer sees by itself.
// Thread safety: as absl::Mutex.

#include <sanitizer/tsan_interface.h>

#include <cstdint>

// The mangled names are those of Debian 12's Abseil (inline namespace debian3). The real functions
// are weak so that a program without Abseil links, too (the compiler check of the build does).
#define PLYFS_ABSL(name) _ZN4absl7debian3##name
#define PLYFS_PASTE(a, b) a##b
#define PLYFS_JOIN(a, b) PLYFS_PASTE(a, b)
#define REAL(name) PLYFS_JOIN(__real_, PLYFS_ABSL(name))
#define WRAP(name) PLYFS_JOIN(__wrap_, PLYFS_ABSL(name))
#define DECLARE(type, name, ...)                            \
  type REAL(name)(__VA_ARGS__) __attribute__((weak));       \
  type WRAP(name)(__VA_ARGS__)

namespace {

constexpr unsigned kWrite = 0;
constexpr unsigned kRead = __tsan_mutex_read_lock;

void Released(void* mutex, unsigned how) {
  __tsan_mutex_pre_unlock(mutex, how);
  __tsan_mutex_post_unlock(mutex, how);
}

}  // namespace

extern "C" {

DECLARE(void, 5Mutex4LockEv, void* mutex) {
  __tsan_mutex_pre_lock(mutex, kWrite);
  REAL(5Mutex4LockEv)(mutex);
  __tsan_mutex_post_lock(mutex, kWrite, 0);
}

DECLARE(void, 5Mutex6UnlockEv, void* mutex) {
  __tsan_mutex_pre_unlock(mutex, kWrite);
  REAL(5Mutex6UnlockEv)(mutex);
  __tsan_mutex_post_unlock(mutex, kWrite);
}

DECLARE(bool, 5Mutex7TryLockEv, void* mutex) {
  __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
  const bool locked = REAL(5Mutex7TryLockEv)(mutex);
  const unsigned failed = locked ? 0 : __tsan_mutex_try_lock_failed;
  __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | failed, 0);
  return locked;
}

DECLARE(void, 5Mutex10ReaderLockEv, void* mutex) {
  __tsan_mutex_pre_lock(mutex, kRead);
  REAL(5Mutex10ReaderLockEv)(mutex);
  __tsan_mutex_post_lock(mutex, kRead, 0);
}

DECLARE(void, 5Mutex12ReaderUnlockEv, void* mutex) {
  __tsan_mutex_pre_unlock(mutex, kRead);
  REAL(5Mutex12ReaderUnlockEv)(mutex);
  __tsan_mutex_post_unlock(mutex, kRead);
}

// Waiting lets go of the mutex and takes it again.
DECLARE(void, 5Mutex5AwaitERKNS0_9ConditionE, void* mutex, const void* condition) {
  Released(mutex, kWrite);
  __tsan_mutex_pre_lock(mutex, kWrite);
  REAL(5Mutex5AwaitERKNS0_9ConditionE)(mutex, condition);
  __tsan_mutex_post_lock(mutex, kWrite, 0);
}

DECLARE(void, 7CondVar4WaitEPNS0_5MutexE, void* condition, void* mutex) {
  Released(mutex, kWrite);
  __tsan_mutex_pre_lock(mutex, kWrite);
  REAL(7CondVar4WaitEPNS0_5MutexE)(condition, mutex);
  __tsan_mutex_post_lock(mutex, kWrite, 0);
}

// absl::Duration is two words: {int64, uint32}, passed in registers as this is.
struct Duration {
  int64_t seconds;
  uint32_t quarter_nanoseconds;
};

DECLARE(bool, 7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE, void* condition, void* mutex,
        Duration timeout) {
  Released(mutex, kWrite);
  __tsan_mutex_pre_lock(mutex, kWrite);
  const bool timed_out =
      REAL(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)(condition, mutex, timeout);
  __tsan_mutex_post_lock(mutex, kWrite, 0);
  return timed_out;
}

}  // extern "C"
