// campaign.h: many scenarios in a row, and what is printed about one that fails.
// Not here: a single run (sequence.h), concurrent threads (concurrent.h).
// Thread safety: none; called from the main thread.
#pragma once

#include <cstdint>
#include <string>

#include "tests/model/sequence.h"

namespace plyfs::model {

struct CampaignOptions {
  RunOptions run;
  uint64_t seed = 1;  // of the first round; the next rounds count on
  size_t rounds = 1;
  double minutes = 0;  // when not 0: rounds until this time is over
  size_t ops = 200;
  int threads = 1;  // more than one: the concurrent form
  int shrink_seconds = 60;
  bool keep_going = false;  // do not stop at the first failure
  bool vary = false;        // a seed also decides the umask and mount options
};

/// Runs and prints. Returns how many rounds failed.
int RunCampaign(const CampaignOptions& options);

/// A seed that is different in each run.
uint64_t FreshSeed();

}  // namespace plyfs::model
