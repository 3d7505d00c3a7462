// journal_check.h: compares the journal with the upper: all of it, or what may have been edited while nothing was mounted.
// Not here: the walk (upper_walk.h), damage inside of the database (fs/journal).
// Thread safety: any thread.
#pragma once

#include <vector>

#include "fs/overlay/changes.h"
#include "fs/overlay/core.h"

namespace plyfs {

// Brings into the journal what it may lack after a crash, an edit of the unmounted upper or a full disk (Journal::doubt). Costs
// nothing where there is no doubt.
Errno ResolveDoubt(Core& core);
// See Overlay::CheckJournal.
Result<std::vector<FsckFinding>> CompareWithUpper(Core& core, bool repair);

}  // namespace plyfs
