// file_io.cc: see file_io.h.
#include "fs/overlay/file_io.h"

#include "fs/overlay/attr.h"
#include "fs/overlay/locate.h"

namespace plyfs {
namespace {

// Opens an upper file for writing though its mode forbids that to us: the kernel has let the caller open it before, perhaps
// before a chmod. Only a server without CAP_DAC_OVERRIDE comes here, for a file that it owns.
Result<UniqueFd> OpenDespiteMode(const UpperLayer& upper, const ObjectRef& object, int flags) {
  ASSIGN_OR_RETURN(const struct statx stat, StatObject(object));
  RETURN_IF_ERROR(upper.SetMode(object, stat.stx_mode | S_IRUSR | S_IWUSR));
  Result<UniqueFd> fd = OpenRegular(object, flags);
  RETURN_IF_ERROR(upper.SetMode(object, stat.stx_mode));
  return fd;
}

Result<CachedFd> OpenData(Core& core, const Node& node, DataAccess access) {
  if (node.metacopy()) {
    const Layer& data = core.layer(node.rare->data_layer);
    ASSIGN_OR_RETURN(UniqueFd fd, OpenRegularBeneath(data.root(), node.rare->data_path));
    return CachedFd{.fd = std::move(fd)};
  }
  ASSIGN_OR_RETURN(const Located located, Locate(core, node));
  const int flags = access == DataAccess::kWrite ? O_RDWR : O_RDONLY;
  Result<UniqueFd> fd = OpenRegular(located.ref(), flags);
  const bool append_only = fd.error() == EPERM && access == DataAccess::kWrite;
  if (append_only) fd = OpenRegular(located.ref(), flags | O_APPEND);
  if (fd.error() == EACCES && node.layer == LayerIndex::kUpper) fd = OpenDespiteMode(core.upper(), located.ref(), flags);
  if (!fd.ok()) return fd.error();
  return CachedFd{.fd = std::move(fd).value(), .writable = access == DataAccess::kWrite, .append_only = append_only};
}

}  // namespace

Result<FdRef> DataFdLocked(Core& core, const Node& node, DataAccess access) {
  if (node.is_directory()) return Errno(EISDIR);
  if (!node.is_regular()) return Errno(EINVAL);
  FdRef cached = core.files.Get(Value(node.id));
  if (cached && (access == DataAccess::kRead || cached->writable)) return cached;
  ASSIGN_OR_RETURN(CachedFd data, OpenData(core, node, access));
  auto opened = std::make_shared<const CachedFd>(std::move(data));
  // Under the node's mutex: else a copy-up could come between, and the lower's descriptor would replace the upper's.
  core.files.Put(Value(node.id), opened);
  return FdRef(opened);
}

Result<FdRef> DataFd(Core& core, const NodeRef& node, DataAccess access) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&node->mutex);
  return DataFdLocked(core, *node, access);
}

void ReplaceDataFd(Core& core, const Node& node, FdRef fd) { core.files.Put(Value(node.id), std::move(fd)); }

}  // namespace plyfs
