// dispatch_fixture.h: one Dispatcher, driven message by message without threads.
// Thread safety: one thread.
#pragma once

#include <gtest/gtest.h>
#include <linux/fs.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "fs/fuse/dev_transport.h"
#include "fs/fuse/dispatcher.h"
#include "tests/fuse/fake_kernel.h"
#include "tests/fuse/test_union.h"

namespace plyfs {

class DispatchFixture {
 public:
  explicit DispatchFixture(double timeout = 1)
      : transport_(kernel_.TakeDevice()),
        dispatcher_(
            union_.overlay(),
            {.capabilities = {.max_write = kMaxWrite}, .validity = Validity::FromSeconds(timeout)}),
        buffer_(kMaxWrite) {}

  static constexpr uint32_t kMaxWrite = 128 * 1024;

  // Gives the bytes to the server and returns its reply; nullopt if it sent none.
  std::optional<FakeReply> DispatchRaw(std::string_view message) {
    std::memcpy(buffer_.message().data(), message.data(), message.size());
    dispatcher_.Dispatch({buffer_.message().first(message.size()), buffer_, transport_}, counters_);
    return kernel_.Receive(0);
  }
  FakeReply Ask(uint32_t opcode, uint64_t node, const Arguments& arguments = {}) {
    unique_ += 2;
    auto reply = DispatchRaw(EncodeRequest(opcode, node, unique_, arguments.bytes()));
    EXPECT_TRUE(reply.has_value()) << "no reply to opcode " << opcode;
    if (!reply) return {.error = EPROTO};
    EXPECT_EQ(reply->unique, unique_);
    EXPECT_FALSE(kernel_.Receive(0).has_value()) << "a second reply to opcode " << opcode;
    return *reply;
  }
  void Init() { EXPECT_EQ(Ask(FUSE_INIT, 0, InitArguments()).error, 0); }
  fuse_entry_out Lookup(uint64_t parent, std::string_view name) {
    const FakeReply reply = Ask(FUSE_LOOKUP, parent, Arguments().Name(name));
    EXPECT_EQ(reply.error, 0) << name;
    return reply.error == 0 ? reply.As<fuse_entry_out>() : fuse_entry_out{};
  }
  FakeReply Read(uint32_t opcode, uint64_t node, uint64_t offset, uint32_t size) {
    fuse_read_in in{};
    in.offset = offset;
    in.size = size;
    return Ask(opcode, node, Arguments().Add(in));
  }
  FakeReply Write(uint64_t node, uint64_t offset, std::string_view data) {
    fuse_write_in in{};
    in.offset = offset;
    in.size = static_cast<uint32_t>(data.size());
    return Ask(FUSE_WRITE, node, Arguments().Add(in).Raw(data));
  }

  Overlay& overlay() { return union_.overlay(); }
  Dispatcher& dispatcher() { return dispatcher_; }
  FakeKernel& kernel() { return kernel_; }
  const RequestCounters& counters() const { return counters_; }

 private:
  TestUnion union_;
  FakeKernel kernel_;
  DevTransport transport_;
  Dispatcher dispatcher_;
  RequestBuffer buffer_;
  RequestCounters counters_;
  uint64_t unique_ = 0;
};

}  // namespace plyfs
