// dev_transport.h: whole messages from and to /dev/fuse.
// Not here: when to wait for one (workers.h), what they mean (dispatcher.h).
// Thread safety: any thread at any time; the kernel hands each request to one reader.
#pragma once

#include <cstddef>
#include <span>

#include "fs/base/result.h"
#include "fs/base/unique_fd.h"
#include "fs/fuse/reply_path.h"

namespace plyfs {

class DevTransport final : public ReplyPath {
 public:
  // Takes the device. Sets O_NONBLOCK: waiting is done with poll(2), by one thread at a time.
  explicit DevTransport(UniqueFd device);

  // One request into `buffer`, which must hold max_write + 4096 bytes. EAGAIN when none is pending;
  // ENODEV when the filesystem is unmounted or the connection was aborted.
  Result<size_t> Receive(std::span<char> buffer);
  Errno Send(std::span<const iovec> parts) override;

  // Whether a request is queued right now.
  bool Pending() const;

  int fd() const { return device_.get(); }

 private:
  Errno SendParts(std::span<const iovec> parts);

  UniqueFd device_;
};

}  // namespace plyfs
