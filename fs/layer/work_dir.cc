// work_dir.cc: see work_dir.h.
#include "fs/layer/work_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "fs/layer/layer.h"

namespace plyfs {
namespace {

// Longer than any that we write.
constexpr size_t kMaxNote = size_t{1} << 20;
constexpr const char* kVolatileMark[] = {"work", "incompat", "volatile"};

// `name` below `dir`, made if it is not there.
Result<UniqueFd> OpenOrMake(int dir, const char* name) {
  if (::mkdirat(dir, name, 0700) != 0 && errno != EEXIST) return Errno::Last();
  return OpenDirectory({.dir = dir, .name = name});
}

Errno RemoveEntries(int dir) {
  std::vector<std::string> names;
  RETURN_IF_ERROR(ListDirectory(dir, [&](const RawDirEntry& entry) -> Errno {
    names.emplace_back(entry.name);
    return kOk;
  }));
  for (const std::string& name : names) RETURN_IF_ERROR(RemoveTree({.dir = dir, .name = name.c_str()}));
  return kOk;
}

}  // namespace

// What lies here has the depth of what was being removed from the union: an emptied directory with whiteouts, so one level;
// recursion cannot grow with user input.
Errno RemoveTree(const ObjectRef& object) {
  if (::unlinkat(object.dir, object.name, 0) == 0) return kOk;
  if (const Errno error = Errno::Last(); !(error == EISDIR || error == EPERM)) return MeansAbsent(error) ? kOk : error;
  if (::unlinkat(object.dir, object.name, AT_REMOVEDIR) == 0) return kOk;
  if (const Errno error = Errno::Last(); !(error == ENOTEMPTY || error == EEXIST)) {
    return MeansAbsent(error) ? kOk : error;
  }
  {
    ASSIGN_OR_RETURN(UniqueFd dir, OpenDirectory(object));
    if ((::fcntl(dir.get(), F_GETFL) & O_PATH) != 0) {
      if (::fchmodat(object.dir, object.name, 0700, 0) != 0) return Errno::Last();
      ASSIGN_OR_RETURN(dir, OpenDirectory(object));
    }
    RETURN_IF_ERROR(RemoveEntries(dir.get()));
  }
  return Errno::Of(::unlinkat(object.dir, object.name, AT_REMOVEDIR));
}

std::string WorkDir::IndexName(const DiskInode& lower) {
  char name[40];
  std::snprintf(name, sizeof name, "%llx-%llx", static_cast<unsigned long long>(lower.device),
                static_cast<unsigned long long>(lower.inode));
  return name;
}

Result<std::unique_ptr<WorkDir>> WorkDir::Open(UniqueFd work) {
  ASSIGN_OR_RETURN(UniqueFd own, OpenOrMake(work.get(), "plyfs"));
  ASSIGN_OR_RETURN(UniqueFd tmp, OpenOrMake(own.get(), "tmp"));
  ASSIGN_OR_RETURN(UniqueFd orphans, OpenOrMake(own.get(), "orphans"));
  ASSIGN_OR_RETURN(UniqueFd index, OpenOrMake(own.get(), "index"));
  RETURN_IF_ERROR(RemoveEntries(tmp.get()));
  RETURN_IF_ERROR(RemoveEntries(orphans.get()));
  return std::unique_ptr<WorkDir>(
      new WorkDir(std::move(work), std::move(own), std::move(tmp), std::move(orphans), std::move(index)));
}

std::unique_ptr<WorkDir> WorkDir::View(int work) {
  Result<UniqueFd> own = OpenDirectory({.dir = work, .name = "plyfs"});
  if (!own.ok()) return std::unique_ptr<WorkDir>(new WorkDir({}, {}, {}, {}, {}));
  Result<UniqueFd> index = OpenDirectory({.dir = own->get(), .name = "index"});
  if (!index.ok()) return std::unique_ptr<WorkDir>(new WorkDir({}, {}, {}, {}, {}));
  return std::unique_ptr<WorkDir>(new WorkDir({}, {}, {}, {}, std::move(index).value()));
}

Errno WorkDir::Discard(const std::string& temp_name) const {
  return RemoveTree({.dir = tmp_.get(), .name = temp_name.c_str()});
}

Result<std::string> WorkDir::ReadNote(const char* name) const {
  const Result<UniqueFd> note = OpenRegular({.dir = own_.get(), .name = name}, O_RDONLY);
  if (!note.ok()) return note.error() == ENOENT ? Result<std::string>(std::string()) : note.error();
  std::string text(kMaxNote, '\0');
  const ssize_t size = ::pread(note->get(), text.data(), text.size(), 0);
  if (size < 0) return Errno::Last();
  text.resize(static_cast<size_t>(size));
  return text;
}

Errno WorkDir::WriteNote(const char* name, std::string_view text) const {
  if (text.empty()) return RemoveTree({.dir = own_.get(), .name = name});
  const std::string temp = "tmp/" + std::string(name);
  const UniqueFd note(::openat(own_.get(), temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!note.valid()) return Errno::Last();
  const ssize_t size = ::write(note.get(), text.data(), text.size());
  if (size < 0) return Errno::Last();
  if (static_cast<size_t>(size) != text.size()) return ENOSPC;
  return Errno::Of(::renameat(own_.get(), temp.c_str(), own_.get(), name));
}

Result<bool> WorkDir::HasVolatileMark() const {
  const Result<struct statx> stat = StatObject({.dir = work_.get(), .name = "work/incompat/volatile"});
  if (stat.ok()) return true;
  if (MeansAbsent(stat.error())) return false;
  return stat.error();
}

Errno WorkDir::WriteVolatileMark() const {
  UniqueFd at(::fcntl(work_.get(), F_DUPFD_CLOEXEC, 0));
  if (!at.valid()) return Errno::Last();
  for (const char* name : kVolatileMark) {
    ASSIGN_OR_RETURN(at, OpenOrMake(at.get(), name));
  }
  return kOk;
}

}  // namespace plyfs
