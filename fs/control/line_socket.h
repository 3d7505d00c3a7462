// line_socket.h: a connected unix stream socket that carries lines, and the address of the control socket.
// Not here: what the lines say (json_codec.h).
// Thread safety: one thread.
#pragma once

#include <string>
#include <string_view>

#include "fs/base/result.h"
#include "fs/base/unique_fd.h"

namespace plyfs {

class LineSocket {
 public:
  static constexpr int kForever = -1;

  struct Options {
    int read_timeout_ms = kForever;   // for a whole line
    int write_timeout_ms = kForever;  // for the reader to take anything
    size_t longest_line = size_t{64} << 20;
  };

  LineSocket(UniqueFd socket, const Options& options);

  // The next line, without its newline; there until the next call. ENODATA: the other end has closed, the rest of a line without a newline does not count.
  // ETIMEDOUT, EMSGSIZE (longer than longest_line); others of recv(2).
  Result<std::string_view> ReadLine();
  // Adds a line; sent when enough have come together or at Flush. After an error nothing more is sent.
  Errno WriteLine(std::string_view line);
  Errno Flush();
  // The other end has closed, or has said something that we did not ask for.
  bool Readable() const;

  int fd() const { return socket_.get(); }

 private:
  Errno WaitFor(short events, int timeout_ms) const;

  const UniqueFd socket_;
  const Options options_;
  std::string received_;
  size_t begin_ = 0;     // of what ReadLine has not returned yet
  size_t searched_ = 0;  // between begin_ and this there is no newline
  std::string pending_;
  Errno write_error_;
};

// A listening socket named `name` in `directory`, for its owner only. What has that name already is replaced. A path by way of
// the descriptor, because a socket's address holds 107 bytes and a workdir's path may be longer.
Result<UniqueFd> ListenAt(int directory, const char* name);
Result<UniqueFd> ConnectAt(int directory, const char* name);

}  // namespace plyfs
