// log.h: one line of text to whoever watches the server: stderr in the foreground, syslog(3) as a daemon.
// Thread safety: any thread.
#pragma once

namespace plyfs {

enum class LogTarget { kStderr, kSyslog };

void SetLogTarget(LogTarget target);
// Whether LogDebug prints (option debug). Off until set.
void SetLogDebug(bool enabled);
bool LogDebugEnabled();

// printf(3) formats without a newline at the end.
[[gnu::format(printf, 1, 2)]] void LogError(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void LogWarning(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void LogInfo(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void LogDebug(const char* format, ...);

}  // namespace plyfs
