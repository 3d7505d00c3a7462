// console.cc: see console.h.
#include "tools/commands/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "fs/control/json_path.h"
#include "tools/commands/commands.h"

namespace plyfs {
namespace {

std::string program_name = "plyfs";

// Guards what is on the terminal's last line.
std::mutex terminal_mutex;
bool status_line_shown = false;
// Back to the start of the line, and wipe it.
constexpr const char* kWipe = "\r\033[K";

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// C1 control characters, U+0080 to U+009F, are two bytes in UTF-8; terminals obey them too.
bool HoldsC1Control(std::string_view name) {
  for (size_t i = 0; i + 1 < name.size(); ++i) {
    if (name[i] == '\xc2' && static_cast<unsigned char>(name[i + 1]) < 0xa0) return true;
  }
  return false;
}

std::string EscapeByte(char c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    default:
      break;
  }
  if (!IsControl(c) && static_cast<unsigned char>(c) < 0x80) return std::string(1, c);
  char text[8];
  std::snprintf(text, sizeof text, "\\%03o", static_cast<unsigned char>(c));
  return text;
}

[[noreturn]] void OutputFailed() {
  std::fprintf(stderr, "%s: cannot write to standard output: %s\n", program_name.c_str(), std::strerror(errno));
  std::_Exit(kToolFailed);
}

}  // namespace

void AppendQuoted(std::string_view name, std::string* out, Spaces spaces) {
  const bool has_space = spaces == Spaces::kQuoted && name.find(' ') != std::string_view::npos;
  // Most names.
  if (!has_space && IsPlain(name)) {
    *out += name;
    return;
  }
  // What is UTF-8 stays legible, unless a terminal would obey it.
  const bool legible = IsUtf8(name) && !HoldsC1Control(name);
  const bool is_special = std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80 && !IsPlain(c); });
  if (legible && !has_space && !is_special) {
    *out += name;
    return;
  }
  *out += '"';
  for (const char c : name) {
    if (legible && static_cast<unsigned char>(c) >= 0x80) {
      *out += c;
    } else {
      *out += EscapeByte(c);
    }
  }
  *out += '"';
}

std::string QuoteName(std::string_view name, Spaces spaces) {
  std::string quoted;
  AppendQuoted(name, &quoted, spaces);
  return quoted;
}

void PrintLine(std::string_view line) {
  if (::fwrite_unlocked(line.data(), 1, line.size(), stdout) != line.size() || ::putc_unlocked('\n', stdout) == EOF) OutputFailed();
}

void FlushOutput() {
  if (std::fflush(stdout) != 0) OutputFailed();
}

void PrintNote(std::string_view message) {
  std::string text(message);
  std::replace_if(text.begin(), text.end(), IsControl, '?');
  for (size_t i = 0; HoldsC1Control(text) && i + 1 < text.size(); ++i) {
    if (HoldsC1Control(text.substr(i, 2))) text.replace(i, 2, "?");
  }
  ShowStatusLine("");
  std::fprintf(stderr, "%s\n", text.c_str());
}

void ShowStatusLine(std::string_view line) {
  const std::lock_guard lock(terminal_mutex);
  if (status_line_shown) std::fputs(kWipe, stderr);
  winsize size{};
  // In the last column some terminals go on to the next line.
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) line = line.substr(0, size.ws_col - 1);
  std::fwrite(line.data(), 1, line.size(), stderr);
  status_line_shown = !line.empty();
}

void PrintError(std::string_view message) { PrintNote(program_name + ": " + std::string(message)); }

void PrintError(const absl::Status& status) {
  const auto message = status.message();
  PrintError(std::string_view(message.data(), message.size()));
}

void SetProgramName(std::string name) { program_name = std::move(name); }

}  // namespace plyfs
