// campaign.cc: see campaign.h.

#include "tests/model/campaign.h"

#include <stdio.h>

#include <chrono>
#include <random>
#include <set>

#include "tests/model/concurrent.h"
#include "tests/model/shrink.h"

namespace plyfs::model {
namespace {

using Clock = std::chrono::steady_clock;

RunOptions Varied(const CampaignOptions& options, uint64_t seed) {
  RunOptions run = options.run;
  if (options.vary) {
    const mode_t umasks[] = {0, 022, 027, 077};
    run.umask = umasks[seed % 4];
  }
  return run;
}

std::string TargetName(test::Target target) {
  switch (target) {
    case test::Target::kExt4:
      return "ext4";
    case test::Target::kKernelOverlay:
      return "kernel";
    case test::Target::kFuseOverlayfs:
      return "fuse-overlayfs";
    default:
      return "plyfs";
  }
}

std::string CommandLine(const CampaignOptions& options, const RunOptions& run, uint64_t seed) {
  std::string out = "--target=" + TargetName(run.target) + " --seed=" + std::to_string(seed) +
                    " --ops=" + std::to_string(options.ops);
  if (options.threads > 1) out += " --threads=" + std::to_string(options.threads);
  if (options.vary) out += " --vary";
  if (!run.remembers) out += " --forgetful";
  if (run.lowers_on_tmpfs) out += " --tmpfs";
  if (run.wh_whiteouts) out += " --wh";
  if (run.rootless) out += " --rootless";
  // The target's default comes by itself.
  if (run.extra != DefaultExtra(run.target)) out += " --extra=" + run.extra;
  return out;
}

void PrintFailure(const CampaignOptions& options, const RunOptions& run, const Scenario& scenario,
                  Failure failure) {
  printf("FAILED seed %llu step %zu of %zu: %s\n", static_cast<unsigned long long>(scenario.seed),
         failure.step, scenario.ops.size(), failure.message.c_str());
  printf("again: %s\n", CommandLine(options, run, scenario.seed).c_str());
  fflush(stdout);
  if (options.shrink_seconds == 0) return;
  const Scenario small = Shrink(scenario, run, options.shrink_seconds, &failure);
  printf("--- shrunk to %zu operations ---\n%s=> %s\n--- end ---\n", small.ops.size(),
         ScenarioScript(small, run).c_str(), failure.message.c_str());
  fflush(stdout);
}

bool RunRound(const CampaignOptions& options, uint64_t seed) {
  const RunOptions run = Varied(options, seed);
  if (options.threads > 1) {
    const std::string problem =
        RunConcurrent({.run = run, .seed = seed, .ops = options.ops, .threads = options.threads});
    if (problem.empty()) return true;
    printf("FAILED seed %llu with %d threads: %s\nagain: %s\n",
           static_cast<unsigned long long>(seed), options.threads, problem.c_str(),
           CommandLine(options, run, seed).c_str());
    fflush(stdout);
    return false;
  }
  const Scenario scenario = GenerateScenario(seed, options.ops, run);
  const std::optional<Failure> failure = RunScenario(scenario, run);
  if (!failure.has_value()) return true;
  PrintFailure(options, run, scenario, *failure);
  return false;
}

}  // namespace

int RunCampaign(const CampaignOptions& options) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(options.minutes * 60));
  int failed = 0;
  size_t round = 0;
  while (options.minutes > 0 ? Clock::now() < end : round < options.rounds) {
    if (!RunRound(options, options.seed + round)) ++failed;
    ++round;
    if (failed > 0 && !options.keep_going) break;
  }
  printf("model: target %s, %zu rounds of %zu operations from seed %llu, %d threads: %d failed\n",
         TargetName(options.run.target).c_str(), round, options.ops,
         static_cast<unsigned long long>(options.seed), options.threads, failed);
  fflush(stdout);
  return failed;
}

uint64_t FreshSeed() { return std::random_device()() % 1000000007; }

}  // namespace plyfs::model
