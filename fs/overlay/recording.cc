// recording.cc: see recording.h.
#include "fs/overlay/recording.h"

#include <vector>

#include "fs/journal/journal.h"
#include "fs/overlay/locate.h"

namespace plyfs {
namespace {

// The root has no name in a directory; the journal knows its attributes under this one.
const JournalName kRootName{.dir = 0, .text = "."};

using Records = std::vector<Record>;

uint8_t EventOf(ChangeEvent::Kind kind) { return static_cast<uint8_t>(kind); }

// Where `dir` and all above it are, if that has not been said before.
void AddDirectories(const Node& dir, Records* records) {
  for (const Node* at = &dir; at->name.parent; at = at->name.parent.get()) {
    if (at->dir->recorded.exchange(true, std::memory_order_acq_rel)) return;
    records->push_back({.type = RecordType::kDirectory,
                        .name = {.dir = at->name.parent->dir->upper_inode, .text = at->name.text},
                        .inode = at->dir->upper_inode});
  }
}

// Names in `dir` are going to be recorded.
void AddHolder(const Node& dir, Records* records) {
  AddDirectories(dir, records);
  dir.dir->may_hold_records.store(true, std::memory_order_relaxed);
}

void AddTouch(const Node& parent, std::string_view name, const FormerState& former, Records* records) {
  AddHolder(parent, records);
  records->push_back({.type = RecordType::kTouch,
                      .name = {.dir = parent.dir->upper_inode, .text = std::string(name)},
                      .former = former});
}

// The directory has gone. What was noted of names in it goes too, which needs a search unless there is nothing.
void AddDrop(const Node& dir, Records* records) {
  if (dir.dir->upper_inode == 0) return;
  const bool searches = dir.dir->may_hold_records.load(std::memory_order_relaxed);
  records->push_back({.type = searches ? RecordType::kDropDirectory : RecordType::kDropUnused, .inode = dir.dir->upper_inode});
}

// A directory that lost a name has another mtime, also where nothing else tells of that name any more.
void AddParent(Core& core, const Node& parent, Records* records) {
  const uint32_t stamp = core.journal->stamp();
  if (!parent.name.parent || parent.recorded(stamp)) return;
  if (parent.dir->lost_name_stamp.exchange(stamp, std::memory_order_acq_rel) == stamp) return;
  const Node& above = *parent.name.parent;
  AddTouch(above, parent.name.text, FormerStateOf(&parent), records);
}

void AddEvent(ChangeEvent::Kind kind, JournalName name, std::string from, Records* records) {
  records->push_back(
      {.type = RecordType::kEvent, .name = std::move(name), .event = EventOf(kind), .from = std::move(from)});
}

JournalName NameIn(const Node& parent, std::string_view name) {
  return {.dir = parent.dir->upper_inode, .text = std::string(name)};
}

std::string UnionPath(const Node& parent, std::string_view name) {
  const std::string dir = LayerPath(parent, LayerIndex::kUpper);
  return (dir.empty() ? "/" : "/" + dir + "/") + std::string(name);
}

// A directory has moved.
void AddPlace(Node& node, const Node& parent, const JournalName& name, Records* records) {
  if (!node.is_directory()) return;
  AddDirectories(parent, records);
  node.dir->recorded.store(true, std::memory_order_release);
  records->push_back({.type = RecordType::kDirectory, .name = name, .inode = node.dir->upper_inode});
}

void AddRename(const JournalName& from, const JournalName& to, uint64_t inode, const std::string& path, Records* records) {
  records->push_back({.type = RecordType::kRename, .name = to, .old_name = from, .inode = inode, .from = path});
}

}  // namespace

FormerState FormerStateOf(const Node* node) {
  if (node == nullptr) return {};
  if (!node->is_directory()) return {.existed = true};
  return {.existed = true, .upper_dir = node->dir->upper_inode, .upper_birth_ns = node->dir->upper_birth_ns};
}

void RecordTouch(Core& core, const Node& parent, std::string_view name, const FormerState& former) {
  if (!core.journal) return;
  Records records;
  AddTouch(parent, name, former, &records);
  core.journal->Append(records);
}

void RecordTouchOf(Core& core, const Node& parent, std::string_view name, const Node& node, const struct statx* upper) {
  if (!core.journal) return;
  // With its only name it has been recorded already.
  const bool has_one_name = node.is_directory() || (upper != nullptr && upper->stx_nlink == 1 && !node.indexed());
  if (has_one_name && node.recorded(core.journal->stamp())) return;
  RecordTouch(core, parent, name, FormerStateOf(&node));
}

void RecordChange(Core& core, const NodeRef& node, ChangeEvents events) {
  if (!core.journal) return;
  const uint32_t stamp = core.journal->stamp();
  if (node->recorded(stamp)) return;
  Records records;
  absl::ReaderMutexLock tree(&core.tree_mutex);
  const FormerState former = FormerStateOf(node.get());
  const auto add = [&](JournalName name) {
    records.push_back({.type = RecordType::kTouch, .name = name, .former = former});
    if (events == ChangeEvents::kModify) AddEvent(ChangeEvent::Kind::kModify, std::move(name), "", &records);
  };
  const auto add_in = [&](const Node& parent, std::string_view name) {
    AddHolder(parent, &records);
    add(NameIn(parent, name));
  };
  if (node->is_directory() && !node->name.parent) {
    add(kRootName);
  } else if (node->is_directory()) {
    if (node->dir->removed) return;
    AddDirectories(*node, &records);
    add_in(*node->name.parent, node->name.text);
  } else {
    for (const NodeTable::NamePlace& place : core.nodes.PlacesOf(*node)) {
      // A name that only a lower has yet: it is found through the link index.
      if (place.parent->dir->upper_inode != 0) add_in(*place.parent, place.text);
    }
  }
  if (records.empty()) return;
  core.journal->Append(records);
  node->SetRecorded(stamp);
}

void RecordChangeAgain(Core& core, const NodeRef& node) {
  if (core.journal && !node->recorded(core.journal->stamp())) RecordChange(core, node, ChangeEvents::kNone);
}

void RecordWriters(Core& core) {
  if (!core.writers) return;
  for (const NodeId id : core.writers()) {
    if (const NodeRef node = core.nodes.Find(id)) RecordChange(core, node, ChangeEvents::kNone);
  }
}

void RecordOrigin(Core& core, const struct statx& upper, Ino shown) {
  if (!core.journal) return;
  core.journal->Append(
      {.type = RecordType::kOrigin, .inode = upper.stx_ino, .value = shown.value, .birth_ns = BirthNsOf(upper)});
}

void RecordCreated(Core& core, const Node& parent, Name name, Node& node) {
  if (!core.journal) return;
  // Before the event: a checkpoint made meanwhile then asks for it again.
  node.SetRecorded(core.journal->stamp());
  Records records;
  // An edit of it while nothing is mounted is found by looking at the directories that are known.
  if (node.is_directory()) {
    AddDirectories(node, &records);
    node.dir->may_hold_records.store(false, std::memory_order_relaxed);
  }
  AddEvent(ChangeEvent::Kind::kCreate, NameIn(parent, name.view()), "", &records);
  core.journal->Append(records);
}

void RecordLinked(Core& core, const Node& parent, Name name, Node& node, uint64_t upper_inode) {
  if (!core.journal) return;
  Records records;
  for (const NodeTable::NamePlace& place : core.nodes.PlacesOf(node)) {
    if (place.parent->dir->upper_inode == 0) continue;
    records.push_back({.type = RecordType::kAlias, .name = NameIn(*place.parent, place.text), .inode = upper_inode});
  }
  AddEvent(ChangeEvent::Kind::kCreate, NameIn(parent, name.view()), "", &records);
  core.journal->Append(records);
}

void RecordGone(Core& core, const RecordedRemoval& removal) {
  if (!core.journal) return;
  Records records;
  AddParent(core, removal.parent, &records);
  if (removal.dir != nullptr) AddDrop(*removal.dir, &records);
  records.push_back({.type = RecordType::kRemoved,
                     .name = NameIn(removal.parent, removal.name.view()),
                     .inode = removal.upper_inode,
                     .value = removal.below ? 1u : 0u,
                     .event = EventOf(ChangeEvent::Kind::kDelete)});
  core.journal->Append(records);
}

void RecordMoved(Core& core, const RecordedMove& move, Node& node, const Node* replaced, bool below, bool left) {
  if (!core.journal) return;
  const JournalName old_name = NameIn(move.parent, move.name.view());
  const JournalName new_name = NameIn(move.new_parent, move.new_name.view());
  const std::string from = UnionPath(move.parent, move.name.view());
  Records records;
  AddParent(core, move.parent, &records);
  if (replaced != nullptr) AddDrop(*replaced, &records);
  if (move.replaced_inode != 0) {
    records.push_back({.type = RecordType::kGone, .name = new_name, .inode = move.replaced_inode, .value = 1});
  }
  AddPlace(node, move.new_parent, new_name, &records);
  if (left) {
    AddRename(old_name, new_name, move.upper_inode, from, &records);
    AddEvent(ChangeEvent::Kind::kRename, new_name, from, &records);
  } else {
    records.push_back({.type = RecordType::kMoved,
                       .name = new_name,
                       .old_name = old_name,
                       .inode = move.upper_inode,
                       .value = below ? 1u : 0u,
                       .event = EventOf(ChangeEvent::Kind::kRename),
                       .from = from});
  }
  core.journal->Append(records);
}

void RecordExchanged(Core& core, const RecordedMove& move, Node& node, Node& other) {
  if (!core.journal) return;
  // No directory has it: what is renamed twice on the way keeps where it came from.
  const JournalName aside{.dir = 0, .text = "exchange"};
  const JournalName name = NameIn(move.parent, move.name.view());
  const JournalName new_name = NameIn(move.new_parent, move.new_name.view());
  const std::string path = UnionPath(move.parent, move.name.view());
  const std::string new_path = UnionPath(move.new_parent, move.new_name.view());
  Records records;
  AddParent(core, move.parent, &records);
  AddParent(core, move.new_parent, &records);
  AddPlace(node, move.new_parent, new_name, &records);
  AddPlace(other, move.parent, name, &records);
  AddRename(name, aside, move.upper_inode, path, &records);
  AddRename(new_name, name, move.replaced_inode, new_path, &records);
  AddRename(aside, new_name, move.upper_inode, path, &records);
  records.push_back({.type = RecordType::kGone, .name = aside});
  AddEvent(ChangeEvent::Kind::kRename, new_name, path, &records);
  AddEvent(ChangeEvent::Kind::kRename, name, new_path, &records);
  core.journal->Append(records);
}

void RecordInodeGone(Core& core, const DiskInode& upper) {
  if (core.numbers.DropOrigin(upper) && core.journal) {
    core.journal->Append({.type = RecordType::kDropOrigin, .inode = upper.inode});
  }
}

void RecordLinksRemoved(Core& core, const DiskInode& lower, uint32_t removed) {
  if (!core.journal) return;
  core.journal->Append(
      {.type = RecordType::kLinksRemoved, .inode = lower.inode, .device = lower.device, .value = removed});
}

}  // namespace plyfs
