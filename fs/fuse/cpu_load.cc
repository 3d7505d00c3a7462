// cpu_load.cc: see cpu_load.h.
#include "fs/fuse/cpu_load.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <thread>

namespace plyfs {
namespace {

constexpr uint64_t kFreshNs = 20'000'000;

}  // namespace

CpuLoad::CpuLoad()
    : loadavg_(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC)),
      cpus_(std::thread::hardware_concurrency()) {}

bool CpuLoad::HasSpare(uint64_t now_ns) {
  if (now_ns - looked_ns_ >= kFreshNs) {
    looked_ns_ = now_ns;
    spare_ = Look();
  }
  return spare_;
}

bool CpuLoad::Look() const {
  char text[80];
  const ssize_t length = ::pread(loadavg_.get(), text, sizeof text, 0);
  if (length <= 0) return true;
  // We are one of them; so may be the client, whose reply has just been sent.
  return RunnableIn({text, static_cast<size_t>(length)}) <= cpus_;
}

unsigned CpuLoad::RunnableIn(std::string_view loadavg) {
  const size_t slash = loadavg.find('/');
  if (slash == std::string_view::npos) return 0;
  const size_t start = loadavg.find_last_of(' ', slash) + 1;
  unsigned runnable = 0;
  std::from_chars(loadavg.data() + start, loadavg.data() + slash, runnable);
  return runnable;
}

}  // namespace plyfs
