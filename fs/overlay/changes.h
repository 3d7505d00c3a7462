// changes.h: what the tools ask of a union beyond a filesystem's operations: what changed, checkpoints, events, a check.
// Value types only; the methods are Overlay's (overlay.h).
// Thread safety: value types.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace plyfs {

// As `docker diff` prints them.
enum class ChangeKind : char { kAdded = 'A', kChanged = 'C', kDeleted = 'D' };

struct Change {
  ChangeKind kind = ChangeKind::kChanged;
  std::string path;          // "/a/b" from the mountpoint; "/" for the mountpoint itself; any bytes but NUL
  mode_t type = 0;           // S_IFMT bits of what is there now; 0 for kDeleted
  std::string renamed_from;  // the old path of what is here now, or empty
  // A directory that shows nothing of what was there before: all that it holds is new, what it held before is gone and not
  // listed one by one.
  bool replaced = false;
  // Listed only as the parent of a change.
  bool implied = false;
};

// Given one after the other, and no longer there afterwards; false ends the list.
using OnChange = std::function<bool(const Change&)>;

struct Checkpoint {
  std::string name;         // [A-Za-z0-9._-]{1,128}
  uint64_t sequence = 0;    // of the last event before it
  int64_t created_ns = 0;   // CLOCK_REALTIME
};

struct ChangeEvent {
  // Names follow inotify's.
  enum class Kind : uint8_t { kCreate = 1, kModify = 2, kDelete = 3, kRename = 4, kLost = 5 };
  uint64_t sequence = 0;    // grows by one an event, never used again
  Kind kind = Kind::kModify;  // kLost: events before this one have been dropped, ask for the changes instead
  std::string path;
  std::string from;         // kRename: the old path
};

// One kind of damage has one name; see docs/journal.md.
struct FsckFinding {
  std::string kind;    // "unrecorded", "stale", "misplaced", "corrupt"
  std::string path;    // or empty
  std::string detail;  // for people
  bool repaired = false;
};

struct JournalStats {
  bool open = false;              // the database is open
  bool lost = false;              // it could not be written: the next listing reads the whole upper
  uint64_t sequence = 0;          // of the last event
  uint64_t pending_records = 0;   // not in the database yet
  uint64_t database_bytes = 0;    // on disk
};

}  // namespace plyfs
