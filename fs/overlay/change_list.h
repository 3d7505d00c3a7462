// change_list.h: the list of changes: each name that the journal has is looked at, in the upper and in the lowers.
// Not here: what a name is now (change_judge.h), recording (recording.h), comparing with the whole upper (journal_check.h).
// Thread safety: any thread; a list made while the union changes shows each name before or after its change.
//
// Cost: the number of names recorded; lowers are walked only for hard links some of whose names nobody has looked up yet. Where
// nothing was renamed and no file has several names, a directory is looked at when the list comes to it, so that what takes the list
// works at the same time.
#pragma once

#include <string>

#include "fs/overlay/changes.h"
#include "fs/overlay/core.h"

namespace plyfs {

// See Overlay::ForEachChange.
Errno ListChanges(Core& core, const std::string& since_checkpoint, const OnChange& visit);

}  // namespace plyfs
