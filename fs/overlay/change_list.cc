// change_list.cc: see change_list.h.
#include "fs/overlay/change_list.h"

#include <algorithm>
#include <map>
#include <set>

#include "fs/overlay/discover.h"
#include "fs/overlay/journal_check.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/lower_links.h"
#include "fs/overlay/recording.h"
#include "fs/overlay/upper_walk.h"

namespace plyfs {
namespace {

// Directories one below the other; more is a circle of damaged records.
constexpr int kMaxDepth = 4096;

// What the journal has, read in one go.
struct Touched {
  std::string path;  // of the directory, "" for the root
  JournalName name;
  FormerState former;
  std::optional<StoredRename> rename;
};

struct JournalView {
  bool since_checkpoint = false;
  int64_t since_ns = INT64_MIN;  // when the checkpoint was made
  std::vector<Touched> names;  // sorted by directory
};

Result<StoredCheckpoint> FindCheckpoint(const Store& store, const std::string& name) {
  if (name.empty()) return StoredCheckpoint{.created_ns = INT64_MIN};
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store.Checkpoints());
  for (const StoredCheckpoint& candidate : all) {
    if (candidate.name == name) return candidate;
  }
  return Errno(ENOENT);
}

Errno ReadJournal(Core& core, const std::string& checkpoint, JournalView* view) {
  const uint64_t root = core.nodes.root()->dir->upper_inode;
  view->since_checkpoint = !checkpoint.empty();
  return core.journal->WithStore([&](Store& store, uint32_t /*epoch*/) -> Errno {
    ASSIGN_OR_RETURN(const StoredCheckpoint since, FindCheckpoint(store, checkpoint));
    const uint32_t first_epoch = since.epoch;
    view->since_ns = since.created_ns;
    // The earliest touch of a name says what was there; touches come sorted by epoch.
    std::map<std::pair<uint64_t, std::string>, FormerState> earliest;
    RETURN_IF_ERROR(store.ForEachTouch(first_epoch, [&](const StoredTouch& touch) {
      earliest.try_emplace({touch.name.dir, touch.name.text}, touch.former);
      return true;
    }));
    JournalPaths paths(store);
    for (const auto& [key, former] : earliest) {
      const std::optional<std::string> path = paths.OfDirectory(root, key.first);
      if (!path) continue;  // a directory that has gone
      Touched touched{.path = *path, .name = {.dir = key.first, .text = key.second}, .former = former};
      touched.rename = store.Rename(touched.name);
      if (touched.rename && touched.rename->epoch < first_epoch) touched.rename.reset();
      view->names.push_back(std::move(touched));
    }
    return kOk;
  });
}

// Judges names one by one.
class ChangeLister {
 public:
  ChangeLister(Core& core, bool since_checkpoint) : core_(core), since_(since_checkpoint) {}

  Errno Add(const Touched& touched) {
    if (touched.name.dir == 0) return AddRoot();
    if (!dir_ || touched.path != dir_path_) {
      ASSIGN_OR_RETURN(dir_, FindDirectoryAt(core_, touched.path));
      dir_path_ = touched.path;
    }
    if (!dir_ || dir_->dir->upper_inode != touched.name.dir) return kOk;  // another directory stands there now
    Name name = Name::Trusted(touched.name.text);
    std::optional<Change> change;
    {
      absl::ReaderMutexLock tree(&core_.tree_mutex);
      absl::ReaderMutexLock lock(&dir_->mutex);
      ASSIGN_OR_RETURN(change, Judge(touched, name));
    }
    if (!change) return kOk;
    change->path = touched.path + "/" + touched.name.text;
    Keep(std::move(*change));
    return kOk;
  }

  // All names of a changed file with several names have changed.
  Errno AddHardLinks(int64_t since_ns) {
    RETURN_IF_ERROR(NoteNamelessCopies(since_ns));
    for (const LinkedFile& file : linked_) {
      std::vector<std::string> names;
      RETURN_IF_ERROR(core_.journal->WithStore([&](Store& store, uint32_t /*epoch*/) -> Errno {
        JournalPaths paths(store);
        for (const JournalName& alias : store.Aliases(file.upper_inode)) {
          if (std::optional<std::string> path = paths.Of(core_.nodes.root()->dir->upper_inode, alias)) {
            names.push_back(std::move(*path));
          }
        }
        return kOk;
      }));
      if (!file.index_name.empty()) {
        ASSIGN_OR_RETURN(const std::vector<std::string> lower, PathsOfLowerLinks(core_, file.index_name));
        names.insert(names.end(), lower.begin(), lower.end());
      }
      for (const std::string& path : names) RETURN_IF_ERROR(AddAlias(file, path));
    }
    return kOk;
  }

  std::vector<Change> Finish() {
    std::vector<Change> changes;
    // A rename is one only if what stood at the old path is gone, or is another thing now.
    for (auto& [path, change] : found_) {
      if (change.renamed_from.empty()) continue;
      const auto old = found_.find(change.renamed_from);
      if (old == found_.end() || old->second.kind == ChangeKind::kAdded || old == found_.find(path)) change.renamed_from.clear();
    }
    std::set<std::string> parents;
    for (const auto& [path, change] : found_) {
      for (size_t slash = path.rfind('/'); slash != 0 && slash != std::string::npos; slash = path.rfind('/', slash - 1)) {
        if (!parents.insert(path.substr(0, slash)).second) break;
      }
    }
    for (const std::string& parent : parents) {
      found_.try_emplace(parent, Change{.kind = ChangeKind::kChanged, .path = parent, .type = S_IFDIR, .implied = true});
    }
    for (auto& [path, change] : found_) changes.push_back(std::move(change));
    // Parents before what is in them: '/' sorts before every other byte.
    std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
      return std::lexicographical_compare(a.path.begin(), a.path.end(), b.path.begin(), b.path.end(), [](char x, char y) {
        const auto rank = [](char c) { return c == '/' ? 0 : 1 + static_cast<unsigned char>(c); };
        return rank(x) < rank(y);
      });
    });
    return changes;
  }

 private:
  struct LinkedFile {
    uint64_t upper_inode = 0;
    Ino ino;
    std::string index_name;  // not empty: lower names lead to it too
  };

  Errno AddRoot() {
    Keep({.kind = ChangeKind::kChanged, .path = "/", .type = S_IFDIR});
    return kOk;
  }

  void Keep(Change change) { found_.insert_or_assign(change.path, change); }

  Result<std::optional<Change>> Judge(const Touched& touched, Name name) {
    ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core_, dir_, name));
    ASSIGN_OR_RETURN(const LayerEntry upper, LookupUpper(core_, *dir_, name));
    ASSIGN_OR_RETURN(const bool below, ShownByLowers(core_, *dir_, name));
    const bool existed = since_ ? touched.former.existed : below;
    if (!found.node) {
      if (!existed) return std::optional<Change>();
      return std::optional<Change>(Change{.kind = ChangeKind::kDeleted});
    }
    const Node& node = *found.node;
    const bool in_upper = upper.kind == LayerEntry::kPresent;
    // Recorded ahead, and then not done; or a lower name of a file that was copied up by another one.
    if (!in_upper && (node.is_directory() || node.layer != LayerIndex::kUpper)) return std::optional<Change>();
    Change change{.kind = existed ? ChangeKind::kChanged : ChangeKind::kAdded, .type = node.type};
    if (node.is_directory() && existed) change.replaced = IsReplaced(touched.former, node, upper.stat);
    if (touched.rename && in_upper && touched.rename->inode == upper.stat.stx_ino) change.renamed_from = touched.rename->from;
    NoteLinks(node, upper);
    return std::optional<Change>(std::move(change));
  }

  bool IsReplaced(const FormerState& former, const Node& dir, const struct statx& upper) const {
    if (since_ && former.upper_dir != 0) {
      return former.upper_dir != upper.stx_ino || former.upper_birth_ns != BirthNsOf(upper);
    }
    return !dir.dir->has_lower() || ShowsAnother(dir);
  }

  // A redirect leads its lower part away from its own name.
  static bool ShowsAnother(const Node& dir) {
    if (!dir.dir->merged() || dir.dir->redirects == nullptr) return false;
    const LayerIndex lower = dir.dir->parts[1].layer;
    const auto redirect = dir.dir->redirects->find(lower);
    if (redirect == dir.dir->redirects->end()) return false;
    const std::string parent = LayerPath(*dir.name.parent, lower);
    return redirect->second != (parent.empty() ? dir.name.text : parent + "/" + dir.name.text);
  }

  // Copies that have lost all their names in the upper, and are shown by names in the lowers still.
  Errno NoteNamelessCopies(int64_t since_ns) {
    const int index = core_.work().index();
    return ListDirectory(index, [&](const RawDirEntry& entry) -> Errno {
      if (IsCountBeside(entry.name)) return kOk;
      const Result<struct statx> stat = StatObject({.dir = index, .name = entry.name});
      if (!stat.ok() || stat->stx_nlink > 1) return kOk;
      if (stat->stx_ctime.tv_sec * 1000000000 + stat->stx_ctime.tv_nsec < since_ns) return kOk;
      linked_.push_back({.upper_inode = stat->stx_ino, .ino = core_.numbers.FromUpper(*stat), .index_name = entry.name});
      return kOk;
    });
  }

  void NoteLinks(const Node& node, const LayerEntry& upper) {
    if (node.is_directory()) return;
    const bool indexed = node.indexed() && node.rare->index_remaining > 0;
    const bool several = upper.kind == LayerEntry::kPresent && upper.stat.stx_nlink > (node.indexed() ? 2u : 1u);
    if (!indexed && !several) return;
    if (upper.kind != LayerEntry::kPresent) return;
    for (const LinkedFile& known : linked_) {
      if (known.upper_inode == upper.stat.stx_ino) return;
    }
    linked_.push_back({.upper_inode = upper.stat.stx_ino, .ino = node.ino, .index_name = indexed ? node.rare->index_name : ""});
  }

  Errno AddAlias(const LinkedFile& file, const std::string& path) {
    if (found_.contains(path)) return kOk;
    const size_t slash = path.rfind('/');
    ASSIGN_OR_RETURN(const NodeRef dir, FindDirectoryAt(core_, path.substr(0, slash)));
    if (!dir) return kOk;
    const std::string text = path.substr(slash + 1);
    absl::ReaderMutexLock tree(&core_.tree_mutex);
    absl::ReaderMutexLock lock(&dir->mutex);
    ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core_, dir, Name::Trusted(text)));
    if (!found.node || found.node->ino.value != file.ino.value) return kOk;
    ASSIGN_OR_RETURN(const bool below, ShownByLowers(core_, *dir, Name::Trusted(text)));
    Keep({.kind = since_ || below ? ChangeKind::kChanged : ChangeKind::kAdded, .path = path, .type = found.node->type});
    return kOk;
  }

  Core& core_;
  const bool since_;
  NodeRef dir_;
  std::string dir_path_;
  std::map<std::string, Change> found_;
  std::vector<LinkedFile> linked_;
};

}  // namespace

std::optional<std::string> JournalPaths::OfDirectory(uint64_t root_inode, uint64_t inode) {
  if (inode == root_inode || inode == 0) return std::string();
  if (const auto found = known_.find(inode); found != known_.end()) return found->second;
  std::vector<std::string> names;
  std::optional<std::string> path;
  for (uint64_t at = inode; names.size() < kMaxDepth;) {
    const std::optional<JournalName> place = store_.Directory(at);
    if (!place) break;
    names.push_back(place->text);
    at = place->dir;
    if (at != root_inode) continue;
    path.emplace();
    for (size_t i = names.size(); i-- > 0;) *path += "/" + names[i];
    break;
  }
  known_.emplace(inode, path);
  return path;
}

std::optional<std::string> JournalPaths::Of(uint64_t root_inode, const JournalName& name) {
  if (name.dir == 0) return std::string("/");
  const std::optional<std::string> dir = OfDirectory(root_inode, name.dir);
  if (!dir) return std::nullopt;
  return *dir + "/" + name.text;
}

namespace {

Result<std::vector<Change>> TryListChanges(Core& core, const std::string& since_checkpoint) {
  RETURN_IF_ERROR(ResolveDoubt(core));
  JournalView view;
  RETURN_IF_ERROR(ReadJournal(core, since_checkpoint, &view));
  ChangeLister lister(core, view.since_checkpoint);
  for (const Touched& touched : view.names) RETURN_IF_ERROR(lister.Add(touched));
  RETURN_IF_ERROR(lister.AddHardLinks(view.since_ns));
  return lister.Finish();
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
