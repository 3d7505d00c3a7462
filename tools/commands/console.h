// console.h: what the subcommands print: lines on standard output, messages on standard error, names of any bytes.
// Not here: progress (progress.h).
// Thread safety: one thread, but for ShowStatusLine.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace plyfs {

enum class Spaces { kPlain, kQuoted };

// A name as one word of a line: itself, or, if it holds a control character, a `"`, a `\` or bytes that are no UTF-8 (with
// kQuoted also a space), in double quotes with \" \\ \n \t \r and \ooo (three octal digits, a byte) in it. A path of the union
// starts with `/`, so a line shows at once which form it has.
std::string QuoteName(std::string_view name, Spaces spaces = Spaces::kPlain);
void AppendQuoted(std::string_view name, std::string* out, Spaces spaces = Spaces::kPlain);

// One line on standard output. Ends the program with status 1 when it cannot be written.
void PrintLine(std::string_view line);
// Sends what was printed. Ends the program likewise.
void FlushOutput();

// "plyfs COMMAND: …" on standard error. Control characters in it are shown as `?`.
void PrintError(std::string_view message);
void PrintError(const absl::Status& status);
// The same without "plyfs COMMAND:".
void PrintNote(std::string_view message);

// On a terminal: a line that the next one replaces and that is wiped out before anything else is written to standard error; cut to
// the terminal's width. An empty one only wipes. From any thread.
void ShowStatusLine(std::string_view line);

// The name before messages: "plyfs changes".
void SetProgramName(std::string name);

}  // namespace plyfs
