// progress.cc: see progress.h.
#include "tools/commands/progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tools/commands/console.h"

namespace plyfs {
namespace {

using std::chrono::steady_clock;
constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr size_t kBarWidth = 30;

std::string Bar(const ProgressState& state) {
  const uint64_t done = std::min(state.done, state.total);
  const double share = static_cast<double>(done) / static_cast<double>(state.total);
  const auto filled = static_cast<size_t>(share * kBarWidth);
  char percent[16];
  std::snprintf(percent, sizeof percent, " %3.0f %%", share * 100);
  return " [" + std::string(filled, '#') + std::string(kBarWidth - filled, ' ') + "]" + percent;
}

}  // namespace

Progress::Progress(std::string what, std::function<ProgressState()> look, std::chrono::milliseconds patience)
    : what_(std::move(what)), look_(std::move(look)), patience_(patience) {
  if (IsWanted()) thread_ = std::thread([this] { Main(); });
}

bool Progress::IsWanted() { return ::isatty(STDERR_FILENO) != 0; }

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Progress::Main() {
  const auto start = steady_clock::now();
  std::unique_lock lock(mutex_);
  if (wake_.wait_for(lock, patience_, [&] { return ended_; })) return;
  do {
    Draw(std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - start).count());
  } while (!wake_.wait_for(lock, kRedraw, [&] { return ended_; }));
  ShowStatusLine("");
}

void Progress::Draw(int64_t seconds) const {
  const ProgressState state = look_ ? look_() : ProgressState();
  std::string line = what_;
  if (state.total > 0) line += Bar(state);
  if (!state.counted.empty()) line += ", " + state.counted;
  line += ", " + std::to_string(seconds) + " s";
  ShowStatusLine(line);
}

std::string SizeText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", size, kUnits[unit]);
  return text;
}

}  // namespace plyfs
