// signal_thread.cc: see signal_thread.h.
#include "fs/mount/signal_thread.h"

#include <signal.h>

#include <cstring>
#include <utility>

#include "fs/base/log.h"
#include "fs/base/thread.h"

namespace plyfs {
namespace {

// Wakes the thread for its end; from anybody else than the destructor it means nothing.
constexpr int kEndSignal = SIGUSR2;
// Enough for syslog(3) and for starting fusermount3.
constexpr size_t kStackBytes = size_t{128} * 1024;

sigset_t Handled() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, kEndSignal}) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

void SignalThread::Block() {
  const sigset_t set = Handled();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

SignalThread::SignalThread(Actions actions) : actions_(std::move(actions)) {
  const Errno error = StartThread(Main, this, kStackBytes, &thread_);
  running_ = error.ok();
  if (!running_) LogError("no thread for signals, only SIGKILL will end the server: %s", std::strerror(error.value()));
}

SignalThread::~SignalThread() {
  if (!running_) return;
  ending_ = true;
  ::pthread_kill(thread_, kEndSignal);
  ::pthread_join(thread_, nullptr);
}

void* SignalThread::Main(void* self) {
  const auto* thread = static_cast<SignalThread*>(self);
  const Actions& actions = thread->actions_;
  const sigset_t set = Handled();
  while (true) {
    const int signal = ::sigwaitinfo(&set, nullptr);
    if (signal < 0) continue;  // EINTR: a debugger came or went
    if (signal == SIGUSR1) {
      actions.report();
    } else if (signal != kEndSignal) {
      actions.terminate();
    } else if (thread->ending_) {
      return nullptr;
    }
  }
}

}  // namespace plyfs
