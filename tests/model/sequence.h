// sequence.h: a scenario (layers and operations) and its run on a fresh union.
// Not here: making scenarios (generate.h), making them smaller (shrink.h).
// Thread safety: runs of different scenarios may be concurrent; each has its own directory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/harness/temp_dir.h"
#include "tests/harness/union_mount.h"
#include "tests/model/checker.h"
#include "tests/model/executor.h"
#include "tests/model/layer_spec.h"
#include "tests/model/model.h"
#include "tests/model/op.h"

namespace plyfs::model {

struct RunOptions {
  test::Target target = test::Target::kPlyfs;
  std::string extra = {};  // mount options besides the layers
  mode_t umask = 0;
  bool verbose = false;          // print every operation
  bool lowers_on_tmpfs = false;  // every other lower is on a filesystem of its own
  bool wh_whiteouts = false;     // the program must write .wh.NAME
  bool rootless = false;         // the program runs as root of a user namespace
  // See CheckOptions; false for plyfs with journal=off.
  bool remembers = true;
};

/// Mount options that the target always gets.
std::string DefaultExtra(test::Target target);

/// What the model must know about a target.
ModelOptions ModelOptionsFor(const RunOptions& options);
CheckOptions CheckOptionsFor(const RunOptions& options);

struct Scenario {
  uint64_t seed = 0;
  bool kernel_reads_layers = false;  // kernel overlayfs understands all marks in the layers
  LayerStackSpec layers;
  std::vector<Op> ops;
};

Scenario GenerateScenario(uint64_t seed, size_t ops, const RunOptions& options);

struct Failure {
  size_t step = 0;      // index of the operation; ops.size() for the checks after the last one
  std::string message;  // what was expected and what came
  std::string kind;     // the message without its numbers and names: two failures of one kind are
                        // taken for the same defect
};

/// A union on disk, mounted as long as the object lives.
class UnionUnderTest {
 public:
  UnionUnderTest(const LayerStackSpec& layers, const InodePtr& shown, const RunOptions& options);
  ~UnionUnderTest();

  bool ok() const { return mount_->ok(); }
  const std::string& path() const { return mount_->path(); }
  void Evict(bool whole_machine) const;
  void Remount() { mount_->Remount(); }
  void Unmount() { mount_->Unmount(); }
  /// What the lowers hold; they must never change.
  std::string LowersSnapshot() const;
  /// Mounts the same layers with kernel overlayfs; the union must not be mounted.
  std::unique_ptr<test::UnionMount> MountWithKernel() const;

 private:
  // Layers on several devices.
  void MountTmpfs(const std::string& lower);

  test::TempDir dir_;
  bool rootless_ = false;
  std::vector<std::string> tmpfs_;
  test::UnionOptions mount_options_;
  std::unique_ptr<test::UnionMount> mount_;
};

/// Runs the scenario on a fresh union; the first difference ends it.
std::optional<Failure> RunScenario(const Scenario& scenario, const RunOptions& options);

/// Layers as shell commands, then the operations as C-like lines.
std::string ScenarioScript(const Scenario& scenario, const RunOptions& options);

}  // namespace plyfs::model
