// link_index.cc: see link_index.h.
#include "fs/overlay/link_index.h"

#include <charconv>
#include <cinttypes>
#include <cstdio>

#include "fs/overlay/core.h"

namespace plyfs {
namespace {

// "<index name> <remaining>", both as text; private to plyfs.
constexpr std::string_view kIndexMark = "plyfs.index";
constexpr std::string_view kCountSuffix = ".n";

std::string CountNameOf(const std::string& index_name) { return index_name + std::string(kCountSuffix); }

// See UnmarkedInodes.
Result<std::optional<IndexMark>> ReadCountBeside(const Core& core, const struct statx& stat) {
  if (S_ISREG(stat.stx_mode) || S_ISDIR(stat.stx_mode) || !core.has_upper()) return std::optional<IndexMark>();
  IndexMark mark{.name = core.unmarked_inodes.Find(stat.stx_ino)};
  if (mark.name.empty()) return std::optional<IndexMark>();
  const std::string beside = CountNameOf(mark.name);
  const Result<std::string> count = ReadLinkObject({.dir = core.work().index(), .name = beside.c_str()});
  if (!count.ok()) return std::optional<IndexMark>();
  std::from_chars(count->data(), count->data() + count->size(), mark.remaining);
  return std::optional<IndexMark>(std::move(mark));
}

}  // namespace

uint32_t LinkCounts::Removed(const DiskInode& lower) const {
  absl::call_once(loaded_, load_);
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = removed_.find(lower);
  return found == removed_.end() ? 0 : found->second;
}

uint32_t LinkCounts::AddRemoved(const DiskInode& lower) {
  absl::call_once(loaded_, load_);
  absl::MutexLock lock(&mutex_);
  return ++removed_[lower];
}

void LinkCounts::Load(const DiskInode& lower, uint32_t removed) {
  absl::MutexLock lock(&mutex_);
  removed_[lower] = removed;
}

void UnmarkedInodes::Add(uint64_t upper_inode, std::string index_name) {
  absl::MutexLock lock(&mutex_);
  names_[upper_inode] = std::move(index_name);
}

void UnmarkedInodes::Remove(uint64_t upper_inode) {
  absl::MutexLock lock(&mutex_);
  names_.erase(upper_inode);
}

std::string UnmarkedInodes::Find(uint64_t upper_inode) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = names_.find(upper_inode);
  return found == names_.end() ? std::string() : found->second;
}

std::optional<DiskInode> LowerOfIndexName(const std::string& name) {
  DiskInode lower;
  if (std::sscanf(name.c_str(), "%" SCNx64 "-%" SCNx64, &lower.device, &lower.inode) != 2) return std::nullopt;
  return lower;
}

Result<std::optional<struct statx>> FindInIndex(const Core& core, const DiskInode& lower) {
  if (!core.has_upper() || core.work().index() < 0) return std::optional<struct statx>();
  const std::string name = WorkDir::IndexName(lower);
  const Result<struct statx> stat = StatObject({.dir = core.work().index(), .name = name.c_str()});
  if (stat.ok()) return std::optional<struct statx>(*stat);
  if (MeansAbsent(stat.error())) return std::optional<struct statx>();
  return stat.error();
}

Result<std::optional<IndexMark>> ReadIndexMark(const Core& core, const ObjectRef& object, const struct statx& stat) {
  const Result<std::string> value = ReadMark(object, kIndexMark);
  if (value.error() == ENODATA) return ReadCountBeside(core, stat);
  if (!value.ok()) return value.error();
  const size_t space = value->find(' ');
  if (space == std::string::npos) return std::optional<IndexMark>();
  IndexMark mark{.name = value->substr(0, space)};
  const char* end = value->data() + value->size();
  // A mark of somebody else's making must not name anything outside of the index.
  const bool is_plain = mark.name.find('/') == std::string::npos && mark.name[0] != '.' && !mark.name.empty();
  if (!is_plain || std::from_chars(value->data() + space + 1, end, mark.remaining).ptr != end) {
    return std::optional<IndexMark>();
  }
  return std::optional<IndexMark>(mark);
}

Errno WriteIndexMark(Core& core, const ObjectRef& object, const IndexMark& mark) {
  const std::string count = std::to_string(mark.remaining);
  const Errno error = core.upper().SetMark(object, kIndexMark, mark.name + " " + count);
  if (!(error == EPERM) && !(error == EOPNOTSUPP)) return error;
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(object));
  TempEntry temp(core.work());
  RETURN_IF_ERROR(core.upper().MakeSymlink(temp.ref(), count));
  const std::string beside = CountNameOf(mark.name);
  RETURN_IF_ERROR(core.upper().Rename(temp.ref(), {.dir = core.work().index(), .name = beside.c_str()}, 0));
  temp.Committed();
  core.unmarked_inodes.Add(stat.stx_ino, mark.name);
  return kOk;
}

bool IsCountBeside(std::string_view name) { return name.ends_with(kCountSuffix); }

void DropIndexMark(Core& core, const std::string& name, const struct statx& stat) {
  if (core.unmarked_inodes.Find(stat.stx_ino) != name) return;
  core.unmarked_inodes.Remove(stat.stx_ino);
  const std::string beside = CountNameOf(name);
  core.upper().Unlink({.dir = core.work().index(), .name = beside.c_str()}).Ignore("it is replaced with the next entry of that name");
}

void LoadIndexOrigins(Core& core) {
  if (!core.has_upper() || core.work().index() < 0) return;
  const int index = core.work().index();
  ListDirectory(index, [&](const RawDirEntry& entry) -> Errno {
    const std::string_view name(entry.name);
    const Result<struct statx> upper = StatObject({.dir = index, .name = entry.name});
    if (IsCountBeside(name)) {
      const std::string indexed(name.substr(0, name.size() - kCountSuffix.size()));
      const Result<struct statx> stat = StatObject({.dir = index, .name = indexed.c_str()});
      if (stat.ok()) core.unmarked_inodes.Add(stat->stx_ino, indexed);
    } else if (const std::optional<DiskInode> lower = LowerOfIndexName(entry.name); lower && upper.ok()) {
      core.numbers.LoadOrigin({.upper_inode = upper->stx_ino,
                               .birth_ns = BirthNsOf(*upper),
                               .shown = core.numbers.FromDisk(*lower).value});
    }
    return kOk;
  }).Ignore("without it such files show the numbers of their upper inodes");
}

}  // namespace plyfs
