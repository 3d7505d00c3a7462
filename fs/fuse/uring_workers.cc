// uring_workers.cc: see uring_workers.h.
#include "fs/fuse/uring_workers.h"

#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "fs/base/log.h"
#include "fs/base/thread.h"
#include "fs/fuse/uring_entry.h"

namespace plyfs {
namespace {

// How many requests of one CPU may take long without the next one waiting for them; fewer where
// there are many CPUs.
constexpr unsigned kMostPerCpu = 4;
constexpr unsigned kLeastPerCpu = 2;
constexpr unsigned kThreadsInAll = 64;
// After so long without a request the memory of large requests goes, and then that of caches.
constexpr int kGiveBackSeconds = 1;
constexpr int kIdleSeconds = 10;
constexpr char kPossibleCpus[] = "/sys/devices/system/cpu/possible";
// What a completion belongs to: the entry with this index, or
constexpr uint64_t kStopEvent = ~uint64_t{0};

// The CPUs whose clients a group of threads serves, and whether it is bound to them.
struct CpuGroup {
  std::vector<uint16_t> cpus;
  bool bound = false;
};

// Each CPU on which we may run is a group. All others, those that are not there yet among them,
// make up one more: the kernel wants to see an entry for each.
std::vector<CpuGroup> GroupsOf(unsigned threads) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  const auto possible = static_cast<unsigned>(std::clamp(::get_nprocs_conf(), 1, int{CPU_SETSIZE}));
  const bool enough = threads == 0 || threads >= static_cast<unsigned>(CPU_COUNT(&allowed));
  std::vector<CpuGroup> groups;
  CpuGroup rest;
  for (unsigned cpu = 0; cpu < possible; ++cpu) {
    const auto id = static_cast<uint16_t>(cpu);
    if (enough && CPU_ISSET(cpu, &allowed)) {
      groups.push_back({.cpus = {id}, .bound = true});
    } else {
      rest.cpus.push_back(id);
    }
  }
  if (!rest.cpus.empty()) groups.push_back(std::move(rest));
  return groups;
}

bool IsEndOfConnection(int error) {
  return error == ENOTCONN || error == ECONNABORTED || error == ECANCELED;
}

}  // namespace

struct UringWorkers::Worker {
  Worker(UringWorkers& owner, const CpuGroup& group) : workers(owner) {
    for (const uint16_t cpu : group.cpus) {
      entries.push_back(std::make_unique<UringEntry>(cpu, owner.options_.max_payload));
    }
    if (group.bound) bound_to = group.cpus.front();
    live = entries.size();
  }

  bool grown() const {
    return std::any_of(entries.begin(), entries.end(),
                       [](const auto& entry) { return entry->buffer().grown(); });
  }

  // A submission for the entry, or for the stop event; there is always room for one of each.
  io_uring_sqe* Submission(uint64_t user_data) {
    io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring);
    std::memset(sqe, 0, 2 * sizeof *sqe);
    sqe->user_data = user_data;
    return sqe;
  }
  void Command(abi::UringCommand command, size_t index) {
    const UringEntry& entry = *entries[index];
    io_uring_sqe* const sqe = Submission(index);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = workers.device_;
    sqe->cmd_op = static_cast<uint32_t>(command);
    abi::UringCmdReq request{.commit_id = entry.commit_id(), .qid = entry.queue()};
    if (command == abi::UringCommand::kRegister) {
      request.commit_id = 0;
      sqe->addr = reinterpret_cast<uint64_t>(entry.areas());
      sqe->len = 2;
    }
    std::memcpy(sqe->cmd, &request, sizeof request);
  }

  UringWorkers& workers;
  pthread_t thread{};
  int bound_to = -1;  // a CPU
  io_uring ring{};
  std::vector<std::unique_ptr<UringEntry>> entries;
  size_t live = 0;    // entries that still get requests
  bool busy = false;  // has had a request in the last ten seconds
  RequestCounters counters;
};

UringWorkers::UringWorkers(UringWorkersOptions options, Handle handle,
                           std::function<void()> on_idle)
    : options_(options), handle_(std::move(handle)), on_idle_(std::move(on_idle)) {}

UringWorkers::~UringWorkers() { End(); }

void UringWorkers::Plan() {
  const std::vector<CpuGroup> groups = GroupsOf(options_.threads);
  const auto count = static_cast<unsigned>(groups.size());
  const unsigned each = options_.threads == 0
                            ? std::clamp(kThreadsInAll / count, kLeastPerCpu, kMostPerCpu)
                            : std::max(1u, options_.threads / count);
  for (const CpuGroup& group : groups) {
    for (unsigned i = 0; i < each; ++i) workers_.push_back(std::make_unique<Worker>(*this, group));
  }
}

Errno UringWorkers::Prepare() {
  // Where it cannot be read get_nprocs_conf(3) guesses, and a queue too few stops everything.
  Errno error = Errno::Of(::access(kPossibleCpus, R_OK));
  try {
    if (error.ok()) Plan();
  } catch (const std::bad_alloc&) {
    error = ENOMEM;
  }
  size_t started = 0;
  while (error.ok() && started < workers_.size()) {
    Worker& worker = *workers_[started];
    error = StartThread(ThreadMain, &worker, kSmallStack, &worker.thread);
    if (error.ok()) ++started;
  }
  workers_.resize(started);
  absl::MutexLock lock(&mutex_);
  const auto all_prepared = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return prepared_ == workers_.size();
  };
  mutex_.Await(absl::Condition(&all_prepared));
  return error.ok() ? error_ : error;
}

void UringWorkers::Start(int device, std::function<void(int)> on_failure) {
  device_ = device;
  on_failure_ = std::move(on_failure);
  absl::MutexLock lock(&mutex_);
  stage_ = Stage::kServing;
}

void UringWorkers::End() {
  {
    absl::MutexLock lock(&mutex_);
    stage_ = Stage::kEnding;
  }
  for (const auto& worker : workers_) {
    if (worker->thread != pthread_t{}) ::pthread_join(worker->thread, nullptr);
    worker->thread = {};
  }
}

size_t UringWorkers::Collect(RequestCounters& total) const {
  for (const auto& worker : workers_) total.Merge(worker->counters);
  absl::MutexLock lock(&mutex_);
  return stage_ == Stage::kServing ? workers_.size() : 0;
}

// --- one thread ---------------------------------------------------------------------------------

void* UringWorkers::ThreadMain(void* argument) {
  Worker& self = *static_cast<Worker*>(argument);
  self.workers.Main(self);
  return nullptr;
}

void UringWorkers::Main(Worker& self) {
  if (self.bound_to >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<unsigned>(self.bound_to), &cpus);
    // Refused when the CPU has just gone; then the scheduler finds another one.
    ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
  }
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SQE128;
  const auto depth = static_cast<unsigned>(std::bit_ceil(self.entries.size() + 1));
  const Errno error = -::io_uring_queue_init_params(depth, &self.ring, &parameters);
  if (AwaitStart(error)) Serve(self);
  if (error.ok()) ::io_uring_queue_exit(&self.ring);
}

// Tells Prepare how it went. False: the thread is not needed.
bool UringWorkers::AwaitStart(Errno prepared) {
  absl::MutexLock lock(&mutex_);
  ++prepared_;
  if (!prepared.ok()) error_ = prepared;
  const auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stage_ != Stage::kPreparing;
  };
  mutex_.Await(absl::Condition(&decided));
  return stage_ == Stage::kServing && prepared.ok();
}

void UringWorkers::Serve(Worker& self) {
  ::io_uring_prep_poll_add(self.Submission(kStopEvent), options_.stop_fd, POLLIN);
  for (size_t i = 0; i < self.entries.size(); ++i) {
    self.Command(abi::UringCommand::kRegister, i);
  }
  for (;;) {
    const int error = Wait(self);
    if (error != 0) return Fail("waiting for requests", error);
    if (!TakeCompletions(self)) return;
  }
}

// Submits what is prepared and waits for a completion. 0 or an errno.
int UringWorkers::Wait(Worker& self) {
  io_uring_cqe* first;
  for (;;) {
    int result = 0;
    const bool grown = self.grown();
    if (grown || self.busy) {
      __kernel_timespec limit{.tv_sec = grown ? kGiveBackSeconds : kIdleSeconds, .tv_nsec = 0};
      result = ::io_uring_submit_and_wait_timeout(&self.ring, &first, 1, &limit, nullptr);
    } else {
      result = ::io_uring_submit_and_wait(&self.ring, 1);
    }
    if (result >= 0) return 0;
    if (result == -ETIME && grown) {
      for (const auto& entry : self.entries) entry->buffer().GiveBack();
    } else if (result == -ETIME) {
      self.busy = false;
      if (busy_.fetch_sub(1, std::memory_order_relaxed) == 1) on_idle_();
    } else if (result != -EINTR) {
      return -result;
    }
  }
}

// Handles the requests that have come and prepares the submission of their replies. False: no more
// will come.
bool UringWorkers::TakeCompletions(Worker& self) {
  io_uring_cqe* cqe;
  bool stopping = false;
  while (::io_uring_peek_cqe(&self.ring, &cqe) == 0) {
    const uint64_t index = cqe->user_data;
    const int error = -cqe->res;
    ::io_uring_cqe_seen(&self.ring, cqe);
    if (index == kStopEvent) {
      stopping = true;
    } else if (error != 0) {
      --self.live;
      if (!IsEndOfConnection(error)) Fail("io_uring command", error);
    } else {
      if (!self.busy) busy_.fetch_add(1, std::memory_order_relaxed);
      self.busy = true;
      UringEntry& entry = *self.entries[index];
      handle_({entry.Received(), entry.buffer(), entry}, self.counters);
      self.Command(abi::UringCommand::kCommitAndFetch, index);
    }
  }
  if (!stopping) return self.live > 0;
  // The replies that are prepared must leave.
  ::io_uring_submit(&self.ring);
  return false;
}

void UringWorkers::Fail(const char* what, int error) {
  LogError("%s failed with errno %d", what, error);
  on_failure_(error);
}

}  // namespace plyfs
