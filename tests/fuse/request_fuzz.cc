// request_fuzz.cc: a libFuzzer target: any bytes as a request, against a real Overlay over
// temporary directories. Not here: the random messages that every test run tries
// (malformed_test.cc). Thread safety: one thread.
#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <memory>

#include "tests/fuse/dispatch_fixture.h"

namespace {

// No request may fill the disk of the machine that runs this.
void LimitFiles() {
  const rlimit limit{.rlim_cur = 64 << 20, .rlim_max = 64 << 20};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ::signal(SIGXFSZ, SIG_IGN);
}

plyfs::DispatchFixture& Server() {
  // RocksDB and its static objects, which come with the first database, are there before the union is, so they are gone after it.
  static const auto server = [] {
    LimitFiles();
    auto fixture = std::make_unique<plyfs::DispatchFixture>();
    fixture->Init();
    EXPECT_TRUE(fixture->overlay().Checkpoints().ok());
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
