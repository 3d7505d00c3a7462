// layer_writer.h: writes a list of changes as an OCI layer (image-spec, layer.md): a tar that `docker load`, podman, umoci and
// GNU tar unpack.
// Not here: what has changed (Overlay::Changes), unpacking (apply.h).
// Thread safety: one call at a time for one descriptor; the union may be used by others meanwhile.
//
// The same changes give the same bytes, whatever the order in which they were made and the time of the call: nothing of the
// host, the process or the clock goes into the tar. Compression is single-threaded, so its bytes depend only on the version of
// the compression library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/oci/layer_types.h"
#include "fs/overlay/changes.h"

namespace plyfs {

class Overlay;

struct LayerWriterOptions {
  LayerCompression compression = LayerCompression::kNone;
  // SOURCE_DATE_EPOCH, in seconds: later times become this one, and all whiteouts have it
  // (reproducible-builds.org/specs/source-date-epoch).
  std::optional<int64_t> source_date_epoch;
  OnLayerProgress progress;  // may be empty
  OnLayerWarning warning;    // may be empty: sockets left out, a file that changed while it was read
};

struct LayerSummary {
  std::string diff_id;         // "sha256:HEX" of the tar before compression
  std::string digest;          // "sha256:HEX" of what was written; equal to diff_id without compression
  uint64_t tar_bytes = 0;      // before compression
  uint64_t written_bytes = 0;
  uint64_t entries = 0;        // in the tar, whiteouts included
  uint64_t changed_files = 0;  // were changed while they were read; each had a warning
};

// Writes `changes` (sorted as Overlay::Changes returns them) to the descriptor `out`, which may be a pipe. Content and
// attributes are read from `content`, which shows what is there now: the union itself or a read-only one over the same layers.
//
// The root is written as well ("./"), as the parent of every change. Directories that are new as a whole (`replaced`, or renamed with what they hold) are written with all that they hold.
// A file that grows or shrinks while it is read is cut or filled with zeros to the size that was announced: the tar is valid,
// `changed_files` and a warning tell of it. An object that is gone since the list was made is written as a whiteout.
// On failure returns false and fills `error`; what has been written to `out` then is to be thrown away.
bool WriteLayer(Overlay& content, const std::vector<Change>& changes, int out, const LayerWriterOptions& options,
                LayerSummary* summary, LayerError* error);

}  // namespace plyfs
