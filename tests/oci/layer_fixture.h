// layer_fixture.h: unions over directories on disk, what has changed in them by walking the upper, and layers written and applied.
// Not here: tars that no writer makes (raw_tar.h), what is expected (the *_test.cc files).
// Thread safety: one thread. Errors are gtest failures.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/oci/apply.h"
#include "fs/oci/layer_writer.h"
#include "fs/overlay/overlay.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {

// A read-only union, topmost first.
std::unique_ptr<Overlay> OpenUnion(const std::vector<std::string>& layers);

// What `plyfs changes` would say of an upper over one lower, found by a full walk of both. Knows devices 0:0 and the opaque mark.
std::vector<Change> ChangesOf(const std::string& upper, const std::string& lower);

struct Written {
  bool ok = false;
  std::string bytes;
  LayerSummary summary;
  std::string error;
  std::vector<std::string> warnings;
};
Written Write(Overlay& content, const std::vector<Change>& changes, LayerWriterOptions options = {});
// The layer that makes `upper` of nothing, or of `lower`.
Written WriteUpper(const std::string& upper, const std::string& lower, LayerWriterOptions options = {});

struct Applied {
  bool ok = false;
  ApplySummary summary;
  std::string error;
  std::vector<std::string> warnings;
};
Applied Apply(const std::string& tar, const std::string& directory, WhiteoutChoice whiteouts = WhiteoutChoice::kDeviceIfPossible);

// "NAME TYPE" of each entry, in the order of the tar; the target of links behind "->".
std::vector<std::string> EntriesOf(const std::string& tar);

void SetTimes(const std::string& path, int64_t seconds, long nanoseconds);
void SetOwner(const std::string& path, uid_t uid, gid_t gid);
void SetMode(const std::string& path, mode_t mode);

}  // namespace plyfs::test
