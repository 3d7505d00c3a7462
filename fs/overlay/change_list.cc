// change_list.cc: see change_list.h.
#include "fs/overlay/change_list.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "fs/overlay/change_judge.h"
#include "fs/overlay/change_tree.h"
#include "fs/overlay/journal_check.h"
#include "fs/overlay/journal_paths.h"

namespace plyfs {
namespace {

Result<StoredCheckpoint> FindCheckpoint(const Store& store, const std::string& name) {
  if (name.empty()) return StoredCheckpoint{.created_ns = INT64_MIN};
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store.Checkpoints());
  for (const StoredCheckpoint& candidate : all) {
    if (candidate.name == name) return candidate;
  }
  return Errno(ENOENT);
}

// The names that the journal has, read in one go: the database is free again before anything is looked at.
class JournalReader {
 public:
  JournalReader(Core& core, ChangeTree* tree) : root_inode_(core.nodes.root()->dir->upper_inode), tree_(tree) {}

  Errno Read(const Store& store, const std::string& checkpoint) {
    ASSIGN_OR_RETURN(const StoredCheckpoint since, FindCheckpoint(store, checkpoint));
    options_ = {.since_checkpoint = !checkpoint.empty(), .since_ns = since.created_ns, .has_aliases = store.HasAliases()};
    JournalPaths paths(root_inode_, store);
    RETURN_IF_ERROR(store.ForEachTouch(since.epoch, [&](StoredTouch&& touch) {
      if (TouchedDirectory* const dir = DirectoryOf(touch, paths)) {
        std::optional<StoredRename> rename = store.Rename(touch.name, since.epoch);
        has_renames_ |= rename.has_value();
        dir->names.push_back({.text = std::move(touch.name.text),
                              .former = touch.former,
                              .rename = rename ? std::make_unique<StoredRename>(std::move(*rename)) : nullptr});
      }
      return true;
    }));
    for (TouchedDirectory* dir : unsorted_) Sort(dir);
    return kOk;
  }

  const JudgeOptions& options() const { return options_; }
  bool has_renames() const { return has_renames_; }

 private:
  // Null for one that has gone. They come by epoch and directory, and mostly there is one epoch.
  TouchedDirectory* DirectoryOf(const StoredTouch& touch, JournalPaths& paths) {
    if (is_first_ || touch.name.dir != inode_ || touch.epoch != epoch_) {
      is_first_ = false;
      inode_ = touch.name.dir;
      epoch_ = touch.epoch;
      const auto [known, is_new] = known_.try_emplace(inode_);
      if (is_new) known->second = Add(paths);
      else if (known->second != nullptr) unsorted_.insert(known->second);
      dir_ = known->second;
    }
    return dir_;
  }

  TouchedDirectory* Add(JournalPaths& paths) {
    if (inode_ == 0) {
      tree_->SetRoot({.kind = ChangeKind::kChanged, .path = "/", .type = S_IFDIR});
      return nullptr;
    }
    std::optional<std::string> path = paths.OfDirectory(inode_);
    if (!path) return nullptr;
    auto& touched = tree_->At(*path).touched;
    // (Only a damaged database has two in one place.)
    if (touched) return nullptr;
    touched = std::make_unique<TouchedDirectory>(TouchedDirectory{.inode = inode_, .path = std::move(*path)});
    return touched.get();
  }

  // Of several touches of a name the earliest stays: it says what was there.
  static void Sort(TouchedDirectory* dir) {
    std::vector<TouchedName>& names = dir->names;
    std::stable_sort(names.begin(), names.end(), [](const TouchedName& a, const TouchedName& b) { return a.text < b.text; });
    const auto same = [](const TouchedName& a, const TouchedName& b) { return a.text == b.text; };
    names.erase(std::unique(names.begin(), names.end(), same), names.end());
  }

  const uint64_t root_inode_;
  ChangeTree* const tree_;
  JudgeOptions options_;
  bool has_renames_ = false;
  absl::flat_hash_map<uint64_t, TouchedDirectory*> known_;
  absl::flat_hash_set<TouchedDirectory*> unsorted_;
  bool is_first_ = true;
  uint64_t inode_ = 0;
  uint32_t epoch_ = 0;
  TouchedDirectory* dir_ = nullptr;
};

// EUCLEAN: the database was damaged, and nothing has been given to `visit`.
Errno TryListChanges(Core& core, const std::string& since_checkpoint, const OnChange& visit) {
  RETURN_IF_ERROR(ResolveDoubt(core));
  ChangeTree tree;
  JournalReader journal(core, &tree);
  RETURN_IF_ERROR(core.journal->WithStore(
      [&](const Store& store, uint32_t /*epoch*/) { return journal.Read(store, since_checkpoint); }));
  ChangeJudge judge(core, journal.options(), tree);
  const auto judge_directory = [&](ChangeTree::Directory& dir) { return judge.JudgeDirectory(dir); };
  // What is asked about other names can be told only when all are known.
  if (journal.has_renames() || judge.has_links()) {
    RETURN_IF_ERROR(tree.JudgeAll(judge_directory));
    RETURN_IF_ERROR(judge.AddHardLinks());
    tree.CheckRenames();
  }
  return tree.Emit(judge_directory, visit);
}

}  // namespace

Errno ListChanges(Core& core, const std::string& since_checkpoint, const OnChange& visit) {
  if (!core.journal) return EOPNOTSUPP;
  const Errno error = TryListChanges(core, since_checkpoint, visit);
  // The database was damaged: now there is a new one.
  return error == EUCLEAN ? TryListChanges(core, since_checkpoint, visit) : error;
}

}  // namespace plyfs
