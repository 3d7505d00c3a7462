// fake_kernel.h: the kernel's end of the FUSE protocol for tests, over a socket pair in the place
// of /dev/fuse. Not here: what the answers should be (the tests). Thread safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "fs/base/unique_fd.h"
#include "fs/fuse/kernel_abi.h"

namespace plyfs {

// The bytes of a request after its header, put together argument by argument.
class Arguments {
 public:
  template <typename T>
  requires(std::is_trivially_copyable_v<T>&& std::is_class_v<T>) Arguments& Add(const T& argument) {
    bytes_.append(reinterpret_cast<const char*>(&argument), sizeof argument);
    return *this;
  }
  // A name with its NUL.
  Arguments& Name(std::string_view name) {
    bytes_.append(name).push_back('\0');
    return *this;
  }
  Arguments& Raw(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

struct FakeReply {
  int error = 0;  // 0 or the errno, positive
  uint64_t unique = 0;
  std::string data;

  template <typename T>
  T As() const {
    T value{};
    EXPECT_GE(data.size(), sizeof value);
    std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
    return value;
  }
};

// A whole request as the device would give it.
std::string EncodeRequest(uint32_t opcode, uint64_t node, uint64_t unique,
                          std::string_view arguments);

class FakeKernel {
 public:
  FakeKernel();

  // The server's end; call once.
  UniqueFd TakeDevice() { return std::move(device_); }

  // Sends a request and returns its number.
  uint64_t Send(uint32_t opcode, uint64_t node, const Arguments& arguments = {});
  void SendRaw(std::string_view message);
  // The next reply; nullopt if none comes within `timeout_ms`.
  std::optional<FakeReply> Receive(int timeout_ms = 10'000);
  // Send and Receive; fails the test when no reply comes or it belongs to another request.
  FakeReply Ask(uint32_t opcode, uint64_t node, const Arguments& arguments = {});
  // INIT with everything on offer.
  fuse_init_out Init();
  // What an unmount looks like to the server.
  void Hangup() { kernel_.reset(); }

 private:
  UniqueFd kernel_;
  UniqueFd device_;
  uint64_t last_unique_ = 0;
};

// INIT arguments that offer `flags`.
Arguments InitArguments(uint64_t flags = ~uint64_t{0}, uint32_t minor = 45);

}  // namespace plyfs
