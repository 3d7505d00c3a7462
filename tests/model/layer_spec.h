// layer_spec.h: one layer as a flat list of entries: data that can be printed, written to disk,
// and made smaller entry by entry.
// Not here: what several layers show together (layer_union.h), random choice (generate.h).
// Thread safety: values only; Write* functions touch the disk only.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/model/inode_tree.h"

namespace plyfs::model {

/// How a whiteout or an opaque mark is stored.
enum class MarkForm {
  kOverlay,      // char 0:0; trusted.overlay.opaque
  kOverlayUser,  // char 0:0; user.overlay.opaque
  kFuse,         // .wh.NAME; user.fuseoverlayfs.opaque
  kOci,          // .wh.NAME; .wh..wh..opq
  kXattr,        // empty file with trusted.overlay.whiteout in a directory whose opaque is x
};

struct Extent {
  off_t offset = 0;
  off_t length = 0;
  uint32_t fill = 0;
};

struct LayerEntry {
  std::string path;  // "" is the layer's root, always the first entry
  bool whiteout = false;
  bool opaque = false;
  MarkForm form = MarkForm::kOverlay;
  std::string link_to;  // a hard link: path of an earlier entry of this layer
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t rdev = 0;
  std::string target;
  off_t size = 0;  // of a regular file; what no extent covers is a hole
  std::vector<Extent> extents;
  std::map<std::string, std::string> xattrs;
  timespec mtime = {};
};

using LayerSpec = std::vector<LayerEntry>;

/// Topmost first; the first one is the upper.
using LayerStackSpec = std::vector<LayerSpec>;

/// The content that size and extents describe.
std::string ContentOf(const LayerEntry& entry);

/// Removes entries whose parent directory or link target is not there any more.
LayerSpec DropOrphans(const LayerSpec& layer);

/// Writes the layer into the existing directory. Throws std::system_error.
void WriteLayer(const LayerSpec& layer, const std::string& directory);

/// Writes a tree that the model holds, for a target that has no layers. Throws std::system_error.
void WriteTree(const InodePtr& root, const std::string& directory);

/// Shell commands that build the layer in the current directory.
std::string ToShell(const LayerSpec& layer);

}  // namespace plyfs::model
