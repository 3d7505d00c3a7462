// json_path.h: paths in JSON. A path may hold any bytes but NUL, a JSON string only UTF-8: so a path is a string where that
// can be, else {"path_bytes": BASE64}.
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace plyfs {

// As RFC 3629 has it: no surrogates, no overlong forms.
bool IsUtf8(std::string_view bytes);

// A printable ASCII character that neither JSON nor a quoted name must escape.
constexpr bool IsPlain(char c) { return (static_cast<signed char>(c) >= 0x20) & (c != '"') & (c != '\\') & (c != 0x7f); }
// All of them are. For millions of names: it looks at many bytes at once, having no way out before the end.
bool IsPlain(std::string_view text);

// The same as PathToJson(path).dump(), several times as fast: a list of changes can have millions of paths.
void AppendJsonPath(std::string_view path, std::string* out);
nlohmann::json PathToJson(std::string_view path);
// nullopt if `value` is no path.
std::optional<std::string> PathFromJson(const nlohmann::json& value);

}  // namespace plyfs
