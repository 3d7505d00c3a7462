// control_server.cc: see control_server.h.
#include "fs/control/control_server.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/thread.h"
#include "fs/control/conversation.h"
#include "fs/control/line_socket.h"
#include "fs/control/protocol.h"
#include "fs/layer/work_dir.h"

namespace plyfs {
namespace {

constexpr size_t kMostClients = 8;
constexpr size_t kListenStack = size_t{64} << 10;
// Enough for opening a database.
constexpr size_t kClientStack = size_t{512} << 10;
// After a refusal for want of descriptors or memory: the client is still in the queue, so the listener stays readable.
constexpr timespec kRestAfterRefusal{.tv_sec = 0, .tv_nsec = 100'000'000};

// Root, or who runs this server. The socket's mode says the same; a mode can be changed by mistake.
bool MayConnect(int connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

void Refuse(UniqueFd connection, Errno reason, const char* why) {
  LineSocket socket(std::move(connection), {.write_timeout_ms = 0});
  socket.WriteLine(ErrorLine(reason, why)).Ignore("it is closed anyway");
  socket.Flush().Ignore("it is closed anyway");
}

}  // namespace

struct ControlServer::Client {
  ControlServer& server;
  UniqueFd connection;
};

ControlServer::ControlServer(UniqueFd directory, UniqueFd listener, UniqueFd stop_event)
    : directory_(std::move(directory)), listener_(std::move(listener)), stop_event_(std::move(stop_event)) {}

Result<std::unique_ptr<ControlServer>> ControlServer::Bind(int directory) {
  UniqueFd own(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return Errno::Last();
  UniqueFd stop_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_event.valid()) return Errno::Last();
  ASSIGN_OR_RETURN(UniqueFd listener, ListenAt(own.get(), kControlSocketName));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(own), std::move(listener), std::move(stop_event)));
}

ControlServer::~ControlServer() {
  RemoveTree({.dir = directory_.get(), .name = kControlSocketName}).Ignore("the next server replaces it");
  stopping_ = true;
  const uint64_t one = 1;
  if (::write(stop_event_.get(), &one, sizeof one) < 0) {
    // Only when its count is at the limit; then it is readable anyway.
  }
  if (running_) ::pthread_join(thread_, nullptr);
  absl::MutexLock lock(&mutex_);
  // Whoever waits for a client, or for one that does not read, stops waiting.
  for (const int connection : clients_) ::shutdown(connection, SHUT_RDWR);
  while (!clients_.empty()) none_left_.Wait(&mutex_);
}

Errno ControlServer::Serve(JournalCalls& journal, ControlServerOptions options) {
  journal_ = &journal;
  options_ = std::move(options);
  RETURN_IF_ERROR(StartThread(ListenMain, this, kListenStack, &thread_));
  running_ = true;
  return kOk;
}

void* ControlServer::ListenMain(void* self) {
  static_cast<ControlServer*>(self)->Listen();
  return nullptr;
}

void ControlServer::Listen() {
  while (!stopping_.load(std::memory_order_relaxed)) {
    pollfd events[] = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                       {.fd = stop_event_.get(), .events = POLLIN, .revents = 0}};
    ::poll(events, 2, -1);
    if (events[0].revents == 0 || stopping_.load(std::memory_order_relaxed)) continue;
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.valid()) {
      Admit(std::move(connection));
    } else if (const Errno error = Errno::Last(); error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
      ::nanosleep(&kRestAfterRefusal, nullptr);
    }
  }
}

void ControlServer::Admit(UniqueFd connection) {
  if (!MayConnect(connection.get())) {
    return Refuse(std::move(connection), EACCES, "only root and the user who runs the server may use its control socket");
  }
  const int fd = connection.get();
  absl::MutexLock lock(&mutex_);
  if (clients_.size() >= kMostClients) {
    return Refuse(std::move(connection), EBUSY, "too many tools use this mount at once; try again when one has ended");
  }
  auto client = std::make_unique<Client>(Client{*this, std::move(connection)});
  const Errno error = StartThread(ClientMain, client.get(), kClientStack, nullptr);
  if (!error.ok()) return Refuse(std::move(client->connection), error, "the server could not start a thread; try again");
  static_cast<void>(client.release());  // ClientMain owns it
  clients_.insert(fd);
}

void* ControlServer::ClientMain(void* argument) {
  const std::unique_ptr<Client> client(static_cast<Client*>(argument));
  ControlServer& server = client->server;
  const int fd = client->connection.get();
  const int timeout = server.options_.client_timeout_ms;
  LineSocket socket(std::move(client->connection),
                    {.read_timeout_ms = timeout, .write_timeout_ms = timeout, .longest_line = kLongestRequest});
  Converse(socket, {.journal = *server.journal_,
                    .info = server.options_.info,
                    .session_stats = server.options_.session_stats,
                    .stopping = server.stopping_});
  // A list of millions of changes leaves an idle server as small as it was.
  ::malloc_trim(0);
  // Off the list before the socket is closed: its number may be another file's at once.
  absl::MutexLock lock(&server.mutex_);
  server.clients_.erase(fd);
  if (server.clients_.empty()) server.none_left_.Signal();
  return nullptr;
}

}  // namespace plyfs
