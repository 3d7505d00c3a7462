// layer_types.h: what writing and unpacking an OCI layer have in common: errors for people, progress, compression.
// Thread safety: value types.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace plyfs {

// Why it could not be done, for people; names the entry.
struct LayerError {
  std::string message;
};

enum class LayerCompression { kNone, kGzip, kZstd };

// So far. `bytes` counts the content of regular files, holes included, before compression.
struct LayerProgress {
  uint64_t entries = 0;
  uint64_t bytes = 0;
};

// Called on the thread that works, after each entry and at least every MiB of content; not throttled, so it must be cheap.
using OnLayerProgress = std::function<void(const LayerProgress&)>;
// One line, without a newline, that the user should see; the work goes on. Names in it are escaped for a terminal.
using OnLayerWarning = std::function<void(const std::string&)>;

}  // namespace plyfs
