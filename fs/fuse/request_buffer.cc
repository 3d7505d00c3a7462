// request_buffer.cc: see request_buffer.h.
#include "fs/fuse/request_buffer.h"

#include <sys/mman.h>

#include <new>

#include "fs/fuse/kernel_abi.h"

namespace plyfs {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBeforePayload = sizeof(fuse_in_header) + sizeof(fuse_write_in);
static_assert(kBeforePayload % 8 == 0, "request.h needs alignment to 8 bytes");
static_assert(sizeof(fuse_in_header) + sizeof(fuse_read_in) <= kBeforePayload);

size_t RoundUp(size_t size) { return (size + kPage - 1) / kPage * kPage; }

}  // namespace

RequestBuffer::RequestBuffer(size_t max_payload)
    // One page more than the payload: names and xattrs of other requests, and the kernel's own
    // minimum of 8 KiB.
    : mapped_(kPage + RoundUp(max_payload) + 2 * kPage), max_payload_(max_payload) {
  void* memory = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<char*>(memory);
  // A huge page would make two mebibytes resident for every small request.
  ::madvise(base_, mapped_, MADV_NOHUGEPAGE);
}

RequestBuffer::~RequestBuffer() { ::munmap(base_, mapped_); }

std::span<char> RequestBuffer::message() {
  const size_t start = kPage - kBeforePayload;
  return {base_ + start, mapped_ - start};
}

std::span<char> RequestBuffer::payload() { return {base_ + kPage, mapped_ - kPage}; }

std::span<char> RequestBuffer::message_around(size_t head, size_t payload) {
  return {base_ + kPage - head, head + payload};
}

std::span<char> RequestBuffer::reply_data() { return {base_ + kPage, max_payload_}; }

void RequestBuffer::GiveBack() {
  ::madvise(base_ + kPage + kKeep, mapped_ - kPage - kKeep, MADV_DONTNEED);
  grown_ = false;
}

}  // namespace plyfs
