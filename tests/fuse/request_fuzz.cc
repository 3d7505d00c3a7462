// request_fuzz.cc: a libFuzzer target: any bytes as a request, against a real Overlay over
// temporary directories. Not here: the random messages that every test run tries
// (malformed_test.cc). Thread safety: one thread.
#include <cstdint>
#include <memory>

#include "tests/fuse/dispatch_fixture.h"

namespace {

plyfs::DispatchFixture& Server() {
  static const auto server = [] {
    auto fixture = std::make_unique<plyfs::DispatchFixture>();
    fixture->Init();
    return fixture;
  }();
  return *server;
}

}  // namespace

// The first byte is the opcode, the second the node, the rest the arguments.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static uint64_t unique = 1000;
  if (size < 2 || size > plyfs::DispatchFixture::kMaxWrite) return 0;
  const uint32_t opcode = data[0];
  if (opcode == FUSE_INIT) return 0;
  const std::string_view arguments(reinterpret_cast<const char*>(data) + 2, size - 2);
  Server().DispatchRaw(plyfs::EncodeRequest(opcode, data[1], unique += 2, arguments));
  return 0;
}
