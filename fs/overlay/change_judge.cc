// change_judge.cc: see change_judge.h.
#include "fs/overlay/change_judge.h"

#include <dirent.h>

#include <deque>

#include "fs/journal/journal.h"
#include "fs/layer/whiteout.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/journal_paths.h"
#include "fs/overlay/link_index.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/lower_links.h"
#include "fs/overlay/upper_walk.h"

namespace plyfs {
namespace {

// Reading directories whole pays for so many names, and as long as they hold not so many times more than that.
constexpr size_t kFewNames = 16;
constexpr size_t kMaxEntriesPerName = 8;
// A descriptor is held for each part meanwhile.
constexpr size_t kMaxParts = 16;

// The names of one part of a directory.
class PartNames {
 public:
  explicit PartNames(const DirPart& part) : part_(part) {}

  // False if there are more than `limit`, or the directory cannot be read.
  bool Read(int fd, size_t limit) {
    std::vector<std::pair<size_t, uint8_t>> found;  // where the name begins in text_, DT_*
    const Errno error = ListDirectory(fd, [&](const RawDirEntry& entry) -> Errno {
      if (found.size() >= limit) return ECANCELED;
      has_wh_ |= HasWhPrefix(entry.name);
      found.emplace_back(text_.size(), entry.type);
      text_.append(entry.name).push_back('\0');
      return kOk;
    });
    if (!error.ok()) return false;
    types_.reserve(found.size());
    for (const auto& [begin, type] : found) types_.try_emplace(text_.data() + begin, type);
    return true;
  }

  // DT_*, if there is such a name.
  std::optional<uint8_t> Find(std::string_view name) const {
    const auto found = types_.find(absl::string_view(name.data(), name.size()));
    return found == types_.end() ? std::nullopt : std::optional<uint8_t>(found->second);
  }
  // A device may be a whiteout, and so may a file where attributes make them.
  bool IsCertain(uint8_t type) const {
    return type != DT_UNKNOWN && type != DT_CHR && !(part_.xattr_whiteouts && type == DT_REG);
  }
  bool has_wh() const { return has_wh_; }

 private:
  const DirPart part_;
  std::string text_;  // NUL-terminated names
  absl::flat_hash_map<absl::string_view, uint8_t> types_;
  bool has_wh_ = false;
};

// What reading the parts of a directory whole tells of its names, so that most need no system call of their own.
class DirectoryNames {
 public:
  // `names`: how many will be asked for. `with_lowers`: else ShownByLowers knows nothing.
  void Read(Core& core, const NodeRef& dir, size_t names, bool with_lowers) {
    if (names < kFewNames || core.upper().override_stat() != OverrideStat::kNone) return;
    std::vector<std::pair<DirPart, FdRef>> parts;
    {
      absl::ReaderMutexLock tree(&core.tree_mutex);
      absl::ReaderMutexLock lock(&dir->mutex);
      if (dir->dir->removed || !dir->dir->has_upper()) return;
      if (dir->dir->parts.size() > kMaxParts) with_lowers = false;
      for (const DirPart& part : dir->dir->parts) {
        if (!with_lowers && part.layer != LayerIndex::kUpper) break;
        Result<FdRef> fd = DirFd(core, *dir, part.layer);
        if (!fd.ok()) return;
        parts.emplace_back(part, std::move(fd).value());
      }
    }
    for (const auto& [part, fd] : parts) {
      parts_.emplace_back(part);
      if (!parts_.back().Read(fd->fd.get(), names * kMaxEntriesPerName)) return;
      upper_fd_ = parts.front().second;
    }
    knows_lowers_ = with_lowers;
  }

  // What the upper has under the name (DT_*), if that is certain. With `has_links` only a file of one name is.
  std::optional<uint8_t> InUpper(const std::string& name, bool has_links) const {
    if (!upper_fd_ || HasWhPrefix(name)) return std::nullopt;
    const std::optional<uint8_t> type = parts_.front().Find(name);
    if (!type || !parts_.front().IsCertain(*type)) return std::nullopt;
    if (!has_links) return type;
    const Result<struct statx> stat = StatObject({.dir = upper_fd_->fd.get(), .name = name.c_str()});
    return stat.ok() && stat->stx_nlink == 1 ? type : std::nullopt;
  }

  // Whether the lowers show it, if that is certain.
  std::optional<bool> ShownByLowers(std::string_view name) const {
    if (!knows_lowers_) return std::nullopt;
    for (size_t i = 1; i < parts_.size(); ++i) {
      if (const std::optional<uint8_t> type = parts_[i].Find(name)) {
        return parts_[i].IsCertain(*type) ? std::optional<bool>(true) : std::nullopt;
      }
      if (parts_[i].has_wh()) return std::nullopt;
    }
    return false;
  }

 private:
  std::deque<PartNames> parts_;  // they refer to themselves
  FdRef upper_fd_;  // null: the upper's names are not known
  bool knows_lowers_ = false;
};

// A redirect leads its lower part away from its own name.
bool ShowsAnother(const Node& dir) {
  if (!dir.dir->merged() || dir.dir->redirects == nullptr) return false;
  const LayerIndex lower = dir.dir->parts[1].layer;
  const auto redirect = dir.dir->redirects->find(lower);
  if (redirect == dir.dir->redirects->end()) return false;
  const std::string parent = LayerPath(*dir.name.parent, lower);
  return redirect->second != (parent.empty() ? dir.name.text : parent + "/" + dir.name.text);
}

bool HasIndexedFiles(const Core& core) {
  return !ListDirectory(core.work().index(), [](const RawDirEntry& /*entry*/) { return Errno(ECANCELED); }).ok();
}

}  // namespace

ChangeJudge::ChangeJudge(Core& core, const JudgeOptions& options, ChangeTree& tree)
    : core_(core), options_(options), tree_(tree), has_links_(options.has_aliases || HasIndexedFiles(core)) {}

Errno ChangeJudge::JudgeDirectory(ChangeTree::Directory& listed) {
  const std::unique_ptr<TouchedDirectory> touched = std::move(listed.touched);
  if (!touched) return kOk;
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectoryAt(core_, touched->path));
  last_ = dir;
  if (!dir || dir->dir->upper_inode != touched->inode) return kOk;  // another directory stands there now
  DirectoryNames names;
  names.Read(core_, dir, touched->names.size(), !options_.since_checkpoint);
  listed.changes.reserve(touched->names.size());
  core_.examined_names.fetch_add(touched->names.size(), std::memory_order_relaxed);
  for (TouchedName& name : touched->names) {
    const std::optional<bool> existed =
        options_.since_checkpoint ? std::optional<bool>(name.former.existed) : names.ShownByLowers(name.text);
    std::optional<uint8_t> type;
    if (existed && name.rename == nullptr) type = names.InUpper(name.text, has_links_);
    std::optional<Change> change;
    if (type && *type != DT_DIR) {
      change.emplace(Change{.kind = *existed ? ChangeKind::kChanged : ChangeKind::kAdded, .type = static_cast<mode_t>(DTTOIF(*type))});
    } else {
      ASSIGN_OR_RETURN(change, Judge(dir, name));
    }
    if (!change) continue;
    change->path = std::move(name.text);
    listed.Insert(std::move(*change));
  }
  return kOk;
}

Result<std::optional<Change>> ChangeJudge::Judge(const NodeRef& dir, const TouchedName& touched) {
  const Name name = Name::Trusted(touched.text);
  absl::ReaderMutexLock tree(&core_.tree_mutex);
  absl::ReaderMutexLock lock(&dir->mutex);
  ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core_, dir, name));
  ASSIGN_OR_RETURN(const LayerEntry upper, LookupUpper(core_, *dir, name));
  ASSIGN_OR_RETURN(const bool below, ShownByLowers(core_, *dir, name));
  const bool existed = options_.since_checkpoint ? touched.former.existed : below;
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

bool ChangeJudge::IsReplaced(const FormerState& former, const Node& dir, const struct statx& upper) const {
  if (options_.since_checkpoint && former.upper_dir != 0) {
    return former.upper_dir != upper.stx_ino || former.upper_birth_ns != BirthNsOf(upper);
  }
  return !dir.dir->has_lower() || ShowsAnother(dir);
}

Errno ChangeJudge::AddHardLinks() {
  RETURN_IF_ERROR(NoteNamelessCopies());
  for (const LinkedFile& file : linked_) {
    std::vector<std::string> names;
    RETURN_IF_ERROR(core_.journal->WithStore([&](Store& store, uint32_t /*epoch*/) -> Errno {
      JournalPaths paths(core_.nodes.root()->dir->upper_inode, store);
      for (const JournalName& alias : store.Aliases(file.upper_inode)) {
        if (std::optional<std::string> path = paths.Of(alias)) {
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

// Copies that have lost all their names in the upper, and are shown by names in the lowers still.
Errno ChangeJudge::NoteNamelessCopies() {
  const int index = core_.work().index();
  return ListDirectory(index, [&](const RawDirEntry& entry) -> Errno {
    if (IsCountBeside(entry.name)) return kOk;
    const Result<struct statx> stat = StatObject({.dir = index, .name = entry.name});
    if (!stat.ok() || stat->stx_nlink > 1) return kOk;
    if (NsOf(stat->stx_ctime) < options_.since_ns) return kOk;
    linked_.push_back({.upper_inode = stat->stx_ino, .ino = core_.numbers.FromUpper(*stat), .index_name = entry.name});
    return kOk;
  });
}

void ChangeJudge::NoteLinks(const Node& node, const LayerEntry& upper) {
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

Errno ChangeJudge::AddAlias(const LinkedFile& file, const std::string& path) {
  if (tree_.Find(path) != nullptr) return kOk;
  const size_t slash = path.rfind('/');
  ASSIGN_OR_RETURN(const NodeRef dir, FindDirectoryAt(core_, path.substr(0, slash)));
  if (!dir) return kOk;
  const std::string text = path.substr(slash + 1);
  absl::ReaderMutexLock tree(&core_.tree_mutex);
  absl::ReaderMutexLock lock(&dir->mutex);
  ASSIGN_OR_RETURN(const FoundNode found, FindOrMakeNode(core_, dir, Name::Trusted(text)));
  if (!found.node || found.node->ino.value != file.ino.value) return kOk;
  ASSIGN_OR_RETURN(const bool below, ShownByLowers(core_, *dir, Name::Trusted(text)));
  tree_.At(path.substr(0, slash))
      .Insert({.kind = options_.since_checkpoint || below ? ChangeKind::kChanged : ChangeKind::kAdded, .path = text, .type = found.node->type});
  return kOk;
}

}  // namespace plyfs
