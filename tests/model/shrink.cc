// shrink.cc: delta debugging over operations and layer entries.

#include "tests/model/shrink.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace plyfs::model {
namespace {

using Clock = std::chrono::steady_clock;

class Shrinker {
 public:
  Shrinker(const Scenario& scenario, const RunOptions& options, Clock::time_point deadline,
           Failure* failure)
      : best_(scenario), options_(options), deadline_(deadline), failure_(failure) {}

  Scenario Run() {
    if (failure_->step + 1 < best_.ops.size()) {
      Scenario cut = best_;
      cut.ops.resize(failure_->step + 1);
      Try(cut);
    }
    bool better = true;
    while (better && !OutOfTime()) {
      better = ShrinkOps();
      better = ShrinkLayers() || better;
    }
    return best_;
  }

 private:
  bool OutOfTime() const { return Clock::now() > deadline_; }

  // Takes the candidate if it fails in the same way.
  bool Try(const Scenario& candidate) {
    const std::optional<Failure> failure = RunScenario(candidate, options_);
    if (!failure.has_value() || failure->kind != failure_->kind) return false;
    best_ = candidate;
    *failure_ = *failure;
    return true;
  }

  bool ShrinkOps() {
    bool any = false;
    for (size_t chunk = std::max<size_t>(best_.ops.size() / 2, 1); !OutOfTime(); chunk /= 2) {
      for (size_t begin = best_.ops.size(); begin > 0 && !OutOfTime();) {
        const size_t size = std::min(chunk, begin);
        begin -= size;
        Scenario candidate = best_;
        const auto first = candidate.ops.begin() + static_cast<long>(begin);
        candidate.ops.erase(first, first + static_cast<long>(size));
        any = Try(candidate) || any;
        begin = std::min(begin, best_.ops.size());
      }
      if (chunk <= 1) break;
    }
    return any;
  }

  // All entries but the roots, as (layer, index), in chunks as for the operations. What lay below
  // a removed directory goes with it.
  bool ShrinkLayers() {
    bool any = DropLayers();
    for (size_t chunk = 16; chunk >= 1 && !OutOfTime(); chunk /= 2) {
      for (size_t layer = 0; layer < best_.layers.size(); ++layer) {
        any = ShrinkLayer(layer, chunk) || any;
      }
    }
    return any;
  }

  bool ShrinkLayer(size_t layer, size_t chunk) {
    bool any = false;
    for (size_t begin = best_.layers[layer].size(); begin > 1 && !OutOfTime();) {
      const size_t size = std::min(chunk, begin - 1);
      begin -= size;
      Scenario candidate = best_;
      LayerSpec& spec = candidate.layers[layer];
      if (begin + size > spec.size()) continue;
      const auto first = spec.begin() + static_cast<long>(begin);
      spec.erase(first, first + static_cast<long>(size));
      spec = DropOrphans(spec);
      any = Try(candidate) || any;
    }
    return any;
  }

  bool DropLayers() {
    bool any = false;
    for (size_t layer = best_.layers.size() - 1; layer >= 1 && best_.layers.size() > 2; --layer) {
      if (OutOfTime()) break;
      Scenario candidate = best_;
      candidate.layers.erase(candidate.layers.begin() + static_cast<long>(layer));
      any = Try(candidate) || any;
    }
    return any;
  }

  Scenario best_;
  const RunOptions& options_;
  Clock::time_point deadline_;
  Failure* failure_;
};

}  // namespace

Scenario Shrink(const Scenario& scenario, const RunOptions& options, int seconds,
                Failure* failure) {
  return Shrinker(scenario, options, Clock::now() + std::chrono::seconds(seconds), failure).Run();
}

}  // namespace plyfs::model
