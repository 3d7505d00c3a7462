// generate.h: random layers and random sequences of operations, decided by a seed alone.
// Not here: running them (sequence.h).
// Thread safety: pure functions of their arguments.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/model/layer_spec.h"
#include "tests/model/model.h"
#include "tests/model/op.h"

namespace plyfs::model {

using Random = std::mt19937_64;

/// Evenly in [0, bound).
size_t Below(Random& random, size_t bound);
/// True `percent` times in a hundred.
bool Chance(Random& random, int percent);

/// Names that collide on purpose, and names that are unusual.
std::string RandomName(Random& random);

timespec RandomTime(Random& random);
/// Root of a user namespace can make no devices and set no trusted or security xattrs; a write
/// takes set-id bits from its files, so they have none.
enum class Privilege { kRoot, kUserNamespace };

std::string RandomXattrName(Random& random, mode_t mode, Privilege privilege);
std::string RandomXattrValue(Random& random, const std::string& name);

struct LayerParams {
  size_t max_lowers = 4;
  size_t max_entries = 30;  // of each layer
  bool empty_upper = false;
  bool stray_whiteouts = true;  // whiteouts that hide nothing
  Privilege privilege = Privilege::kRoot;
  size_t name_max = 255;  // longer names are cut
  std::vector<MarkForm> forms = {MarkForm::kOverlay};
  std::string name_prefix = {};  // of every name in the root, which then has no directories
};

LayerStackSpec GenerateLayers(Random& random, const LayerParams& params);

/// The layers with everything moved into the directory `name`, appended to `stack`.
void Graft(const LayerStackSpec& layers, const std::string& name, LayerStackSpec* stack);

struct OpParams {
  size_t count = 200;
  std::string name_prefix = {};  // as in LayerParams
  size_t name_max = 255;         // longer names are cut
  bool mount_operations = true;  // kEvict, kCompare, kRemount
  Privilege privilege = Privilege::kRoot;
};

/// A sequence that makes sense on the tree `root`, which is used up by a dry run.
std::vector<Op> GenerateOps(Random& random, const InodePtr& root, const ModelOptions& model,
                            const OpParams& params);

}  // namespace plyfs::model
