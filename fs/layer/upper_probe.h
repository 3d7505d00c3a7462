// upper_probe.h: finds out what the upper's filesystem can do by doing it once in the work directory.
// Thread safety: stateless; run before the mount.
#pragma once

#include "fs/layer/upper_layer.h"

namespace plyfs {

struct UpperProbeOptions {
  bool force_wh_whiteouts = false;
};

// EROFS, EACCES, ENOSPC, … if nothing at all can be written there.
Result<UpperCapabilities> ProbeUpper(WorkDir& work, const UpperProbeOptions& options);

}  // namespace plyfs
