// control_server.h: the control socket WORKDIR/plyfs/control, through which tools talk to a live mount. docs/control.md is the
// protocol.
// Not here: what the requests mean (journal_calls.h), the tools' end (target.h).
// Thread safety: Bind, Serve and the destructor by one thread.
//
// One thread sleeps until a client comes; each client has a thread of its own for as long as it is connected, at most eight
// of them. So a client that hangs keeps nobody else waiting, and an idle server is one sleeping thread.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/result.h"
#include "fs/base/unique_fd.h"
#include "fs/control/journal_calls.h"
#include "fs/control/union_info.h"

namespace plyfs {

struct ControlServerOptions {
  UnionInfo info;
  // Requests of the session; called by any thread.
  std::function<void(StatsReport*)> session_stats;
  // How long a client may take for the next request, and to take a reply.
  int client_timeout_ms = 10'000;
};

class ControlServer {
 public:
  // Makes the socket "control" in `directory` (WORKDIR/plyfs), in the place of one that a killed server left behind. The caller
  // holds the lock on the upper, so no live server is using that. Clients may connect from now on; they are served after Serve.
  static Result<std::unique_ptr<ControlServer>> Bind(int directory);
  // Removes the socket, hangs up on the clients and waits for requests in work.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Starts the thread. `journal` outlives the server.
  Errno Serve(JournalCalls& journal, ControlServerOptions options);

 private:
  struct Client;

  ControlServer(UniqueFd directory, UniqueFd listener, UniqueFd stop_event);
  static void* ListenMain(void* self);
  static void* ClientMain(void* client);
  void Listen();
  void Admit(UniqueFd connection);

  const UniqueFd directory_;
  const UniqueFd listener_;
  const UniqueFd stop_event_;
  JournalCalls* journal_ = nullptr;
  ControlServerOptions options_;
  std::atomic<bool> stopping_ = false;
  pthread_t thread_{};
  bool running_ = false;

  // Rank: a leaf, no other lock is taken under it.
  absl::Mutex mutex_;
  absl::CondVar none_left_;
  std::set<int> clients_ ABSL_GUARDED_BY(mutex_);  // their connections, still open
};

}  // namespace plyfs
