// uring_workers.h: the threads that serve requests through io_uring, a queue for each CPU.
// Not here: FORGET and INTERRUPT, which the kernel sends through /dev/fuse all the same
// (workers.h); what a request means (dispatcher.h). Thread safety: Prepare, Start and End belong to
// one thread, in this order; Collect may be called from any thread once Prepare has returned.
//
// The kernel gives a request to the queue of the CPU on which the client runs. The threads of a
// queue are bound to that CPU: client and server take turns on it, and no other CPU must be woken.
// Of the threads that wait in a queue the kernel takes the one that came last, so a single client
// is served by one thread, and the others sleep until a request takes long.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "fs/base/errno.h"
#include "fs/fuse/counters.h"
#include "fs/fuse/dispatcher.h"

namespace plyfs {

struct UringWorkersOptions {
  unsigned threads = 0;  // the most of them, as far as each CPU gets one; 0: a few for each
  size_t max_payload = 1 << 20;
  int stop_fd = -1;  // readable when the threads are to end
};

class UringWorkers {
 public:
  using Handle = std::function<uint64_t(const Arrival&, RequestCounters&)>;

  // `on_idle` is called by one of the threads when none has got a request for ten seconds.
  UringWorkers(UringWorkersOptions options, Handle handle, std::function<void()> on_idle);
  ~UringWorkers();
  UringWorkers(const UringWorkers&) = delete;
  UringWorkers& operator=(const UringWorkers&) = delete;

  // Starts the threads, each with its ring: all that can fail, so it must come before INIT is
  // answered with this transport. Otherwise every request would wait for ever. The errno of
  // io_uring_setup(2), or of starting a thread.
  Errno Prepare();
  // Takes the requests of `device`, for which INIT has agreed on this transport. `on_failure` is
  // called, with an errno and by one of the threads, when that ends without an unmount.
  void Start(int device, std::function<void(int)> on_failure);
  // Waits until the threads have ended, as they do when `stop_fd` is readable or the filesystem was
  // unmounted. Threads that were never started end at once.
  void End();

  // Adds the counters of all threads; how many threads are serving.
  size_t Collect(RequestCounters& total) const;

 private:
  struct Worker;
  enum class Stage { kPreparing, kServing, kEnding };

  static void* ThreadMain(void* worker);
  void Plan();
  void Main(Worker& self);
  bool AwaitStart(Errno prepared);
  void Serve(Worker& self);
  int Wait(Worker& self);
  bool TakeCompletions(Worker& self);
  void Fail(const char* what, int error);

  const UringWorkersOptions options_;
  const Handle handle_;
  const std::function<void()> on_idle_;
  std::vector<std::unique_ptr<Worker>> workers_;  // as Prepare leaves them
  // Set by Start, before a thread looks at them.
  int device_ = -1;
  std::function<void(int)> on_failure_;
  // Threads that have had a request in the last ten seconds.
  std::atomic<int> busy_ = 0;

  // Rank: a leaf, no other lock is taken under it.
  mutable absl::Mutex mutex_;
  Stage stage_ ABSL_GUARDED_BY(mutex_) = Stage::kPreparing;
  size_t prepared_ ABSL_GUARDED_BY(mutex_) = 0;  // threads that have said how it went
  Errno error_ ABSL_GUARDED_BY(mutex_) = kOk;
};

}  // namespace plyfs
