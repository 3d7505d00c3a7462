// stall_guard.h: a watcher that ends a run in which no operation has ended for a minute.
// Not here: the limit of a whole gtest case (harness/hang_guard.h).
// Thread safety: Beat() may be called from any thread.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace plyfs::model {

/// While it lives, Beat() must be called at least once a minute; else the FUSE connection of
/// `device` is aborted, so that every call that hangs in it returns ENOTCONN.
class StallGuard {
 public:
  explicit StallGuard(dev_t device);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  /// `what` begins now; it is printed if it does not end.
  void Beat(const std::string& what);

 private:
  void Watch();

  const dev_t device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;   // guarded by mutex_
  long beats_ = 0;     // guarded by mutex_
  bool stop_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace plyfs::model
