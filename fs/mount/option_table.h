// option_table.h: every option that -o knows, and what it sets.
// Not here: flags and positional arguments (mount_options.cc), the checks across options
// (mount_options.cc). Thread safety: pure functions.
#pragma once

#include <string>

#include "fs/mount/mount_options.h"
#include "fs/mount/option_text.h"

namespace plyfs {

// What has been read so far, with what only the checks at the end can decide.
struct OptionState {
  MountOptions* options;
  bool squash_to_root = false;
};

enum class OptionOutcome { kApplied, kUnknown, kBadValue };

// Applies one option to `state`. kBadValue fills `why` with what is wrong with the value ("not a
// number", …).
OptionOutcome ApplyOption(const OptionText& option, OptionState* state, std::string* why);

}  // namespace plyfs
