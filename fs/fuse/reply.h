// reply.h: the one reply to one request.
// Not here: the formats of the arguments (attr_codec.h, dir_reply.h).
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "fs/base/errno.h"
#include "fs/fuse/reply_path.h"

namespace plyfs {

// Exactly one reply leaves: what was sent first counts, later calls do nothing; if nothing was
// sent, the destructor sends EIO. Each method returns how the kernel took the reply: ENOENT if it
// no longer waits for one.
class Reply {
 public:
  Reply(ReplyPath& path, uint64_t unique) : path_(path), unique_(unique) {}
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  // Success without an argument, or a failure. Values that the kernel would reject become EIO.
  Errno Error(Errno error);
  Errno Ok() { return Error(kOk); }
  Errno Bytes(std::span<const char> data);
  template <typename T>
  requires std::is_trivially_copyable_v<T> Errno Struct(const T& out) {
    return Bytes({reinterpret_cast<const char*>(&out), sizeof out});
  }
  // Two arguments, one after the other.
  Errno Bytes(std::span<const char> first, std::span<const char> second);
  // FORGET and its kind: the kernel expects no reply.
  void None() { sent_ = true; }

  bool sent() const { return sent_; }
  // What was answered: 0 or the errno.
  int result() const { return result_; }
  // When it was given to the kernel (MonotonicNs): what comes after is the client's time, which may
  // run on this CPU first. 0 if it was not.
  uint64_t sent_at() const { return sent_at_; }

 private:
  ReplyPath& path_;
  const uint64_t unique_;
  bool sent_ = false;
  int result_ = 0;
  uint64_t sent_at_ = 0;
};

}  // namespace plyfs
