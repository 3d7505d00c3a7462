// tar_entry.cc: see tar_entry.h.
#include "fs/oci/tar_entry.h"

#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace plyfs {
namespace {

constexpr size_t kShownBytes = 300;

// The escape that begins at `at`, decoded, or 0.
char EscapeAt(const std::string& text, size_t at) {
  const std::string_view here = std::string_view(text).substr(at, 3);
  return here == "%3D" ? '=' : here == "%25" ? '%' : '\0';
}

}  // namespace

std::string EncodeXattrKeyword(const std::string& name) {
  std::string keyword;
  for (size_t at = 0; at < name.size(); ++at) {
    if (name[at] == '=') {
      keyword += "%3D";
    } else if (EscapeAt(name, at) != '\0') {
      keyword += "%25";
    } else {
      keyword += name[at];
    }
  }
  return keyword;
}

std::string DecodeXattrKeyword(const std::string& keyword) {
  std::string name;
  for (size_t at = 0; at < keyword.size(); ++at) {
    const char decoded = EscapeAt(keyword, at);
    name += decoded != '\0' ? decoded : keyword[at];
    if (decoded != '\0') at += 2;
  }
  return name;
}

std::string Printable(const std::string& path) {
  if (path.size() <= kShownBytes) return absl::CHexEscape(path);
  const absl::string_view view(path);
  return absl::StrCat(absl::CHexEscape(view.substr(0, kShownBytes / 2)), "...",
                      absl::CHexEscape(view.substr(view.size() - kShownBytes / 2)));
}

}  // namespace plyfs
