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

Result<std::optional<struct statx>> FindInIndex(const Core& core, const DiskInode& lower) {
  if (!core.has_upper() || core.work().index() < 0) return std::optional<struct statx>();
  const std::string name = WorkDir::IndexName(lower);
  const Result<struct statx> stat = StatObject({.dir = core.work().index(), .name = name.c_str()});
  if (stat.ok()) return std::optional<struct statx>(*stat);
  if (MeansAbsent(stat.error())) return std::optional<struct statx>();
  return stat.error();
}

Result<std::optional<IndexMark>> ReadIndexMark(const ObjectRef& object) {
  const Result<std::string> value = ReadMark(object, kIndexMark);
  if (value.error() == ENODATA) return std::optional<IndexMark>();
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

Errno WriteIndexMark(const Core& core, const ObjectRef& object, const IndexMark& mark) {
  const Errno error = core.upper().SetMark(object, kIndexMark, mark.name + " " + std::to_string(mark.remaining));
  // A symlink cannot carry a user. attribute; its count then lives as long as its node.
  return error == EPERM || error == EOPNOTSUPP ? kOk : error;
}

void LoadIndexOrigins(Core& core) {
  if (!core.has_upper() || core.work().index() < 0) return;
  const int index = core.work().index();
  ListDirectory(index, [&](const RawDirEntry& entry) -> Errno {
    DiskInode lower;
    const Result<struct statx> upper = StatObject({.dir = index, .name = entry.name});
    if (upper.ok() && std::sscanf(entry.name, "%" SCNx64 "-%" SCNx64, &lower.device, &lower.inode) == 2) {
      core.numbers.LoadOrigin({.upper_inode = upper->stx_ino,
                               .birth_ns = BirthNsOf(*upper),
                               .shown = core.numbers.FromDisk(lower).value});
    }
    return kOk;
  }).Ignore("without it such files show the numbers of their upper inodes");
}

}  // namespace plyfs
