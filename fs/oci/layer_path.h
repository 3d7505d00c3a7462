// layer_path.h: what a name in a layer's tar stands for, and whether it is safe.
// Follows OCI image-spec, layer.md ("Whiteouts").
// Thread safety: stateless.
#pragma once

#include <string>
#include <vector>

namespace plyfs {

struct LayerPath {
  enum Kind { kRoot, kObject, kWhiteout, kOpaque } kind = kRoot;
  std::string parent;  // "a/b", "" for the root: no empty, "." or ".." component, none that begins with ".wh."
  std::string name;    // kObject: the last component; kWhiteout: what is hidden
};

// "" and `path` filled, or why the name is refused: absolute, "..", a component over 255 bytes, over 4,095 bytes in all, a ".wh." that
// hides nothing, an aufs mark (".wh..wh.…"), a directory that is called like a whiteout.
std::string ParseLayerPath(const std::string& text, LayerPath* path);

// "a/b" and "c" to "a/b/c"; "" and "c" to "c".
std::string JoinPath(const std::string& parent, const std::string& name);

}  // namespace plyfs
