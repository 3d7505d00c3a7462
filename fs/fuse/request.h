// request.h: one request of the kernel, decoded with bounds checks.
// Not here: what the request means (dispatcher.h), reading it from the device (dev_transport.h).
// Thread safety: one thread; it borrows the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fs/base/ids.h"
#include "fs/base/name.h"
#include "fs/base/result.h"
#include "fs/fuse/kernel_abi.h"
#include "fs/overlay/types.h"

namespace plyfs {

// A cursor over one message. Each Take consumes what it returns. EIO when the message is shorter
// than its opcode needs: the kernel never sends such a one, so no meaning is guessed.
class Request {
 public:
  // EIO if `message` is no whole request. It must be aligned to 8 bytes and outlive the Request.
  static Result<Request> Parse(std::span<const char> message);

  uint32_t opcode() const { return header_->opcode; }
  uint64_t unique() const { return header_->unique; }
  NodeId node() const { return NodeId{header_->nodeid}; }
  // `umask` comes with the requests that create something.
  Caller caller(mode_t umask = 0) const;

  // The next fixed-size argument.
  template <typename T>
  Result<const T*> Take() {
    static_assert(alignof(T) <= 8);
    // A fixed argument behind a name would be unaligned; no opcode has one.
    if (rest_.size() < sizeof(T) || reinterpret_cast<uintptr_t>(rest_.data()) % alignof(T) != 0) {
      return Errno(EIO);
    }
    const T* argument = reinterpret_cast<const T*>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return argument;
  }
  // The next NUL-terminated argument as one path component. Besides EIO the errors of Name::Parse.
  Result<Name> TakeName();
  // The next NUL-terminated argument: a symlink's target, an xattr's name.
  Result<std::string_view> TakeString();
  // Exactly `size` bytes.
  Result<std::span<const char>> TakeBytes(size_t size);

 private:
  Request(const fuse_in_header* header, std::span<const char> rest)
      : header_(header), rest_(rest) {}

  const fuse_in_header* header_;
  std::span<const char> rest_;
};

}  // namespace plyfs
