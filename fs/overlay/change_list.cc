// change_list.cc: see change_list.h.
#include "fs/overlay/change_list.h"

#include <algorithm>
#include <tuple>

#include "fs/overlay/change_judge.h"
#include "fs/overlay/change_tree.h"
#include "fs/overlay/journal_check.h"
#include "fs/overlay/journal_paths.h"

namespace plyfs {
namespace {

// What the journal has, read in one go.
struct JournalView {
  JudgeOptions options;
  std::vector<TouchedDirectory> directories;
};

Result<StoredCheckpoint> FindCheckpoint(const Store& store, const std::string& name) {
  if (name.empty()) return StoredCheckpoint{.created_ns = INT64_MIN};
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store.Checkpoints());
  for (const StoredCheckpoint& candidate : all) {
    if (candidate.name == name) return candidate;
  }
  return Errno(ENOENT);
}

// By directory and name. Of several touches of a name the earliest stays: it says what was there.
Result<std::vector<StoredTouch>> ReadTouches(const Store& store, uint32_t first_epoch) {
  std::vector<StoredTouch> touches;
  RETURN_IF_ERROR(store.ForEachTouch(first_epoch, [&](StoredTouch&& touch) {
    touches.push_back(std::move(touch));
    return true;
  }));
  // They come by epoch, and mostly there is one.
  if (touches.empty() || touches.front().epoch == touches.back().epoch) return touches;
  std::stable_sort(touches.begin(), touches.end(), [](const StoredTouch& a, const StoredTouch& b) {
    return std::tie(a.name.dir, a.name.text) < std::tie(b.name.dir, b.name.text);
  });
  const auto same = [](const StoredTouch& a, const StoredTouch& b) { return a.name == b.name; };
  touches.erase(std::unique(touches.begin(), touches.end(), same), touches.end());
  return touches;
}

Errno ReadJournal(Core& core, const std::string& checkpoint, JournalView* view) {
  return core.journal->WithStore([&](Store& store, uint32_t /*epoch*/) -> Errno {
    ASSIGN_OR_RETURN(const StoredCheckpoint since, FindCheckpoint(store, checkpoint));
    view->options = {.since_checkpoint = !checkpoint.empty(), .since_ns = since.created_ns, .has_aliases = store.HasAliases()};
    ASSIGN_OR_RETURN(std::vector<StoredTouch> touches, ReadTouches(store, since.epoch));
    JournalPaths paths(core.nodes.root()->dir->upper_inode, store);
    for (size_t i = 0; i < touches.size();) {
      const uint64_t inode = touches[i].name.dir;
      size_t end = i;
      while (end < touches.size() && touches[end].name.dir == inode) ++end;
      std::optional<std::string> path = paths.OfDirectory(inode);
      if (!path) {  // a directory that has gone
        i = end;
        continue;
      }
      TouchedDirectory dir{.inode = inode, .path = std::move(*path)};
      dir.names.reserve(end - i);
      for (; i < end; ++i) {
        std::optional<StoredRename> rename = store.Rename(touches[i].name, since.epoch);
        dir.names.push_back({.text = std::move(touches[i].name.text),
                             .former = touches[i].former,
                             .rename = rename ? std::make_unique<StoredRename>(std::move(*rename)) : nullptr});
      }
      view->directories.push_back(std::move(dir));
    }
    return kOk;
  });
}

Result<std::vector<Change>> TryListChanges(Core& core, const std::string& since_checkpoint) {
  RETURN_IF_ERROR(ResolveDoubt(core));
  JournalView view;
  RETURN_IF_ERROR(ReadJournal(core, since_checkpoint, &view));
  ChangeTree tree;
  ChangeJudge judge(core, view.options, tree);
  for (TouchedDirectory& dir : view.directories) {
    RETURN_IF_ERROR(judge.AddDirectory(dir));
    dir = {};  // the memory is wanted for the list
  }
  RETURN_IF_ERROR(judge.AddHardLinks());
  return tree.Flatten();
}

}  // namespace

Result<std::vector<Change>> ListChanges(Core& core, const std::string& since_checkpoint) {
  if (!core.journal) return Errno(EOPNOTSUPP);
  Result<std::vector<Change>> changes = TryListChanges(core, since_checkpoint);
  // The database was damaged: now there is a new one.
  if (changes.error() == EUCLEAN) changes = TryListChanges(core, since_checkpoint);
  return changes;
}

}  // namespace plyfs
