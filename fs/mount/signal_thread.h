// signal_thread.h: the one thread that receives this process's signals.
// Not here: what is done about them (mount_main.cc).
// Thread safety: the actions run on the signal thread, one at a time.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>

namespace plyfs {

class SignalThread {
 public:
  struct Actions {
    std::function<void()> terminate;  // SIGTERM, SIGINT, SIGHUP
    std::function<void()> report;     // SIGUSR1
  };

  // Blocks those signals in this thread and all that it starts from now on; they wait until there
  // is a SignalThread. Ignores SIGPIPE and SIGXFSZ, whose system calls then fail with EPIPE and
  // EFBIG instead of ending the server.
  static void Block();

  // The thread sleeps in sigwaitinfo(2): an idle server has no wakeup of its own.
  explicit SignalThread(Actions actions);
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  static void* Main(void* self);

  const Actions actions_;
  std::atomic<bool> ending_ = false;
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace plyfs
