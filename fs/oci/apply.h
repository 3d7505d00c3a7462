// apply.h: unpacks an OCI layer (image-spec, layer.md) into a directory in the form that overlayfs reads: an upper over which
// nothing is mounted, or a lower.
// Not here: writing a layer (layer_writer.h).
// Thread safety: one call at a time for one directory.
//
// The tar may come from anybody. No name, link or symlink in it reaches anything outside of the directory: every call takes a
// directory descriptor and one component. Marks of an overlay cannot be forged: such attributes are stored escaped, as a user's
// own, and those that would forge owners are refused.
#pragma once

#include <cstdint>

#include "fs/oci/layer_types.h"

namespace plyfs {

// How names are hidden: a device 0:0 where the directory's filesystem has them, else a file ".wh.NAME"; or always the file
// (FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT).
enum class WhiteoutChoice { kDeviceIfPossible, kFile };

struct ApplyOptions {
  WhiteoutChoice whiteouts = WhiteoutChoice::kDeviceIfPossible;
  OnLayerProgress progress;  // may be empty
  // May be empty: owners, devices or attributes that could not be kept because the caller may not set them; one warning a kind.
  OnLayerWarning warning;
};

struct ApplySummary {
  uint64_t entries = 0;    // in the tar
  uint64_t whiteouts = 0;  // of them; opaque directories included
  uint64_t bytes = 0;      // content of regular files
};

// Unpacks `layer`, a tar that is plain or compressed with gzip or zstd (found out from its first bytes; it may be a pipe), into
// the open directory `directory`. What is there already stays unless the tar replaces it; a whiteout replaces what is there.
// Entries may come in any order (but a hard link after its target), and without their parents, which are then made as plain
// directories (the caller's, mode 0755); of several with one name the last one counts. A whiteout hides what is in layers below,
// never what the same layer brings, whichever comes first.
//
// Fails at the first entry that is not safe or not known, naming it: absolute names, "..", a path through something that is no
// directory, a hard link to what is not there, a `.wh.` that names nothing, attributes that Linux cannot hold. What has been
// unpacked until then stays. Fails at once, with nothing done, if a mount uses the directory as its upper. Runs of zeros become
// holes.
bool ApplyLayer(int layer, int directory, const ApplyOptions& options, ApplySummary* summary, LayerError* error);

}  // namespace plyfs
