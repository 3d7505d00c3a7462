// layer_stack.h: opens the layers of one union and keeps them.
// Not here: the syntax of mount options (fs/mount), union semantics (fs/overlay).
// Thread safety: immutable once opened; share it freely.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/layer/id_map.h"

namespace plyfs {

class Layer;
class UpperLayer;
class WorkDir;

// What to open. Paths are relative to the current directory unless absolute; symlinks in them are followed.
struct LayerStackOptions {
  std::vector<std::string> lowers;  // topmost first, at least one
  std::string upper;                // empty: read-only union
  std::string work;                 // empty if and only if upper is
  IdMap ids;                        // mappings and squash, the same for every layer
  OverrideStat override_stat = OverrideStat::kNone;  // option xattr_permissions, for the upper
  bool volatile_upper = false;      // leave work/incompat/volatile behind; refuse to mount where it is found
  // Upper and work are read as they are, though they may be mounted elsewhere: nothing is locked, swept, tried or written.
  bool view = false;
  bool force_wh_whiteouts = false;  // FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT
};

// Why the layers could not be opened, for people: names the option and the path and says what to do.
struct MountError {
  std::string message;
};

struct LayerStack {
  std::vector<std::unique_ptr<Layer>> layers;  // [0] upper (null in a read-only union), [1…] lowers, topmost first
  UpperLayer* upper = nullptr;                 // layers[0], or null
  std::unique_ptr<WorkDir> work;               // null in a read-only union
  bool view = false;                           // nothing may be written although there is an upper
  IdMap ids;

  LayerStack();
  LayerStack(LayerStack&&) noexcept;
  LayerStack& operator=(LayerStack&&) noexcept;
  ~LayerStack();
};

// Opens every layer before the mount, checks that upper, work and lowers do not overlap and that upper and work are not in
// use by another mount (waits for up to five seconds for one that is going away), sweeps work/, and probes what the upper's
// filesystem can do (whiteout device, RENAME_WHITEOUT, RENAME_EXCHANGE, trusted. or user. marks).
// On failure returns false and fills `error`.
bool OpenLayerStack(const LayerStackOptions& options, LayerStack* stack, MountError* error);

}  // namespace plyfs
