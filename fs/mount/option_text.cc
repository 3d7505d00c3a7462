// option_text.cc: see option_text.h.
#include "fs/mount/option_text.h"

#include <algorithm>

namespace plyfs {
namespace {

constexpr size_t kNone = std::string_view::npos;

// Index of the first `wanted` at or after `from` that no backslash precedes, or kNone.
size_t FindUnescaped(std::string_view text, char wanted, size_t from) {
  for (size_t i = from; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == wanted) {
      return i;
    }
  }
  return kNone;
}

bool EndsOption(std::string_view text, size_t at) { return at == text.size() || text[at] == ','; }

// `open` is the index of the `"` that starts a value; the index of the one that ends it, or kNone.
size_t FindClosingQuote(std::string_view text, size_t open) {
  for (size_t i = open + 1; (i = FindUnescaped(text, '"', i)) != kNone; ++i) {
    if (EndsOption(text, i + 1)) return i;
  }
  return kNone;
}

// The option that starts at `begin`; `end` becomes the index of the comma behind it, or the end of
// the text.
OptionText ReadOption(std::string_view text, size_t begin, size_t* end) {
  *end = std::min(FindUnescaped(text, ',', begin), text.size());
  const size_t equals = text.substr(0, *end).find('=', begin);
  if (equals == kNone) {
    const std::string all(text.substr(begin, *end - begin));
    return {.key = all, .value = std::nullopt, .written = all};
  }
  const bool starts_with_quote = equals + 1 < text.size() && text[equals + 1] == '"';
  const size_t closing = starts_with_quote ? FindClosingQuote(text, equals + 1) : kNone;
  std::string_view value = text.substr(equals + 1, *end - equals - 1);
  if (closing != kNone) {
    *end = closing + 1;
    value = text.substr(equals + 2, closing - equals - 2);
  }
  return {.key = std::string(text.substr(begin, equals - begin)),
          .value = std::string(value),
          .written = std::string(text.substr(begin, *end - begin))};
}

bool IsOctal(char c, char highest) { return c >= '0' && c <= highest; }

}  // namespace

std::vector<OptionText> SplitOptions(std::string_view text) {
  std::vector<OptionText> options;
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    OptionText option = ReadOption(text, at, &end);
    if (!option.written.empty()) options.push_back(std::move(option));
  }
  return options;
}

std::string Unescape(std::string_view raw) {
  std::string plain;
  plain.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      plain += raw[i];
    } else if (i + 3 < raw.size() && IsOctal(raw[i + 1], '3') && IsOctal(raw[i + 2], '7') &&
               IsOctal(raw[i + 3], '7')) {
      plain +=
          static_cast<char>((raw[i + 1] - '0') * 64 + (raw[i + 2] - '0') * 8 + (raw[i + 3] - '0'));
      i += 3;
    } else {
      plain += raw[++i];
    }
  }
  return plain;
}

std::optional<std::vector<std::string>> SplitLowers(std::string_view raw) {
  std::vector<std::string> lowers;
  for (size_t at = 0; at <= raw.size();) {
    const size_t end = std::min(FindUnescaped(raw, ':', at), raw.size());
    if (end > at) {
      lowers.push_back(Unescape(raw.substr(at, end - at)));
    } else if (at != 0 && end != raw.size()) {
      return std::nullopt;
    }
    at = end + 1;
  }
  return lowers;
}

}  // namespace plyfs
