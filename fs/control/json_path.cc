// json_path.cc: see json_path.h.
#include "fs/control/json_path.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"

namespace plyfs {
namespace {

constexpr const char* kBytes = "path_bytes";

// The length of the UTF-8 sequence at the start of `text`; 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto at = [&](size_t i) -> uint32_t { return static_cast<unsigned char>(text[i]); };
  if (at(0) < 0x80) return 1;
  const size_t length = at(0) >= 0xf0 ? 4 : at(0) >= 0xe0 ? 3 : 2;
  if (at(0) < 0xc2 || at(0) > 0xf4 || text.size() < length) return 0;
  uint32_t code = at(0) & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3f);
  }
  if (length == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return 0;
  if (length == 4 && (code < 0x10000 || code > 0x10ffff)) return 0;
  return length;
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = SequenceLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

bool IsPlain(std::string_view text) {
  bool is_plain = true;
  for (const char c : text) is_plain &= IsPlain(c);
  return is_plain;
}

void AppendJsonPath(std::string_view path, std::string* out) {
  if (!IsPlain(path)) {
    *out += PathToJson(path).dump();
    return;
  }
  *out += '"';
  *out += path;
  *out += '"';
}

nlohmann::json PathToJson(std::string_view path) {
  if (IsUtf8(path)) return std::string(path);
  return {{kBytes, absl::Base64Escape(std::string(path))}};
}

std::optional<std::string> PathFromJson(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return std::nullopt;
  const auto bytes = value.find(kBytes);
  std::string path;
  if (bytes == value.end() || !bytes->is_string() ||
      !absl::Base64Unescape(bytes->get_ref<const std::string&>(), &path)) {
    return std::nullopt;
  }
  return path;
}

}  // namespace plyfs
