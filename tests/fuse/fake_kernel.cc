// fake_kernel.cc: see fake_kernel.h.
#include "tests/fuse/fake_kernel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace plyfs {

std::string EncodeRequest(uint32_t opcode, uint64_t node, uint64_t unique,
                          std::string_view arguments) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + arguments.size());
  header.opcode = opcode;
  header.unique = unique;
  header.nodeid = node;
  header.uid = ::geteuid();
  header.gid = ::getegid();
  header.pid = static_cast<uint32_t>(::getpid());
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  return message.append(arguments);
}

Arguments InitArguments(uint64_t flags, uint32_t minor) {
  fuse_init_in in{};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = minor;
  in.max_readahead = 128 * 1024;
  in.flags = static_cast<uint32_t>(flags);
  in.flags2 = static_cast<uint32_t>(flags >> 32);
  return Arguments().Add(in);
}

FakeKernel::FakeKernel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  kernel_ = UniqueFd(ends[0]);
  device_ = UniqueFd(ends[1]);
}

uint64_t FakeKernel::Send(uint32_t opcode, uint64_t node, const Arguments& arguments) {
  last_unique_ += 2;
  SendRaw(EncodeRequest(opcode, node, last_unique_, arguments.bytes()));
  return last_unique_;
}

void FakeKernel::SendRaw(std::string_view message) {
  const ssize_t sent = ::write(kernel_.get(), message.data(), message.size());
  EXPECT_EQ(sent, static_cast<ssize_t>(message.size()));
}

std::optional<FakeReply> FakeKernel::Receive(int timeout_ms) {
  pollfd event{.fd = kernel_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&event, 1, timeout_ms) <= 0) return std::nullopt;
  std::vector<char> buffer(256 * 1024);
  const ssize_t length = ::read(kernel_.get(), buffer.data(), buffer.size());
  fuse_out_header header;
  if (length < static_cast<ssize_t>(sizeof header)) return std::nullopt;
  std::memcpy(&header, buffer.data(), sizeof header);
  // The kernel refuses a reply that breaks one of these.
  EXPECT_EQ(header.len, static_cast<uint32_t>(length));
  EXPECT_LE(header.error, 0);
  EXPECT_GT(header.error, -512);
  if (header.error != 0) {
    EXPECT_EQ(length, static_cast<ssize_t>(sizeof header));
  }
  return FakeReply{-header.error, header.unique,
                   std::string(buffer.data() + sizeof header, length - sizeof header)};
}

FakeReply FakeKernel::Ask(uint32_t opcode, uint64_t node, const Arguments& arguments) {
  const uint64_t unique = Send(opcode, node, arguments);
  std::optional<FakeReply> reply = Receive();
  EXPECT_TRUE(reply.has_value()) << "no reply to opcode " << opcode;
  if (!reply) return {.error = EPROTO};
  EXPECT_EQ(reply->unique, unique);
  return *reply;
}

fuse_init_out FakeKernel::Init() {
  const FakeReply reply = Ask(FUSE_INIT, 0, InitArguments());
  EXPECT_EQ(reply.error, 0);
  EXPECT_EQ(reply.data.size(), sizeof(fuse_init_out));
  return reply.As<fuse_init_out>();
}

}  // namespace plyfs
