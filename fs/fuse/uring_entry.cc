// uring_entry.cc: see uring_entry.h.
#include "fs/fuse/uring_entry.h"

#include <cerrno>
#include <cstring>

namespace plyfs {

UringEntry::UringEntry(uint16_t queue, size_t max_payload)
    : queue_(queue),
      buffer_(max_payload),
      header_(std::make_unique<abi::UringHeader>()),
      areas_{{.iov_base = header_.get(), .iov_len = sizeof(abi::UringHeader)},
             {.iov_base = buffer_.payload().data(), .iov_len = buffer_.payload().size()}} {}

std::span<const char> UringEntry::Received() {
  fuse_in_header in;
  std::memcpy(&in, header_->in_out, sizeof in);
  const size_t payload = header_->ring_ent_in_out.payload_sz;
  commit_id_ = header_->ring_ent_in_out.commit_id;
  PutHeader({.len = sizeof(fuse_out_header), .error = -EIO, .unique = in.unique}, 0);
  // The kernel does not say how long the fixed argument is: it is what the rest leaves.
  const size_t fixed = in.len - sizeof in - payload;
  if (in.len < sizeof in + payload || fixed > sizeof header_->op_in ||
      payload > buffer_.payload().size()) {
    return {};
  }
  const std::span<char> message = buffer_.message_around(sizeof in + fixed, payload);
  std::memcpy(message.data(), &in, sizeof in);
  std::memcpy(message.data() + sizeof in, header_->op_in, fixed);
  return message;
}

Errno UringEntry::Send(std::span<const iovec> parts) {
  const std::span<char> payload = buffer_.payload();
  size_t used = 0;
  for (const iovec& part : parts.subspan(1)) {
    if (part.iov_len > payload.size() - used) return Errno(EINVAL);  // the reply stays EIO
    if (part.iov_base != payload.data() + used) {
      std::memmove(payload.data() + used, part.iov_base, part.iov_len);
    }
    used += part.iov_len;
  }
  PutHeader(*static_cast<const fuse_out_header*>(parts[0].iov_base), used);
  return kOk;
}

void UringEntry::PutHeader(const fuse_out_header& header, size_t payload) {
  std::memcpy(header_->in_out, &header, sizeof header);
  header_->ring_ent_in_out.payload_sz = static_cast<uint32_t>(payload);
}

}  // namespace plyfs
