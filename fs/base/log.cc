// log.cc: see log.h. One write(2) a line, so that lines of several threads never mix.
#include "fs/base/log.h"

#include <syslog.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace plyfs {
namespace {

std::atomic<LogTarget> g_target = LogTarget::kStderr;
std::atomic<bool> g_debug = false;

void Emit(int priority, const char* format, va_list arguments) {
  char line[1024];
  if (g_target.load(std::memory_order_relaxed) == LogTarget::kSyslog) {
    ::vsyslog(LOG_DAEMON | priority, format, arguments);
    return;
  }
  int used = std::snprintf(line, sizeof line, "plyfs: ");
  used += std::vsnprintf(line + used, sizeof line - used - 1, format, arguments);
  if (used > static_cast<int>(sizeof line) - 2) used = sizeof line - 2;
  line[used++] = '\n';
  if (::write(STDERR_FILENO, line, used) < 0) {
    // Nobody reads stderr any more; there is nowhere to say so.
  }
}

}  // namespace

void SetLogTarget(LogTarget target) { g_target.store(target, std::memory_order_relaxed); }
void SetLogDebug(bool enabled) { g_debug.store(enabled, std::memory_order_relaxed); }
bool LogDebugEnabled() { return g_debug.load(std::memory_order_relaxed); }

#define PLYFS_DEFINE_LOG(function, priority, condition) \
  void function(const char* format, ...) {              \
    if (!(condition)) return;                           \
    va_list arguments;                                  \
    va_start(arguments, format);                        \
    Emit(priority, format, arguments);                  \
    va_end(arguments);                                  \
  }

PLYFS_DEFINE_LOG(LogError, LOG_ERR, true)
PLYFS_DEFINE_LOG(LogWarning, LOG_WARNING, true)
PLYFS_DEFINE_LOG(LogInfo, LOG_INFO, true)
PLYFS_DEFINE_LOG(LogDebug, LOG_DEBUG, LogDebugEnabled())

}  // namespace plyfs
