// lower_links.h: the names of a lower file with several, found by one walk of its layer; kept for later questions.
// Not here: counting them (link_index.h).
// Thread safety: any thread, no lock held.
#pragma once

#include <string>
#include <vector>

#include "fs/overlay/core.h"

namespace plyfs {

// The paths ("/a/b") at which the layers have the file of an index name (WorkDir::IndexName), whether the union shows them or
// not. Cost: a walk of each lower on that device, once for each file.
Result<std::vector<std::string>> PathsOfLowerLinks(Core& core, const std::string& index_name);

}  // namespace plyfs
