// going_link.cc: see going_link.h.
#include "fs/overlay/going_link.h"

#include <cstring>

#include "fs/base/log.h"
#include "fs/overlay/locate.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

// Whether the upper hides a name of the lowers, or has it itself; nullopt if its directory is not there any more.
Result<std::optional<bool>> TakenByUpper(const Core& core, const StoredGoingLink& link) {
  UniqueFd opened;
  if (!link.dir_path.empty()) {
    Result<UniqueFd> fd = OpenDirectoryBeneath(core.upper().root(), link.dir_path);
    if (!fd.ok() && MeansAbsent(fd.error())) return std::optional<bool>();
    if (!fd.ok()) return fd.error();
    opened = std::move(*fd);
  }
  const int dir = opened.valid() ? opened.get() : core.upper().root();
  ASSIGN_OR_RETURN(const struct statx stat, StatObject({.dir = dir}));
  if (stat.stx_ino != link.name.dir) return std::optional<bool>();
  ASSIGN_OR_RETURN(const DirMarks marks, ReadDirMarks({.dir = dir}));
  const Name name = Name::Trusted(link.name.text);
  ASSIGN_OR_RETURN(const LayerEntry entry, core.upper().Lookup(dir, marks, name));
  if (entry.kind != LayerEntry::kAbsent) return std::optional<bool>(true);
  ASSIGN_OR_RETURN(const bool hidden, core.upper().HasWhFile(dir, name));
  return std::optional<bool>(hidden);
}

// The mark on a copy in the index. A copy without any name left goes: nobody would find it any more.
Errno CorrectIndex(Core& core, const StoredGoingLink& link, bool taken) {
  const std::string name = WorkDir::IndexName({.device = link.device, .inode = link.inode});
  const ObjectRef entry{.dir = core.work().index(), .name = name.c_str()};
  const Result<struct statx> stat = StatObject(entry);
  if (!stat.ok()) return MeansAbsent(stat.error()) ? kOk : stat.error();
  ASSIGN_OR_RETURN(const std::optional<IndexMark> mark, ReadIndexMark(core, entry, *stat));
  // A count beside the entry goes before the entry does.
  const uint32_t remaining = mark ? mark->remaining : 0;
  const auto after = static_cast<uint32_t>(link.before - (link.before > 0 ? 1 : 0));
  // Any other count is younger than what the journal knows.
  if (remaining != link.before && remaining != after) return kOk;
  const uint32_t right = taken ? after : static_cast<uint32_t>(link.before);
  if (remaining != right) RETURN_IF_ERROR(WriteIndexMark(core, entry, {.name = name, .remaining = right}));
  if (right > 0 || stat->stx_nlink > 1) return kOk;
  core.numbers.UnloadOrigin(stat->stx_ino);
  core.journal->Append({.type = RecordType::kDropOrigin, .inode = stat->stx_ino});
  DropIndexMark(core, name, *stat);
  return core.upper().Unlink(entry);
}

void CorrectRemoved(Core& core, const StoredGoingLink& link, bool taken) {
  const DiskInode lower{.device = link.device, .inode = link.inode};
  const auto removed = static_cast<uint32_t>(link.before + (taken ? 1 : 0));
  core.link_counts.Load(lower, removed);
  RecordLinksRemoved(core, lower, removed);
}

Errno Settle(Core& core, const StoredGoingLink& link) {
  ASSIGN_OR_RETURN(const std::optional<bool> taken, TakenByUpper(core, link));
  if (taken && link.indexed) RETURN_IF_ERROR(CorrectIndex(core, link, *taken));
  if (taken && !link.indexed) CorrectRemoved(core, link, *taken);
  core.journal->Append({.type = RecordType::kLinkSettled, .inode = link.inode, .device = link.device});
  return kOk;
}

}  // namespace

GoingLink::~GoingLink() {
  if (!announced_) return;
  core_.journal->Append({.type = RecordType::kLinkSettled, .inode = lower_.inode, .device = lower_.device});
}

void GoingLink::Append(RecordType type, const DiskInode& lower, uint32_t before) {
  if (!core_.journal) return;
  core_.journal->Append({.type = type,
                         .name = {.dir = parent_.dir->upper_inode, .text = name_.str()},
                         .inode = lower.inode,
                         .device = lower.device,
                         .value = before,
                         .from = LayerPath(parent_, LayerIndex::kUpper)});
  lower_ = lower;
  announced_ = true;
}

Errno GoingLink::Announce(const Node& node, const struct statx* upper) {
  upper_ = upper;
  if (node.indexed()) {
    const uint32_t remaining = node.rare->index_remaining;
    const std::optional<DiskInode> lower = LowerOfIndexName(node.rare->index_name);
    if (!lower) return kOk;
    // The file's own st_nlink counts a name in the upper; but with the last of all names its copy goes too.
    const bool last = upper != nullptr && upper->stx_nlink == 2 && remaining == 0;
    if (last || (upper == nullptr && remaining > 0)) AnnounceCopy(*lower, remaining);
    return kOk;
  }
  // (A lower file with several names is known by its inode, which is among the rare things.)
  if (upper != nullptr || node.layer == LayerIndex::kUpper || !node.rare) return kOk;
  ASSIGN_OR_RETURN(const Located located, Locate(core_, node));
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(located.ref()));
  if (stat.stx_nlink <= 1) return kOk;
  counted_lower_ = DiskInodeOf(stat);
  Append(RecordType::kLinkGoes, *counted_lower_, core_.link_counts.Removed(*counted_lower_));
  return kOk;
}

void GoingLink::AnnounceCopy(const DiskInode& lower, uint32_t before) {
  Append(RecordType::kIndexedLinkGoes, lower, before);
}

void SettleGoingLinks(Core& core, const GoingLinks& links) {
  for (const auto& [lower, link] : links) {
    const Errno error = Settle(core, link);
    if (error.ok()) continue;
    LogError("st_nlink of the names of '%s' may be wrong until the next mount: %s", link.name.text.c_str(),
             std::strerror(error.value()));
  }
}

}  // namespace plyfs
