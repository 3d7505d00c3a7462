// concurrent.cc: see concurrent.h.

#include "tests/model/concurrent.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/model/generate.h"
#include "tests/model/layer_union.h"
#include "tests/model/looker.h"
#include "tests/model/stall_guard.h"

namespace plyfs::model {
namespace {

constexpr char kShared[] = "shared";
constexpr int kPhases = 3;
constexpr size_t kRemembered = 25;  // operations printed with a failure

// One model and what compares with it: a thread's own subtree, or its names in the shared one.
struct Part {
  std::string directory;
  LayerStackSpec layers;
  std::unique_ptr<Model> model;
  std::unique_ptr<Checker> checker;
  std::unique_ptr<Executor> executor;
  std::vector<Op> ops;
  OpParams params;
};

struct Worker {
  Part own;
  Part shared;
  Random random;
  std::deque<std::string> last;
  std::string problem;
};

class ConcurrentRun {
 public:
  explicit ConcurrentRun(const ConcurrentOptions& options)
      : options_(options), model_options_(ModelOptionsFor(options.run)) {
    model_options_.others_look = true;
  }

  std::string Run() {
    MakeWorkers();
    UnionUnderTest target(stack_, UnionOf(stack_), options_.run);
    if (!target.ok()) return "mount failed";
    umask(options_.run.umask);
    for (int phase = 0; phase < kPhases; ++phase) {
      std::string problem = Reopen(target.path());
      if (problem.empty()) problem = RunPhase(target);
      if (problem.empty()) problem = Compare("after phase " + std::to_string(phase));
      Close();
      if (!problem.empty()) return problem;
      target.Remount();
      for (auto& worker : workers_) {
        for (Part* part : {&worker->own, &worker->shared}) {
          part->checker->NoteRemount(part->model->root());
        }
      }
      if (!target.ok()) return "mounting again failed";
    }
    std::string problem = Reopen(target.path());
    Close();
    return problem;
  }

 private:
  void MakeWorkers() {
    Random random(options_.seed);
    LayerParams params;
    params.stray_whiteouts = false;
    if (options_.run.rootless) params.privilege = Privilege::kUserNamespace;
    if (options_.run.target == test::Target::kPlyfs) {
      params.forms = {options_.run.rootless ? MarkForm::kOverlayUser : MarkForm::kOverlay,
                      MarkForm::kFuse, MarkForm::kOci};
    }
    LayerEntry root;
    root.mode = S_IFDIR | 0755;
    stack_ = {{root}, {root}};
    for (int i = 0; i < options_.threads; ++i) {
      auto worker = std::make_unique<Worker>();
      worker->random.seed(options_.seed * 1000 + static_cast<uint64_t>(i));
      worker->own.directory = "t" + std::to_string(i);
      worker->own.layers = GenerateLayers(random, params);
      Graft(worker->own.layers, worker->own.directory, &stack_);
      LayerParams flat = params;
      flat.name_prefix = "s" + std::to_string(i) + "-";
      flat.forms = {MarkForm::kOverlay};
      worker->shared.directory = kShared;
      worker->shared.layers = GenerateLayers(random, flat);
      worker->shared.params.name_prefix = flat.name_prefix;
      workers_.push_back(std::move(worker));
    }
    GraftShared();
    for (auto& worker : workers_) {
      Prepare(&worker->own);
      Prepare(&worker->shared);
    }
  }

  // All threads' entries go into one directory, so its own entry is made once in each layer.
  void GraftShared() {
    for (auto& worker : workers_) {
      while (stack_.size() < worker->shared.layers.size()) stack_.push_back({stack_[0][0]});
    }
    for (LayerSpec& layer : stack_) AddSharedRoot(&layer);
    for (auto& worker : workers_) {
      LayerStackSpec grafted;
      Graft(worker->shared.layers, kShared, &grafted);
      for (size_t i = 0; i < grafted.size(); ++i) {
        for (const LayerEntry& entry : grafted[i]) {
          if (!entry.path.empty() && entry.path != kShared) stack_[i].push_back(entry);
        }
      }
    }
  }

  static void AddSharedRoot(LayerSpec* layer) {
    LayerEntry entry;
    entry.path = kShared;
    entry.mode = S_IFDIR | 0755;
    layer->push_back(entry);
  }

  void Prepare(Part* part) {
    const InodePtr root = UnionOf(part->layers);
    part->params.count = options_.ops * kPhases;
    part->params.mount_operations = false;
    if (options_.run.rootless) part->params.privilege = Privilege::kUserNamespace;
    Random random(options_.seed + std::hash<std::string>()(part->directory) +
                  std::hash<std::string>()(part->params.name_prefix));
    part->ops =
        GenerateOps(random, UnionOf(part->layers), model_options_, part->params);
    part->model = std::make_unique<Model>(root, model_options_);
    CheckOptions check = CheckOptionsFor(options_.run);
    check.name_prefix = part->params.name_prefix;
    // The kernel's FUSE client may keep a directory's times from before a change that another
    // thread's stat of it overlapped with.
    check.directory_mtime = false;
    part->checker = std::make_unique<Checker>(check);
    if (!check.name_prefix.empty()) root->mode = S_IFDIR | 0755;
  }

  std::string Reopen(const std::string& mount) {
    for (auto& worker : workers_) {
      for (Part* part : {&worker->own, &worker->shared}) {
        part->executor = std::make_unique<Executor>(mount + "/" + part->directory);
      }
    }
    return Compare("after mounting");
  }

  void Close() {
    for (auto& worker : workers_) {
      for (Part* part : {&worker->own, &worker->shared}) {
        part->executor.reset();
        part->model->CloseAll();
      }
    }
  }

  std::string Compare(const std::string& when) {
    for (auto& worker : workers_) {
      for (Part* part : {&worker->own, &worker->shared}) {
        const std::string problem =
            part->checker->CheckTree(part->executor->root_fd(), part->model->root());
        if (problem.empty()) continue;
        return LastOps(*worker) + "compare of " + part->directory + " (names " +
               part->params.name_prefix + "*) " + when + ":\n" + problem;
      }
    }
    return "";
  }

  std::string RunPhase(const UnionUnderTest& target) {
    stop_ = false;
    struct stat st = {};
    fstat(workers_.front()->own.executor->root_fd(), &st);
    StallGuard guard(st.st_dev);
    guard_ = &guard;
    std::vector<std::thread> threads;
    for (auto& worker : workers_) {
      threads.emplace_back([this, w = worker.get()] { Work(w); });
    }
    Looker looker(target.path());
    std::thread finder([&] {
      while (!stop_ && looker.problem().empty()) looker.LookOnce();
      if (!looker.problem().empty()) stop_ = true;
    });
    std::thread evicter([&] {
      while (!stop_) {
        target.Evict(false);
        usleep(20000);
      }
    });
    for (std::thread& thread : threads) thread.join();
    stop_ = true;
    finder.join();
    evicter.join();
    for (const auto& worker : workers_) {
      if (!worker->problem.empty()) return worker->problem;
    }
    return looker.problem();
  }

  void Work(Worker* worker) {
    size_t own = 0;
    size_t shared = 0;
    while (own + shared < options_.ops && !stop_) {
      Part* part = &worker->own;
      size_t* count = &own;
      if (Chance(worker->random, 35)) {
        part = &worker->shared;
        count = &shared;
      }
      ++*count;
      if (part->ops.empty()) return;
      const Op op = part->ops.front();
      part->ops.erase(part->ops.begin());
      worker->problem = Step(worker, part, op);
      if (worker->problem.empty()) continue;
      stop_ = true;
      return;
    }
  }

  std::string Step(Worker* worker, Part* part, const Op& op) {
    if (part->model->MustSkip(op)) return "";
    const std::string line = part->directory + ": " + ToScript(op);
    guard_->Beat(line);
    worker->last.push_back(line);
    if (options_.run.verbose) printf("%s\n", line.c_str());
    if (worker->last.size() > kRemembered) worker->last.pop_front();
    const Actual actual = RunOp(part->executor.get(), op);
    const Expected expected = part->model->Apply(op, actual.error);
    // The shared directory's own time is changed by the others.
    if (!part->params.name_prefix.empty()) part->model->root()->mtime.reset();
    const std::string problem = part->checker->CheckOp(op, expected, actual);
    if (problem.empty()) return "";
    // What is still wrong now is no matter of a reply that came late.
    return LastOps(*worker) + line + "\n  -> " + problem + "\nwhole part compared after it:\n" +
           part->checker->CheckTree(part->executor->root_fd(), part->model->root());
  }

  // They come before what was wrong: the end of a long output is what one sees of it.
  static std::string LastOps(const Worker& worker) {
    std::string out = "last operations of this thread:\n";
    for (const std::string& remembered : worker.last) out += "  " + remembered + "\n";
    return out;
  }

  // When a file loses a name while somebody else stats it, the kernel's FUSE client may count that
  // loss twice, and refuses to link a file that it believes to have no name (docs/protocol.md). A
  // stat sets the count right; what link(2) says then is the answer.
  Actual RunOp(Executor* executor, const Op& op) const {
    const Actual first = executor->Run(op);
    const bool links = op.kind == OpKind::kLink || op.kind == OpKind::kLinkFd;
    if (!links || first.error != ENOENT || !model_options_.fuse_client) return first;
    Op stat = op;
    stat.kind = op.kind == OpKind::kLink ? OpKind::kStat : OpKind::kFstat;
    executor->Run(stat);
    return executor->Run(op);
  }

  const ConcurrentOptions& options_;
  ModelOptions model_options_;
  LayerStackSpec stack_;
  std::vector<std::unique_ptr<Worker>> workers_;
  StallGuard* guard_ = nullptr;  // while a phase runs
  std::atomic<bool> stop_{false};
};

}  // namespace

std::string RunConcurrent(const ConcurrentOptions& options) {
  const mode_t old_umask = umask(0);
  std::string problem;
  try {
    ConcurrentRun run(options);
    problem = run.Run();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  umask(old_umask);
  return problem;
}

}  // namespace plyfs::model
