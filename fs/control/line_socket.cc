// line_socket.cc: see line_socket.h.
#include "fs/control/line_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "fs/layer/work_dir.h"

namespace plyfs {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
constexpr size_t kFlushBytes = size_t{64} << 10;
// Clients that wait to be accepted.
constexpr int kBacklog = 16;

int64_t NowMs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

Result<sockaddr_un> AddressOf(int directory, const char* name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int length = std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
  if (static_cast<size_t>(length) >= sizeof address.sun_path) return Errno(ENAMETOOLONG);
  return address;
}

}  // namespace

LineSocket::LineSocket(UniqueFd socket, const Options& options) : socket_(std::move(socket)), options_(options) {}

Errno LineSocket::WaitFor(short events, int timeout_ms) const {
  pollfd entry{.fd = socket_.get(), .events = events, .revents = 0};
  const int ready = ::poll(&entry, 1, timeout_ms);
  if (ready < 0) return Errno::Last();
  return ready == 0 ? ETIMEDOUT : kOk;
}

Result<std::string_view> LineSocket::ReadLine() {
  std::optional<int64_t> deadline;
  for (;;) {
    const size_t end = received_.find('\n', searched_);
    if (end != std::string::npos) {
      const std::string_view line = std::string_view(received_).substr(begin_, end - begin_);
      begin_ = searched_ = end + 1;
      return line;
    }
    if (!deadline) deadline = NowMs() + options_.read_timeout_ms;
    received_.erase(0, begin_);
    begin_ = 0;
    searched_ = received_.size();
    if (searched_ > options_.longest_line) return Errno(EMSGSIZE);
    const int64_t left = options_.read_timeout_ms == kForever ? kForever : std::max<int64_t>(0, *deadline - NowMs());
    const Errno waited = WaitFor(POLLIN, static_cast<int>(left));
    if (waited == EINTR) continue;
    RETURN_IF_ERROR(waited);
    received_.resize(searched_ + kReadBytes);
    const ssize_t got = ::recv(socket_.get(), received_.data() + searched_, kReadBytes, MSG_DONTWAIT);
    const Errno error = Errno::Of(got);
    received_.resize(searched_ + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0 || error == ECONNRESET) return Errno(ENODATA);
    if (!error.ok() && !(error == EAGAIN || error == EINTR)) return error;
  }
}

Errno LineSocket::WriteLine(std::string_view line) {
  pending_ += line;
  pending_ += '\n';
  return pending_.size() >= kFlushBytes ? Flush() : write_error_;
}

Errno LineSocket::Flush() {
  size_t sent = 0;
  while (sent < pending_.size() && write_error_.ok()) {
    const ssize_t put = ::send(socket_.get(), pending_.data() + sent, pending_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      sent += static_cast<size_t>(put);
      continue;
    }
    const Errno error = Errno::Last();
    if (error == EINTR) continue;
    write_error_ = error == EAGAIN ? WaitFor(POLLOUT, options_.write_timeout_ms) : error;
    if (write_error_ == EINTR) write_error_ = kOk;
  }
  pending_.clear();
  return write_error_;
}

bool LineSocket::Readable() const { return begin_ < received_.size() || WaitFor(POLLIN, 0).ok(); }

Result<UniqueFd> ListenAt(int directory, const char* name) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(directory, name));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Errno::Last();
  // bind(2) gives the file the mode that the socket has.
  if (::fchmod(socket.get(), 0600) != 0) return Errno::Last();
  RETURN_IF_ERROR(RemoveTree({.dir = directory, .name = name}));
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Errno::Last();
  if (::listen(socket.get(), kBacklog) != 0) return Errno::Last();
  return socket;
}

Result<UniqueFd> ConnectAt(int directory, const char* name) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(directory, name));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Errno::Last();
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Errno::Last();
  return socket;
}

}  // namespace plyfs
