// progress.h: a line on the terminal that shows how far a long command is. Nothing at all when standard error is no terminal or
// the work takes less than a second.
// Not here: writing on the terminal (console.h).
// Thread safety: one owner.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace plyfs {

struct ProgressState {
  uint64_t done = 0;
  uint64_t total = 0;   // 0: not known, no bar
  std::string counted;  // "1234 entries, 5.0 MiB"; may be empty
};

class Progress {
 public:
  // `what` is what is being done: "listing the changes". `look` is asked some times a second, from another thread, beginning when
  // the work has taken `patience`.
  explicit Progress(std::string what, std::function<ProgressState()> look = nullptr,
                    std::chrono::milliseconds patience = std::chrono::seconds(1));
  // Wipes the line out.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Standard error is a terminal.
  static bool IsWanted();

 private:
  void Main();
  void Draw(int64_t seconds) const;

  const std::string what_;
  const std::function<ProgressState()> look_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;
};

// "5.0 MiB"
std::string SizeText(uint64_t bytes);

}  // namespace plyfs
