// workers.h: the threads that receive requests: who waits for the next one, who helps, who rests.
// Not here: what a request means (dispatcher.h), the device (dev_transport.h).
// Thread safety: Run is called once; Stop and Collect from any thread (Stop also from a signal
// handler).
//
// At most one thread waits for the device, polling first and sleeping later; the others handle
// requests or are parked. So a request never wakes a second thread in vain, and a client that makes
// one call after the other is served by one thread without a single context switch inside the
// server.
//
// While the thread that waited handles its request nobody attends to the device. That costs nothing
// if the handling is short, so another thread is called only when
//   - the opcode usually takes long,
//   - requests are found queued again and again (several clients at once), or
//   - the watch, a timer that runs only while requests come, finds the device unattended for two of
//   its ticks.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fs/base/unique_fd.h"
#include "fs/fuse/counters.h"
#include "fs/fuse/cpu_load.h"
#include "fs/fuse/dev_transport.h"
#include "fs/fuse/poll_estimate.h"
#include "fs/fuse/request_buffer.h"

namespace plyfs {

struct WorkersOptions {
  unsigned max_threads = 8;  // at least 1
  unsigned poll_us = 50;     // 0: sleep at once
  size_t max_payload = 1 << 20;
};

class Workers {
 public:
  // Handles one request and returns how many nanoseconds that took.
  using Handle = std::function<uint64_t(RequestBuffer&, size_t length, RequestCounters&)>;

  // `on_idle` is called once when no request has come for ten seconds, by one of the threads.
  Workers(DevTransport& transport, WorkersOptions options, Handle handle,
          std::function<void()> on_idle);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Starts the first thread, calls `on_started`, returns when all threads have ended: 0 after an
  // unmount or Stop, else the errno of the device.
  int Run(const std::function<void()>& on_started);
  void Stop();
  // The same because of an errno, which Run returns.
  void Stop(int why);
  // Before Run: what comes here is FORGET and the like, for which nobody waits. One thread, no
  // polling.
  void ExpectFewRequests();
  // Readable when Stop was called.
  int stop_fd() const { return stop_event_.get(); }

  // Adds the counters of all threads, also of those that have ended; how many threads there are.
  size_t Collect(RequestCounters& total) const;

 private:
  struct Worker;
  enum class Reason { kLongHandling, kCrowd };

  static void* ThreadMain(void* worker);
  void Main(Worker& self);
  Result<size_t> Next(Worker& self);
  Result<size_t> Wait(Worker& self, uint64_t start);
  Result<size_t> Poll(Worker& self, uint64_t start);
  Result<size_t> Sleep(Worker& self);
  bool Park(Worker& self);
  void Attend(uint32_t opcode, Worker& self);
  void CallAnother(Reason reason);
  void Spawn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(Worker& self);
  void Learn(uint32_t opcode, uint64_t nanoseconds);
  void ArmWatch();
  void Watch();
  void AwaitEnd();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  DevTransport& transport_;
  WorkersOptions options_;  // unchanged after Run was called
  const Handle handle_;
  const std::function<void()> on_idle_;
  const UniqueFd stop_event_;
  const UniqueFd watch_timer_;

  // Whether a thread waits for the device. It alone uses poll_ and cpu_load_.
  std::atomic<bool> waiting_ = false;
  PollEstimate poll_;
  CpuLoad cpu_load_;

  const size_t cpus_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> result_ = 0;
  std::atomic<bool> watch_armed_ = false;
  std::atomic<uint64_t> received_ = 0;
  // A thread was called and has not come yet.
  std::atomic<bool> called_ = false;
  // Moving mean of the share of long handlings of each opcode, in kWhole parts. Lost updates do no
  // harm.
  std::array<std::atomic<uint32_t>, abi::kOpcodeEnd> long_share_{};

  // Rank: a leaf, no other lock is taken under it.
  mutable absl::Mutex mutex_;
  absl::CondVar none_left_;
  std::vector<std::unique_ptr<Worker>> workers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> parked_ ABSL_GUARDED_BY(mutex_);  // the last to park is called first
  bool spawn_failed_ ABSL_GUARDED_BY(mutex_) = false;
  RequestCounters ended_ ABSL_GUARDED_BY(mutex_);  // of threads that have ended
};

}  // namespace plyfs
