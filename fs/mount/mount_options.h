// mount_options.h: the command line of plyfs, read into the options of the parts that obey them.
// Not here: how -o texts fall apart (option_text.h), opening or mounting anything. docs/options.md
// tells users what each does. Thread safety: pure functions and value types.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fs/fuse/session.h"
#include "fs/layer/layer_stack.h"
#include "fs/overlay/config.h"

namespace plyfs {

enum class Action { kMount, kHelp, kVersion };

// What mount(2) is asked for.
struct KernelMountOptions {
  std::string mountpoint;   // as given; relative to the current directory unless absolute
  unsigned long flags = 0;  // MS_*
  bool allow_other =
      false;  // users other than the one who mounts get in; permission bits are checked either way
  std::string context;  // SELinux label of every file; empty: none
};

struct MountOptions {
  Action action = Action::kMount;
  bool foreground = false;
  bool debug = false;
  LayerStackOptions layers;
  OverlayConfig overlay;  // its layers are still empty
  SessionOptions session;
  KernelMountOptions mount;
  std::vector<std::string> warnings;  // to be shown to the user; the mount goes on
};

// What the defaults depend on besides the arguments.
struct MountEnvironment {
  bool euid_is_root = false;          // also inside a user namespace
  bool disable_ovl_whiteout = false;  // FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT is set

  static MountEnvironment OfProcess();
};

// Reads `arguments` (without argv[0]). Nothing unknown is an error: it becomes a warning. On a
// value that cannot be obeyed, or when something indispensable is missing, returns null and fills
// `error` with a sentence that names the option.
std::unique_ptr<MountOptions> ParseCommandLine(std::span<const char* const> arguments,
                                               const MountEnvironment& environment,
                                               std::string* error);

}  // namespace plyfs
