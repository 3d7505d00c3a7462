// progress.h: a line on the terminal that shows how far a long command is. Nothing at all when standard error is no terminal or
// the command takes less than a second.
// Thread safety: one owner.
#pragma once

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
  // `what` is what is being done: "listing the changes". `look` is asked some times a second, from another thread.
  Progress(std::string what, std::function<ProgressState()> look = nullptr);
  // Wipes the line out.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void Main();
  void Draw(int64_t seconds) const;

  const std::string what_;
  const std::function<ProgressState()> look_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;
};

// "5.0 MiB"
std::string SizeText(uint64_t bytes);

}  // namespace plyfs
