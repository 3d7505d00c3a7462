// option_text.h: how the text after -o falls apart: commas, quotes and backslashes.
// Not here: what an option means (mount_options.h).
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plyfs {

// One option as it was written. The value keeps its backslashes, because lowerdir must still tell
// `\:` from `:`.
struct OptionText {
  std::string key;
  std::optional<std::string> value;  // what follows the first `=`, without its double quotes
  std::string written;               // the whole option, for messages
};

// Splits `text` at commas. `\,` separates nothing, nor does a comma in a value that is enclosed in
// double quotes
// (`context="system_u:object_r:container_file_t:s0:c1,c2"`). A quote is one only as the first
// character of a value and only if another one closes the value; anywhere else it is a character
// like any other, since paths may hold it. Empty options are left out.
std::vector<OptionText> SplitOptions(std::string_view text);

// Takes the backslashes off as libfuse does: `\ooo` (three octal digits, up to 377) is that byte,
// `\x` is x, a backslash at the end is itself.
std::string Unescape(std::string_view raw);

// The directories of lowerdir, topmost first: split at colons that no backslash precedes, then
// unescaped. nullopt if one in the middle is empty (`a::b`, which kernel overlayfs reads as a
// data-only layer); a colon at either end is forgiven.
std::optional<std::vector<std::string>> SplitLowers(std::string_view raw);

}  // namespace plyfs
