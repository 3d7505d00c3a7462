// uring_entry.h: one place in an io_uring queue: the memory in which a request comes and its reply
// goes.
// Not here: rings and threads (uring_workers.h).
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "fs/fuse/kernel_abi.h"
#include "fs/fuse/reply_path.h"
#include "fs/fuse/request_buffer.h"

namespace plyfs {

// The kernel writes the parts of a request into the areas that were registered. Received() makes
// the one message of them that /dev/fuse would have given; Send takes a reply apart again. The
// payload is never copied if the reply is built in buffer().reply_data().
class UringEntry final : public ReplyPath {
 public:
  // An entry for requests of CPU `queue`. Throws std::bad_alloc.
  UringEntry(uint16_t queue, size_t max_payload);

  uint16_t queue() const { return queue_; }
  RequestBuffer& buffer() { return buffer_; }
  // The header and the payload, as the REGISTER command names them.
  const iovec* areas() const { return areas_; }

  // The request that has arrived. Until Send is called its reply is EIO.
  std::span<const char> Received();
  // Puts the reply into the entry; the owner's next submission gives it to the kernel.
  Errno Send(std::span<const iovec> parts) override;
  // The number that this submission must carry.
  uint64_t commit_id() const { return commit_id_; }

 private:
  void PutHeader(const fuse_out_header& header, size_t payload);

  const uint16_t queue_;
  RequestBuffer buffer_;
  // The kernel writes it while we wait.
  const std::unique_ptr<abi::UringHeader> header_;
  const iovec areas_[2];
  uint64_t commit_id_ = 0;
};

}  // namespace plyfs
