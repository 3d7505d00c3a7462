// reply.cc: see reply.h.
#include "fs/fuse/reply.h"

#include <array>

#include "fs/fuse/kernel_abi.h"
#include "fs/fuse/monotonic.h"

namespace plyfs {
namespace {

// The kernel refuses a reply whose error is larger; the request would hang.
constexpr int kLargestErrno = 511;

iovec Part(std::span<const char> bytes) {
  return {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
}

}  // namespace

Reply::~Reply() {
  if (!sent_) Error(EIO).Ignore("nobody is left to tell");
}

Errno Reply::Error(Errno error) {
  if (sent_) return kOk;
  sent_ = true;
  sent_at_ = MonotonicNs();
  result_ = error.value() < 0 || error.value() > kLargestErrno ? EIO : error.value();
  const fuse_out_header header{.len = sizeof header, .error = -result_, .unique = unique_};
  const std::array parts{
      iovec{.iov_base = const_cast<fuse_out_header*>(&header), .iov_len = sizeof header}};
  return path_.Send(parts);
}

Errno Reply::Bytes(std::span<const char> data) { return Bytes(data, {}); }

Errno Reply::Bytes(std::span<const char> first, std::span<const char> second) {
  if (sent_) return kOk;
  sent_ = true;
  sent_at_ = MonotonicNs();
  const size_t length = sizeof(fuse_out_header) + first.size() + second.size();
  const fuse_out_header header{.len = static_cast<uint32_t>(length), .error = 0, .unique = unique_};
  const std::array parts{
      iovec{.iov_base = const_cast<fuse_out_header*>(&header), .iov_len = sizeof header},
      Part(first), Part(second)};
  return path_.Send(std::span(parts).first(second.empty() ? 2 : 3));
}

}  // namespace plyfs
