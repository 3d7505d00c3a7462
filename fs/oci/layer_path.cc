// layer_path.cc: see layer_path.h.
#include "fs/oci/layer_path.h"

#include <climits>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "fs/layer/whiteout.h"

namespace plyfs {
namespace {

// The last component of a path that has a ".wh." in front.
std::string ParseMark(const std::string& mark, LayerPath* path) {
  if (mark == kWhOpaque) {
    path->kind = LayerPath::kOpaque;
    return "";
  }
  const std::string hidden = mark.substr(kWhPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") return "a whiteout of nothing";
  if (HasWhPrefix(hidden)) return "an aufs mark, or a whiteout of a whiteout";
  path->kind = LayerPath::kWhiteout;
  path->name = hidden;
  return "";
}

}  // namespace

std::string ParseLayerPath(const std::string& text, LayerPath* path) {
  *path = {};
  if (text.empty()) return "an empty name";
  if (text.front() == '/') return "an absolute name";
  if (text.size() >= PATH_MAX) return "a name over 4,095 bytes";
  std::string name;  // of the component before, not yet known to be the last one
  for (const absl::string_view component : absl::StrSplit(text, '/')) {
    if (component.empty() || component == ".") continue;
    if (component == "..") return "a name with '..'";
    if (HasWhPrefix(name)) return "a name below a whiteout";
    if (!name.empty()) path->parent = JoinPath(path->parent, name);
    name = std::string(component);
    // A whiteout hides a name of up to 255 bytes, so its own is longer.
    const size_t longest = NAME_MAX + (HasWhPrefix(name) ? kWhPrefix.size() : 0);
    if (name.size() > longest) return "a component over 255 bytes";
  }
  if (name.empty()) return "";
  if (HasWhPrefix(name)) return ParseMark(name, path);
  path->kind = LayerPath::kObject;
  path->name = std::move(name);
  return "";
}

std::string JoinPath(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
}

}  // namespace plyfs
