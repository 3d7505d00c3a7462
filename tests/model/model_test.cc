// model_test.cc: the short form of the model test: fixed seeds, and one fresh seed that is printed.
// Not here: the command line (main.cc).

#include <gtest/gtest.h>
#include <stdio.h>

#include "tests/model/campaign.h"

namespace plyfs::model {
namespace {

using test::Target;

CampaignOptions OptionsFor(Target target) {
  CampaignOptions options;
  options.run.target = target;
  options.run.extra = DefaultExtra(target);
  options.vary = true;
  options.shrink_seconds = 20;
  return options;
}

TEST(Model, AgreesWithExt4) {
  CampaignOptions options = OptionsFor(Target::kExt4);
  options.rounds = 60;
  EXPECT_EQ(RunCampaign(options), 0);
}

}  // namespace
}  // namespace plyfs::model
