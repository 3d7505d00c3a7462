// workers.cc: see workers.h.
#include "fs/fuse/workers.h"

#include <absl/time/time.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <new>
#include <thread>

#include "fs/base/log.h"
#include "fs/base/thread.h"
#include "fs/fuse/monotonic.h"

namespace plyfs {
namespace {

// So many threads stay when there is nothing to do.
constexpr size_t kKeepThreads = 2;
// After so long without a request the memory of large requests goes, and then that of caches and of
// surplus threads.
constexpr int kGiveBackMs = 1'000;
constexpr int kIdleMs = 10'000;
// A tick of the watch. A request that hides behind an unexpectedly long one waits for one to two of
// these.
constexpr long kWatchNs = 4'000'000;
// Calling another thread takes some 5 to 40 us; an opcode that takes longer than this is worth it.
constexpr uint64_t kLongNs = 150'000;
// 1 as a fixed-point number.
constexpr uint32_t kWhole = 1 << 16;
// A request that was received so soon was there already.
constexpr uint64_t kQueuedNs = 3'000;
// A look at the device and a yield take about one microsecond unless another thread wanted the CPU.
constexpr uint64_t kContendedNs = 20'000;
// So many requests found queued, one after the other, are more than one client's.
constexpr unsigned kBacklog = 16;

uint32_t OpcodeOf(RequestBuffer& buffer) {
  return reinterpret_cast<const fuse_in_header*>(buffer.message().data())->opcode;
}

}  // namespace

struct Workers::Worker {
  explicit Worker(Workers& owner) : workers(owner), buffer(owner.options_.max_payload) {}

  Workers& workers;
  RequestBuffer buffer;
  RequestCounters counters;
  unsigned backlog = 0;
  bool called = false;  // guarded by workers.mutex_
  absl::CondVar wake;
};

Workers::Workers(DevTransport& transport, WorkersOptions options, Handle handle,
                 std::function<void()> on_idle)
    : transport_(transport),
      options_(options),
      handle_(std::move(handle)),
      on_idle_(std::move(on_idle)),
      stop_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      watch_timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      poll_(options.poll_us),
      cpus_(std::thread::hardware_concurrency()) {}

Workers::~Workers() = default;

int Workers::Run(const std::function<void()>& on_started) {
  {
    absl::MutexLock lock(&mutex_);
    Spawn();
    if (workers_.empty()) return EAGAIN;
  }
  on_started();
  Watch();
  AwaitEnd();
  return result_.load();
}

void Workers::Stop() {
  stopping_.store(true, std::memory_order_relaxed);
  const uint64_t one = 1;
  if (::write(stop_event_.get(), &one, sizeof one) < 0) {
    // Only when its count is at the limit; then it is readable anyway.
  }
}

void Workers::Stop(int why) {
  result_.store(why);
  Stop();
}

void Workers::ExpectFewRequests() {
  options_.max_threads = 1;
  options_.poll_us = 0;
  poll_ = PollEstimate(0);
}

size_t Workers::Collect(RequestCounters& total) const {
  absl::MutexLock lock(&mutex_);
  total.Merge(ended_);
  for (const auto& worker : workers_) total.Merge(worker->counters);
  return workers_.size();
}

// --- one thread ---------------------------------------------------------------------------------

void* Workers::ThreadMain(void* argument) {
  Worker& self = *static_cast<Worker*>(argument);
  Workers& workers = self.workers;
  workers.Main(self);
  workers.End(self);
  return nullptr;
}

void Workers::Main(Worker& self) {
  called_.store(false, std::memory_order_relaxed);  // here it is
  while (!stopping()) {
    const Result<size_t> got = Next(self);
    if (got.error() == ECANCELED) return;
    if (got.error() == EAGAIN) continue;
    if (!got.ok()) {
      // ENODEV is how an unmount ends a session.
      if (!(got.error() == ENODEV)) {
        LogError("reading a request failed with errno %d", got.error().value());
        return Stop(got.error().value());
      }
      return Stop();
    }
    const uint32_t opcode = *got >= sizeof(fuse_in_header) ? OpcodeOf(self.buffer) : 0;
    Attend(opcode, self);
    Learn(opcode, handle_(self.buffer, *got, self.counters));
  }
}

// The next request. EAGAIN: look again, and whether to stop; ECANCELED: the thread is not needed
// any more.
Result<size_t> Workers::Next(Worker& self) {
  const uint64_t start = MonotonicNs();
  if (!waiting_.exchange(true, std::memory_order_acquire)) {
    Result<size_t> got = Wait(self, start);
    waiting_.store(false, std::memory_order_release);
    self.backlog = got.ok() && MonotonicNs() - start < kQueuedNs ? self.backlog + 1 : 0;
    return got;
  }
  Result<size_t> got = transport_.Receive(self.buffer.message());
  if (got.error() == EAGAIN && !Park(self)) return Errno(ECANCELED);
  return got;
}

Result<size_t> Workers::Wait(Worker& self, uint64_t start) {
  if (poll_.WorthPolling(start) && cpu_load_.HasSpare(start)) {
    Result<size_t> got = Poll(self, start);
    if (!(got.error() == EAGAIN)) return got;
  }
  Result<size_t> got = Sleep(self);
  poll_.ObserveSlept(MonotonicNs() - start);
  return got;
}

Result<size_t> Workers::Poll(Worker& self, uint64_t start) {
  const uint64_t limit = poll_.limit_ns();
  uint64_t last = start;
  for (uint64_t now = start; now - start < limit && !stopping(); now = MonotonicNs()) {
    Result<size_t> got = transport_.Receive(self.buffer.message());
    if (!(got.error() == EAGAIN)) {
      poll_.ObservePolled(MonotonicNs() - start);
      return got;
    }
    if (now - last > kContendedNs) {
      poll_.ObserveContention(now);
      break;
    }
    last = now;
    // The client may be runnable on this very CPU.
    ::sched_yield();
  }
  return Errno(EAGAIN);
}

Result<size_t> Workers::Sleep(Worker& self) {
  bool idle_told = false;
  while (!stopping()) {
    pollfd events[] = {{.fd = transport_.fd(), .events = POLLIN, .revents = 0},
                       {.fd = stop_event_.get(), .events = POLLIN, .revents = 0}};
    const int timeout = self.buffer.grown() ? kGiveBackMs : idle_told ? -1 : kIdleMs;
    const int ready = ::poll(events, 2, timeout);
    if (ready == 0 && self.buffer.grown()) {
      self.buffer.GiveBack();
    } else if (ready == 0) {
      idle_told = true;
      on_idle_();
    } else {
      Result<size_t> got = transport_.Receive(self.buffer.message());
      if (!(got.error() == EAGAIN)) return got;
    }
  }
  return Errno(EAGAIN);
}

// Rests until called. False: the thread is not needed any more.
bool Workers::Park(Worker& self) {
  absl::MutexLock lock(&mutex_);
  self.called = false;
  parked_.push_back(&self);
  bool surplus = false;
  while (!self.called && !stopping() && !surplus) {
    const bool bounded = self.buffer.grown() || workers_.size() > kKeepThreads;
    const auto limit = absl::Milliseconds(self.buffer.grown() ? kGiveBackMs : kIdleMs);
    if (!self.wake.WaitWithTimeout(&mutex_, bounded ? limit : absl::InfiniteDuration())) continue;
    if (self.called) break;
    if (self.buffer.grown()) {
      self.buffer.GiveBack();
    } else {
      surplus = workers_.size() > kKeepThreads;
    }
  }
  std::erase(parked_, &self);
  if (self.called) called_.store(false, std::memory_order_relaxed);
  return !stopping() && !surplus;
}

void Workers::End(Worker& self) {
  absl::MutexLock lock(&mutex_);
  ended_.Merge(self.counters);
  std::erase_if(workers_, [&](const auto& worker) { return worker.get() == &self; });
  if (workers_.empty()) none_left_.Signal();
}

// --- who attends to the device ------------------------------------------------------------------

// A request was received and will be handled now: makes sure that the next one does not wait for it
// too long.
void Workers::Attend(uint32_t opcode, Worker& self) {
  received_.fetch_add(1, std::memory_order_relaxed);
  if (options_.max_threads == 1 || waiting_.load(std::memory_order_relaxed)) return;
  const bool takes_long = opcode < long_share_.size() &&
                          long_share_[opcode].load(std::memory_order_relaxed) > kWhole / 2;
  // One fast client alone is also found queued: it runs on while our reply to it returns. So look
  // whether there is one more behind the request in hand.
  if (takes_long) {
    CallAnother(Reason::kLongHandling);
  } else if (self.backlog >= kBacklog && transport_.Pending()) {
    self.backlog = 0;
    CallAnother(Reason::kCrowd);
  } else {
    ArmWatch();
  }
}

// One handling that was preempted says nothing, so times are not averaged; what counts is how many
// are long.
void Workers::Learn(uint32_t opcode, uint64_t nanoseconds) {
  if (opcode >= long_share_.size()) return;
  const uint32_t share = long_share_[opcode].load(std::memory_order_relaxed);
  if (share == 0 && nanoseconds <= kLongNs) return;
  const uint32_t sample = nanoseconds > kLongNs ? kWhole : 0;
  long_share_[opcode].store(share - share / 4 + sample / 4, std::memory_order_relaxed);
}

void Workers::CallAnother(Reason reason) {
  if (called_.exchange(true, std::memory_order_relaxed)) return;
  absl::MutexLock lock(&mutex_);
  // More threads than half of the CPUs only take the CPUs from the clients, if no handling waits
  // for anything.
  const bool useful =
      reason == Reason::kLongHandling || 2 * (workers_.size() - parked_.size()) < cpus_;
  if (!useful) {
    called_.store(false, std::memory_order_relaxed);
  } else if (!parked_.empty()) {
    Worker* const other = parked_.back();
    parked_.pop_back();
    other->called = true;
    other->wake.Signal();
  } else if (workers_.size() < options_.max_threads) {
    Spawn();
  } else {
    called_.store(false, std::memory_order_relaxed);
  }
}

void Workers::Spawn() {
  Errno error = ENOMEM;
  try {
    workers_.push_back(std::make_unique<Worker>(*this));
    error = StartThread(ThreadMain, workers_.back().get(), kSmallStack);
    if (!error.ok()) workers_.pop_back();
  } catch (const std::bad_alloc&) {
    // Fewer threads do too.
  }
  if (error.ok()) return;
  // Once: whoever lacks threads lacks them at every request.
  if (!spawn_failed_) {
    LogWarning("cannot start one more thread (errno %d); going on with %zu", error.value(),
               workers_.size());
  }
  spawn_failed_ = true;
  called_.store(false, std::memory_order_relaxed);
}

void Workers::ArmWatch() {
  if (watch_armed_.load(std::memory_order_relaxed)) return;
  if (watch_armed_.exchange(true, std::memory_order_relaxed)) return;
  const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kWatchNs}};
  ::timerfd_settime(watch_timer_.get(), 0, &once, nullptr);
}

// The thread that called Run: sleeps, unless the watch is armed, until the session stops.
void Workers::Watch() {
  uint64_t seen = 0;
  while (!stopping()) {
    pollfd events[] = {{.fd = watch_timer_.get(), .events = POLLIN, .revents = 0},
                       {.fd = stop_event_.get(), .events = POLLIN, .revents = 0}};
    ::poll(events, 2, -1);
    uint64_t ticks;
    if (::read(watch_timer_.get(), &ticks, sizeof ticks) < 0) continue;
    watch_armed_.store(false, std::memory_order_relaxed);
    const uint64_t received = received_.load(std::memory_order_relaxed);
    // While a thread waits the watch rests; the next request arms it again.
    if (!waiting_.load(std::memory_order_relaxed)) {
      if (received == seen) CallAnother(Reason::kLongHandling);
      ArmWatch();
    }
    seen = received;
  }
}

void Workers::AwaitEnd() {
  absl::MutexLock lock(&mutex_);
  for (Worker* worker : parked_) worker->wake.Signal();
  while (!workers_.empty()) none_left_.Wait(&mutex_);
}

}  // namespace plyfs
