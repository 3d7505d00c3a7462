// sequence.cc: running a scenario step by step beside the model.

#include "tests/model/sequence.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include <exception>

#include "tests/model/generate.h"
#include "tests/model/layer_union.h"
#include "tests/model/stall_guard.h"

namespace plyfs::model {
namespace {

using test::Target;

// "umask 027 ... expected ENOENT, got 0" without what differs from run to run.
std::string KindOf(const std::string& step, const std::string& message) {
  std::string out = step.substr(0, step.find('(')) + ": ";
  bool quoted = false;
  for (const char c : message.substr(0, message.find(';'))) {
    if (c == '"') quoted = !quoted;
    if (!quoted && !isdigit(static_cast<unsigned char>(c))) out += c;
  }
  return out;
}

class Run {
 public:
  Run(const Scenario& scenario, const RunOptions& options)
      : scenario_(scenario),
        options_(options),
        shown_(UnionOf(scenario.layers)),
        model_(shown_, ModelOptionsFor(options)),
        checker_(CheckOptionsFor(options)) {}

  std::optional<Failure> Go() {
    union_ = std::make_unique<UnionUnderTest>(scenario_.layers, shown_, options_);
    if (!union_->ok()) return Fail(0, "mount", "mount failed");
    lowers_before_ = union_->LowersSnapshot();
    executor_ = std::make_unique<Executor>(union_->path());
    WatchMount();
    std::string problem = checker_.CheckTree(executor_->root_fd(), model_.root());
    if (!problem.empty()) return Fail(0, "first compare", problem);
    for (size_t i = 0; i < scenario_.ops.size(); ++i) {
      const Op& op = scenario_.ops[i];
      if (model_.MustSkip(op)) continue;
      if (options_.verbose) printf("%4zu  %s\n", i, ToScript(op).c_str());
      problem = Step(op);
      if (!problem.empty()) return Fail(i, ToScript(op), problem);
    }
    return FinalChecks();
  }

 private:
  Failure Fail(size_t step, const std::string& what, const std::string& problem) const {
    return {.step = step, .message = what + "\n  -> " + problem, .kind = KindOf(what, problem)};
  }

  void WatchMount() {
    struct stat st = {};
    if (fstat(executor_->root_fd(), &st) == 0) guard_ = std::make_unique<StallGuard>(st.st_dev);
  }

  std::string Step(const Op& op) {
    guard_->Beat(ToScript(op));
    switch (op.kind) {
      case OpKind::kEvict:
        union_->Evict(op.flags != 0);
        return "";
      case OpKind::kCompare:
        return checker_.CheckTree(executor_->root_fd(), model_.root());
      case OpKind::kRemount:
        model_.CloseAll();
        return Remount();
      default:
        break;
    }
    const Actual actual = executor_->Run(op);
    const Expected expected = model_.Apply(op, actual.error);
    return checker_.CheckOp(op, expected, actual);
  }

  std::string Remount() {
    executor_->Reopen("");
    guard_.reset();
    union_->Remount();
    if (!union_->ok()) return "mounting again failed";
    executor_->Reopen(union_->path());
    checker_.NoteRemount(model_.root());
    WatchMount();
    return checker_.CheckTree(executor_->root_fd(), model_.root());
  }

  std::optional<Failure> FinalChecks() {
    const size_t end = scenario_.ops.size();
    std::string problem = checker_.CheckTree(executor_->root_fd(), model_.root());
    if (!problem.empty()) return Fail(end, "last compare", problem);
    model_.CloseAll();
    problem = Remount();
    if (!problem.empty()) return Fail(end, "compare after the last remount", problem);
    executor_->Reopen("");
    guard_.reset();
    union_->Unmount();
    if (union_->LowersSnapshot() != lowers_before_) {
      return Fail(end, "look at the lowers", "a lower has changed");
    }
    if (options_.target != Target::kPlyfs && options_.target != Target::kFuseOverlayfs) return {};
    // What the kernel cannot read in the upper: .wh.NAME, and owners and modes kept in xattrs.
    const bool foreign =
        options_.wh_whiteouts || options_.extra.find("xattr_permissions") != std::string::npos;
    if (scenario_.kernel_reads_layers && !foreign) return CompareWithKernel();
    return {};
  }

  // The upper must still be one that kernel overlayfs shows in the same way. It does not know which
  // names of a lower file are linked, nor our inode numbers.
  std::optional<Failure> CompareWithKernel() {
    const std::unique_ptr<test::UnionMount> kernel = union_->MountWithKernel();
    const size_t end = scenario_.ops.size();
    if (!kernel->ok()) return Fail(end, "mount of the upper by kernel overlayfs", "failed");
    Executor executor(kernel->path());
    Checker checker({.inode_numbers = false,
                     .listed_numbers = false,
                     .nlink = false,
                     .one_device = false,
                     .whiteout_devices = false,
                     .lower_links = false});
    const std::string problem = checker.CheckTree(executor.root_fd(), model_.root());
    executor.Reopen("");
    if (problem.empty()) return {};
    return Fail(end, "compare of the upper mounted by kernel overlayfs", problem);
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  InodePtr shown_;
  Model model_;
  Checker checker_;
  std::unique_ptr<UnionUnderTest> union_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<StallGuard> guard_;  // of the mount that is there now
  std::string lowers_before_;
};

}  // namespace

Scenario GenerateScenario(uint64_t seed, size_t ops, const RunOptions& options) {
  Random random(seed);
  Scenario scenario;
  scenario.seed = seed;
  LayerParams layers;
  scenario.kernel_reads_layers = options.target == Target::kKernelOverlay || Chance(random, 50);
  const Privilege privilege = options.rootless ? Privilege::kUserNamespace : Privilege::kRoot;
  layers.privilege = privilege;
  // A longer name could not be hidden.
  const size_t name_max = options.wh_whiteouts ? kNameMax - 4 : kNameMax;
  layers.name_max = name_max;
  if (scenario.kernel_reads_layers) {
    layers.stray_whiteouts = false;
    layers.forms = {MarkForm::kOverlay, MarkForm::kOverlay, MarkForm::kXattr};
  } else if (options.target != Target::kExt4) {
    layers.forms = {MarkForm::kOverlay, MarkForm::kOverlayUser, MarkForm::kFuse, MarkForm::kOci,
                    MarkForm::kXattr};
  }
  if (options.rootless) {
    layers.forms = {MarkForm::kOverlayUser};
    if (!scenario.kernel_reads_layers) {
      layers.forms = {MarkForm::kOverlayUser, MarkForm::kFuse, MarkForm::kOci};
    }
  }
  scenario.layers = GenerateLayers(random, layers);
  scenario.ops = GenerateOps(random, UnionOf(scenario.layers), ModelOptionsFor(options),
                             {.count = ops, .name_max = name_max, .privilege = privilege});
  return scenario;
}

std::optional<Failure> RunScenario(const Scenario& scenario, const RunOptions& options) {
  const mode_t old_umask = umask(0);
  std::optional<Failure> failure;
  try {
    Run run(scenario, options);
    umask(options.umask);
    failure = run.Go();
  } catch (const std::exception& error) {
    failure = Failure{.step = 0, .message = error.what(), .kind = error.what()};
  }
  umask(old_umask);
  return failure;
}

std::string ScenarioScript(const Scenario& scenario, const RunOptions& options) {
  std::string out;
  std::string lowers;
  for (size_t i = 0; i < scenario.layers.size(); ++i) {
    const std::string name = i == 0 ? "upper" : "lower" + std::to_string(i);
    if (i > 0) lowers += (i == 1 ? "" : ":") + name;
    out += "mkdir " + name + "; cd " + name + "\n" + ToShell(scenario.layers[i]) + "cd ..\n";
  }
  out += "mkdir work mnt; umask " + std::to_string(options.umask) + "; mount " +
         test::NameOf(options.target) + " -o lowerdir=" + lowers + ",upperdir=upper,workdir=work" +
         (options.extra.empty() ? "" : "," + options.extra) + " mnt\n";
  for (const Op& op : scenario.ops) out += ToScript(op) + "\n";
  return out;
}

}  // namespace plyfs::model
