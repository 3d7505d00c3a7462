// request_buffer.h: the memory into which one thread reads requests and builds large replies.
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <span>

namespace plyfs {

// Anonymous pages, mapped once and touched only as far as requests need them. The start is placed
// so that the payload of a WRITE begins at a page: it goes to the file from where it is.
class RequestBuffer {
 public:
  // For payloads of up to `max_payload` bytes. Throws std::bad_alloc.
  explicit RequestBuffer(size_t max_payload);
  ~RequestBuffer();
  RequestBuffer(const RequestBuffer&) = delete;
  RequestBuffer& operator=(const RequestBuffer&) = delete;

  // Where a request is read to.
  std::span<char> message();
  // Where a transport that receives the payload by itself puts it: at least 8 KiB, and max_payload.
  std::span<char> payload();
  // A message whose last `payload` bytes are the first ones there. `head` bytes lie before them, a
  // page at most.
  std::span<char> message_around(size_t head, size_t payload);
  // Room for the data of a reply, max_payload bytes. It overlaps what follows the fixed argument of
  // READ and READDIR, so such a request must be decoded before it is filled.
  std::span<char> reply_data();

  // Notes that the first `bytes` of the payload area were touched, so that GiveBack knows.
  void Touched(size_t bytes) {
    if (bytes > kKeep) grown_ = true;
  }
  bool grown() const { return grown_; }
  // Returns the pages of large payloads to the kernel.
  void GiveBack();

 private:
  static constexpr size_t kKeep = size_t{16} * 1024;

  char* base_;
  size_t mapped_;
  size_t max_payload_;
  bool grown_ = false;
};

}  // namespace plyfs
