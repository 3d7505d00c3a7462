// stall_guard.cc: see stall_guard.h.

#include "tests/model/stall_guard.h"

#include <stdio.h>

#include <chrono>

#include "tests/harness/hang_guard.h"

namespace plyfs::model {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);

}  // namespace

StallGuard::StallGuard(dev_t device) : device_(device), thread_([this] { Watch(); }) {}

StallGuard::~StallGuard() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StallGuard::Beat(const std::string& what) {
  const std::lock_guard<std::mutex> lock(mutex_);
  what_ = what;
  ++beats_;
}

void StallGuard::Watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    const long before = beats_;
    if (changed_.wait_for(lock, kLimit, [this] { return stop_; })) return;
    if (beats_ != before) continue;
    fprintf(stderr, "model: no operation ended for a minute; the last one begun: %s\n",
            what_.c_str());
    test::AbortFuseConnection(device_);
  }
}

}  // namespace plyfs::model
