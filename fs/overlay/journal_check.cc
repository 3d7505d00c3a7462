// journal_check.cc: see journal_check.h.
#include "fs/overlay/journal_check.h"

#include <algorithm>
#include <map>

#include "fs/layer/file_time.h"
#include "fs/overlay/journal_paths.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"
#include "fs/overlay/upper_walk.h"

namespace plyfs {
namespace {

using KnownNames = std::map<std::string, bool>;  // touched in any epoch; whether nothing is there any more

// What the journal knows. Names are read for the directories that are asked for.
class Known {
 public:
  explicit Known(Core& core) : core_(&core) {}

  Errno Read() {
    const Errno error = TryRead();
    // It was damaged: now there is a new one.
    return error == EUCLEAN ? TryRead() : error;
  }

  uint32_t epoch() const { return epoch_; }
  int64_t checkpoint_ns() const { return checkpoint_ns_; }
  const std::map<uint64_t, JournalName>& directories() const { return directories_; }
  // As they were when they were asked for first.
  const KnownNames& NamesIn(uint64_t dir) {
    const auto [found, is_new] = names_.try_emplace(dir);
    KnownNames& names = found->second;
    if (is_new) {
      const Errno error = core_->journal->WithStore([&](Store& store, uint32_t /*epoch*/) {
        // They come by epoch: the last one counts.
        return store.ForEachTouchIn(dir, epoch_, [&](const StoredTouch& touch) {
          names[touch.name.text] = touch.former.gone;
        });
      });
      if (error_.ok()) error_ = error;
    }
    return names;
  }
  bool Has(uint64_t dir, const std::string& name) { return NamesIn(dir).contains(name); }
  // The first of its reading.
  Errno error() const { return error_; }

 private:
  Errno TryRead() {
    *this = Known(*core_);
    return core_->journal->WithStore([&](Store& store, uint32_t epoch) -> Errno {
      epoch_ = epoch;
      ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> checkpoints, store.Checkpoints());
      for (const StoredCheckpoint& checkpoint : checkpoints) checkpoint_ns_ = checkpoint.created_ns;
      return store.ForEachDirectory([&](uint64_t inode, const JournalName& place) { directories_[inode] = place; });
    });
  }

  Core* core_;
  uint32_t epoch_ = 0;
  int64_t checkpoint_ns_ = 0;  // when the last checkpoint was made; 0: there is none
  std::map<uint64_t, JournalName> directories_;  // where it thinks they are
  std::map<uint64_t, KnownNames> names_;
  Errno error_;
};

void Touch(Core& core, const Node& parent, const std::string& name, const FormerState& former) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  if (!parent.dir->removed) RecordTouch(core, parent, name, former);
}

// The journal has a directory where it is.
bool IsPlaced(const Known& known, const Node& dir) {
  if (!dir.name.parent) return true;
  const auto place = known.directories().find(dir.dir->upper_inode);
  return place != known.directories().end() &&
         place->second == JournalName{.dir = dir.name.parent->dir->upper_inode, .text = dir.name.text};
}

// It has it in another place, or nowhere though it has names in it.
bool IsMisplaced(Known& known, const Node& dir) {
  const uint64_t inode = dir.dir->upper_inode;
  return !IsPlaced(known, dir) && (!known.NamesIn(inode).empty() || known.directories().contains(inode));
}

void RecordAlias(Core& core, const UpperName& name) {
  core.journal->Append({.type = RecordType::kAlias,
                        .name = {.dir = name.parent->dir->upper_inode, .text = name.text},
                        .inode = name.inode});
}

void RecordPlace(Core& core, const Node& dir) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  if (!dir.name.parent || dir.dir->removed) return;
  core.journal->Append({.type = RecordType::kDirectory,
                        .name = {.dir = dir.name.parent->dir->upper_inode, .text = dir.name.text},
                        .inode = dir.dir->upper_inode});
}

struct RescanSince {
  int64_t directory_ns = 0;  // ctime of directories that are read
  int64_t file_ns = 0;       // ctime of what counts as changed after the last checkpoint
};

// Reads the directories in doubt and records what differs.
class Rescan {
 public:
  Rescan(Core& core, Known& known, const RescanSince& since) : core_(core), known_(known), since_(since) {}

  Errno Everything() { return Walk({core_.nodes.root()}, [](const Node&) { return true; }); }

  // Only directories that changed since then; of what is found in them, those that are new too.
  Errno Changed() {
    std::vector<NodeRef> start = {core_.nodes.root()};
    JournalPaths paths(core_.nodes.root()->dir->upper_inode, [this](uint64_t inode) -> std::optional<JournalName> {
      const auto place = known_.directories().find(inode);
      return place == known_.directories().end() ? std::nullopt : std::optional<JournalName>(place->second);
    });
    for (const auto& [inode, place] : known_.directories()) {
      const std::optional<std::string> path = paths.OfDirectory(inode);
      if (!path || path->empty() || !MayHaveChanged(inode, *path)) continue;
      ASSIGN_OR_RETURN(NodeRef dir, FindDirectoryAt(core_, *path));
      if (dir && dir->dir->upper_inode == inode) start.push_back(std::move(dir));
    }
    // One that was moved here brings directories whose own times are old.
    return Walk(start, [this](const Node& dir) { return !IsPlaced(known_, dir); });
  }

 private:
  // Asks the upper alone: most directories are as they were, and the union would look at the lowers too.
  bool MayHaveChanged(uint64_t inode, const std::string& path) const {
    const Result<UniqueFd> fd = OpenDirectoryBeneath(core_.upper().root(), path.substr(1));
    if (!fd.ok()) return !MeansAbsent(fd.error());
    const Result<struct statx> stat = StatObject({.dir = fd->get()});
    return !stat.ok() || (stat->stx_ino == inode && NsOf(stat->stx_ctime) >= since_.directory_ns);
  }

  Errno Walk(const std::vector<NodeRef>& start, std::function<bool(const Node&)> descend) {
    return WalkUpper(core_, start,
                     {.enter = [this](const UpperDirectory& dir) {
                        return dir.ctime_ns >= since_.directory_ns || !IsPlaced(known_, *dir.node);
                      },
                      .leave = [this](const UpperDirectory& dir) { RecordMissing(dir); },
                      .name = [this](const UpperName& name) { RecordName(name); },
                      .descend = std::move(descend)});
  }

  void RecordName(const UpperName& name) {
    const bool known = known_.Has(name.parent->dir->upper_inode, name.text);
    if (known && name.only_itself) return;
    if (!name.is_directory && name.nlink > 1) RecordAlias(core_, name);
    if (!known) return Touch(core_, *name.parent, name.text, {.existed = name.below});
    // Changed after the last checkpoint, as far as its time tells.
    if (known_.epoch() > 0 && name.ctime_ns >= since_.file_ns) {
      FormerState former{.existed = true};
      if (name.is_directory && known_.directories().contains(name.inode)) {
        former.upper_dir = name.inode;
        former.upper_birth_ns = name.birth_ns;
      }
      Touch(core_, *name.parent, name.text, former);
    }
  }

  // Names that were there at a checkpoint and are not any more.
  void RecordMissing(const UpperDirectory& dir) {
    // Also where nothing is to be recorded yet: only directories that are known are looked at after an edit.
    if (!IsPlaced(known_, *dir.node)) RecordPlace(core_, *dir.node);
    if (known_.epoch() == 0) return;
    for (const auto& [name, gone] : known_.NamesIn(dir.node->dir->upper_inode)) {
      if (gone || std::binary_search(dir.names.begin(), dir.names.end(), name)) continue;
      Touch(core_, *dir.node, name, {.existed = true});
    }
  }

  Core& core_;
  Known& known_;
  const RescanSince since_;
};

// Compares without believing anything.
class Check {
 public:
  Check(Core& core, Known& known, bool repair) : core_(core), known_(known), repair_(repair) {}

  Errno Run() {
    RETURN_IF_ERROR(WalkUpper(core_, {core_.nodes.root()},
                              {.enter = [](const UpperDirectory&) { return true; },
                               .leave = [this](const UpperDirectory& dir) { CheckPlace(*dir.node); },
                               .name = [this](const UpperName& name) { CheckName(name); },
                               .descend = [](const Node&) { return true; }}));
    return kOk;
  }

  std::vector<FsckFinding> TakeFindings() { return std::move(findings_); }

 private:
  // "" for the root, else "/a/b".
  std::string PathOf(const Node& dir) {
    absl::ReaderMutexLock tree(&core_.tree_mutex);
    const std::string path = LayerPath(dir, LayerIndex::kUpper);
    return path.empty() ? path : "/" + path;
  }

  void CheckName(const UpperName& name) {
    if (known_.Has(name.parent->dir->upper_inode, name.text)) return;
    findings_.push_back({.kind = "unrecorded",
                         .path = PathOf(*name.parent) + "/" + name.text,
                         .detail = "the upper directory has a change that the journal does not know",
                         .repaired = repair_});
    if (repair_) Touch(core_, *name.parent, name.text, {.existed = name.below});
  }

  void CheckPlace(const Node& dir) {
    if (!IsMisplaced(known_, dir)) return;
    findings_.push_back({.kind = "misplaced",
                         .path = PathOf(dir),
                         .detail = "the journal has this directory in another place, so changes in it would be missed",
                         .repaired = repair_});
    if (repair_) RecordPlace(core_, dir);
  }

  Core& core_;
  Known& known_;
  const bool repair_;
  std::vector<FsckFinding> findings_;
};

}  // namespace

Errno ResolveDoubt(Core& core) {
  if (!core.journal->doubt().any()) return kOk;
  Known known(core);
  RETURN_IF_ERROR(known.Read());
  {
    // No operation is between its record, which may have been lost, and its change.
    absl::MutexLock tree(&core.tree_mutex);
    core.journal->StartVerifying();
  }
  RecordWriters(core);
  const Journal::Doubt doubt = core.journal->doubt();
  RescanSince since{.directory_ns = doubt.changed_since_ns, .file_ns = known.checkpoint_ns()};
  // All that is not known to be older counts as changed since the last checkpoint.
  if (doubt.power_failed) since.file_ns = INT64_MIN;
  else if (!doubt.everything) since.file_ns = std::max(since.file_ns, since.directory_ns);
  if (doubt.everything) since.directory_ns = INT64_MIN;
  Rescan rescan(core, known, since);
  RETURN_IF_ERROR(doubt.everything ? rescan.Everything() : rescan.Changed());
  RETURN_IF_ERROR(known.error());
  core.journal->Verified();
  return kOk;
}

Result<std::vector<FsckFinding>> CompareWithUpper(Core& core, bool repair) {
  std::vector<FsckFinding> findings;
  Known known(core);
  const Errno readable = known.Read();
  if (!readable.ok() && !repair && !(readable == ENOTSUP)) {
    findings.push_back({.kind = "corrupt", .detail = "the database cannot be read", .repaired = false});
    return findings;
  }
  RETURN_IF_ERROR(readable);
  const Journal::Doubt doubt = core.journal->doubt();
  if (doubt.everything && core.journal->was_damaged()) {
    findings.push_back({.kind = "corrupt",
                        .detail = "the database was damaged and has been made anew without its checkpoints; the upper directory has "
                                  "to be read once",
                        .repaired = repair});
  } else if (doubt.everything) {
    findings.push_back({.kind = "stale",
                        .detail = "the journal says itself that it may lack changes (a crash of the machine, a full disk, or a mount "
                                  "without journal); the upper directory has to be read once",
                        .repaired = repair});
  }
  // Before anything is mended, which would be found known.
  Check check(core, known, repair);
  RETURN_IF_ERROR(check.Run());
  RETURN_IF_ERROR(known.error());
  for (FsckFinding& finding : check.TakeFindings()) findings.push_back(std::move(finding));
  if (repair) RETURN_IF_ERROR(ResolveDoubt(core));
  return findings;
}

}  // namespace plyfs
