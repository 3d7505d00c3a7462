// recording.h: tells the journal what the operations of the union change.
// Not here: what the journal does with it (fs/journal).
// Thread safety: any thread. All but RecordChange need the tree lock (shared is enough), so that directories stay where they are,
// and a parent that has an upper part. Nothing here fails: see Journal. Without a journal nothing here does anything.
//
// "Ahead" functions come before the change, so that a server that dies in between leaves a name too many in the journal and never
// one too few: whether a recorded name has changed is seen by looking at it.
#pragma once

#include "fs/base/name.h"
#include "fs/overlay/changes.h"
#include "fs/overlay/core.h"

namespace plyfs {

// What stands under a name right now; a null node: nothing.
FormerState FormerStateOf(const Node* node);

// Ahead: `name` may appear, go, or become something else.
void RecordTouch(Core& core, const Node& parent, std::string_view name, const FormerState& former);
// The same where `node` stands under it. `upper`: what the upper has there, or null (also for any directory).
void RecordTouchOf(Core& core, const Node& parent, std::string_view name, const Node& node, const struct statx* upper);
// Ahead: a node's content or attributes may change; says so of all its names, once between two checkpoints. Takes the tree lock.
// kNone: the change is none that a watcher wants to hear of.
enum class ChangeEvents { kNone, kModify };
void RecordChange(Core& core, const NodeRef& node, ChangeEvents events);
// After the change: only if a checkpoint has been made since it was announced, which must find it too.
void RecordChangeAgain(Core& core, const NodeRef& node);
// Files that somebody has open for writing past us may change at any time: said once more after each checkpoint. Takes the tree lock.
void RecordWriters(Core& core);
// Ahead: the file in the upper of which `upper` tells shows the number `shown`.
void RecordOrigin(Core& core, const struct statx& upper, Ino shown);

// `name` has been made and is `node`.
void RecordCreated(Core& core, const Node& parent, Name name, Node& node);
// A further name of `node`; `upper_inode` is the file's.
void RecordLinked(Core& core, const Node& parent, Name name, Node& node, uint64_t upper_inode);
struct RecordedRemoval {
  const Node& parent;
  Name name;
  bool below = false;           // a lower would show it
  const Node* dir = nullptr;    // the directory that it was
  uint64_t upper_inode = 0;     // of the file that it was, if that was in the upper
};
// The name is gone.
void RecordGone(Core& core, const RecordedRemoval& removal);

struct RecordedMove {
  const Node& parent;
  Name name;
  const Node& new_parent;
  Name new_name;
  uint64_t upper_inode = 0;  // of what moves; 0: not known
  // Of a file with further names that was in the upper under the new name; in an exchange: of what was there.
  uint64_t replaced_inode = 0;
};
// `node` has moved, and `replaced` (a directory, or null) has gone for it. `below`: a lower would show the old name. `left`: something
// else stands under the old name now.
void RecordMoved(Core& core, const RecordedMove& move, Node& node, const Node* replaced, bool below, bool left);

// `node` and `other`, which stood under the new name, have changed places.
void RecordExchanged(Core& core, const RecordedMove& move, Node& node, Node& other);

// What is in the upper under an inode number has gone for good.
void RecordInodeGone(Core& core, const DiskInode& upper);
void RecordLinksRemoved(Core& core, const DiskInode& lower, uint32_t removed);

}  // namespace plyfs
