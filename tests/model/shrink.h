// shrink.h: the smallest scenario that still fails in the same way.
// Not here: running one (sequence.h).
// Thread safety: as RunScenario.
#pragma once

#include "tests/model/sequence.h"

namespace plyfs::model {

/// Takes operations and layer entries out as long as the failure stays of the same kind
/// (delta debugging), at most `seconds` long. The result fails with *failure.
Scenario Shrink(const Scenario& scenario, const RunOptions& options, int seconds, Failure* failure);

}  // namespace plyfs::model
