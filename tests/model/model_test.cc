// model_test.cc: the short form of the model test: fixed seeds, and fresh ones that are printed.
// $PLYFS_MODEL_MINUTES adds as many minutes for each form of fresh seeds.
// Not here: the command line (main.cc).

#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "tests/harness/child.h"
#include "tests/model/campaign.h"

namespace plyfs::model {
namespace {

using test::Target;

CampaignOptions OptionsFor(Target target, size_t rounds) {
  CampaignOptions options;
  options.run.target = target;
  options.run.extra = DefaultExtra(target);
  options.rounds = rounds;
  options.vary = true;
  options.shrink_seconds = 20;
  return options;
}

CampaignOptions Fresh(CampaignOptions options) {
  options.seed = FreshSeed();
  const char* minutes = getenv("PLYFS_MODEL_MINUTES");
  if (minutes != nullptr) options.minutes = atof(minutes);
  return options;
}

CampaignOptions WithThreads(CampaignOptions options, int threads) {
  options.threads = threads;
  options.ops = 300;
  return options;
}

// The command line of this program, run once more.
int RunSelf(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/proc/self/exe"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const test::ProgramResult result = test::RunProgram(argv, {.timeout_seconds = 550});
  fputs((result.out + result.err).c_str(), stdout);
  return result.exit_code;
}

// The model itself is right where there is no union, and about the merge rules where the kernel
// does the union.
TEST(Model, AgreesWithExt4) { EXPECT_EQ(RunCampaign(OptionsFor(Target::kExt4, 20)), 0); }

TEST(Model, AgreesWithKernelOverlay) {
  EXPECT_EQ(RunCampaign(OptionsFor(Target::kKernelOverlay, 10)), 0);
}

TEST(Model, ThreadsAgreeWithKernelOverlay) {
  EXPECT_EQ(RunCampaign(WithThreads(OptionsFor(Target::kKernelOverlay, 2), 4)), 0);
}

TEST(Plyfs, DoesWhatTheModelSays) { EXPECT_EQ(RunCampaign(OptionsFor(Target::kPlyfs, 60)), 0); }

TEST(Plyfs, DoesWhatTheModelSaysForAFreshSeed) {
  EXPECT_EQ(RunCampaign(Fresh(OptionsFor(Target::kPlyfs, 25))), 0);
}

TEST(Plyfs, RenamesLowerDirectoriesWithRedirects) {
  CampaignOptions options = OptionsFor(Target::kPlyfs, 10);
  options.run.extra = "redirect_dir=on";
  EXPECT_EQ(RunCampaign(options), 0);
}

TEST(Plyfs, RenamesLowerDirectoriesForAFreshSeed) {
  CampaignOptions options = Fresh(OptionsFor(Target::kPlyfs, 5));
  options.run.extra = "redirect_dir=on";
  EXPECT_EQ(RunCampaign(options), 0);
}

TEST(Plyfs, DoesWhatTheModelSaysWithLayersOnSeveralDevices) {
  CampaignOptions options = OptionsFor(Target::kPlyfs, 10);
  options.run.lowers_on_tmpfs = true;
  EXPECT_EQ(RunCampaign(options), 0);
}

TEST(Plyfs, DoesWhatTheModelSaysWithWhiteoutsByName) {
  CampaignOptions options = OptionsFor(Target::kPlyfs, 10);
  options.run.wh_whiteouts = true;
  EXPECT_EQ(RunCampaign(options), 0);
}

TEST(Plyfs, DoesWhatTheModelSaysWithOwnersInAttributes) {
  CampaignOptions options = OptionsFor(Target::kPlyfs, 15);
  options.run.extra = "xattr_permissions=2";
  EXPECT_EQ(RunCampaign(options), 0);
}

TEST(Plyfs, DoesWhatTheModelSaysInAUserNamespace) {
  EXPECT_EQ(RunSelf({"--target=plyfs", "--rootless", "--vary", "--seed=1", "--rounds=10",
                     "--shrink-seconds=20"}),
            0);
}

TEST(Plyfs, ThreadsGetWhatTheModelSays) {
  EXPECT_EQ(RunCampaign(WithThreads(OptionsFor(Target::kPlyfs, 8), 4)), 0);
}

TEST(Plyfs, ThreadsGetWhatTheModelSaysForAFreshSeed) {
  EXPECT_EQ(RunCampaign(Fresh(WithThreads(OptionsFor(Target::kPlyfs, 2), 6))), 0);
}

}  // namespace
}  // namespace plyfs::model
