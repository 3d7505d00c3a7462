// request.cc: see request.h.
#include "fs/fuse/request.h"

#include <cstring>

namespace plyfs {

Result<Request> Request::Parse(std::span<const char> message) {
  if (message.size() < sizeof(fuse_in_header) ||
      reinterpret_cast<uintptr_t>(message.data()) % alignof(fuse_in_header) != 0) {
    return Errno(EIO);
  }
  const auto* header = reinterpret_cast<const fuse_in_header*>(message.data());
  if (header->len != message.size()) return Errno(EIO);
  return Request(header, message.subspan(sizeof(fuse_in_header)));
}

Caller Request::caller(mode_t umask) const {
  return {.uid = header_->uid,
          .gid = header_->gid,
          .pid = static_cast<pid_t>(header_->pid),
          .umask = umask & 0777};
}

Result<std::string_view> Request::TakeString() {
  const void* end = rest_.empty() ? nullptr : std::memchr(rest_.data(), '\0', rest_.size());
  if (end == nullptr) return Errno(EIO);
  const std::string_view text(rest_.data(), static_cast<const char*>(end) - rest_.data());
  rest_ = rest_.subspan(text.size() + 1);
  return text;
}

Result<Name> Request::TakeName() {
  ASSIGN_OR_RETURN(const std::string_view text, TakeString());
  return Name::Parse(text.data(), text.size());
}

Result<std::span<const char>> Request::TakeBytes(size_t size) {
  if (rest_.size() < size) return Errno(EIO);
  const std::span<const char> bytes = rest_.first(size);
  rest_ = rest_.subspan(size);
  return bytes;
}

}  // namespace plyfs
