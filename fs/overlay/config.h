// config.h: what an Overlay is made of.
// Not here: the syntax of options (fs/mount).
// Thread safety: value types, handed over once.
#pragma once

#include "fs/layer/layer_stack.h"

namespace plyfs {

enum class RedirectDir { kOff, kOn };

// One options struct for the union. The layers are open already: a mountpoint may equal a lower, so nothing is reached by
// path after the mount.
struct OverlayConfig {
  LayerStack layers;
  RedirectDir redirect_dir = RedirectDir::kOff;
  bool fsync = true;          // false: fsync(2) by users is answered without doing it (option fsync=0)
  bool volatile_upper = false;  // option volatile: no sync at all, also not in copy-up
  bool xattrs = true;         // false: option noxattrs, user xattrs answer EOPNOTSUPP
  bool acl = true;            // false: option noacl, system.posix_acl_* answer EOPNOTSUPP
  bool journal = true;        // false: option journal=off, changes are not recorded and numbers not kept over a remount
  bool static_nlink = false;  // option static_nlink: directories show nlink 1 always
  bool ino32 = false;         // option ino32_t: st_ino folded into 32 bits
};

}  // namespace plyfs
