// open_files.cc: see open_files.h.
#include "fs/fuse/open_files.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "fs/base/log.h"
#include "fs/fuse/kernel_abi.h"
#include "fs/layer/caller_scope.h"

namespace plyfs {
namespace {

// The bits of a handle.
constexpr uint64_t kCachedOpen = 1;
constexpr uint64_t kPassthroughOpen = 2;
constexpr uint64_t kWritingOpen = 4;

}  // namespace

OpenFiles::Busy OpenFiles::HowOpen(NodeId node) const {
  const Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  const auto found = shard.files.find(node);
  if (found == shard.files.end()) return Busy::kNo;
  return found->second.passthrough > 0 ? Busy::kPassthrough : Busy::kCached;
}

Result<OpenFiles::Opened> OpenFiles::Open(NodeId node, bool writes) {
  const Busy busy = HowOpen(node);
  // One that is open by way of the server stays so, and is copied up with its first write as ever.
  const bool prepares = writes && busy != Busy::kCached;
  if (prepares) RETURN_IF_ERROR(overlay_.PrepareWriting(node));
  UpperFile upper;
  if (busy == Busy::kNo) {
    ASSIGN_OR_RETURN(upper, overlay_.FindUpperFile(node, writes));
  }
  std::optional<Opened> opened = Count(node, writes, !writes || prepares, upper.fd);
  if (!opened) {
    // It was closed, and opened in the other way, meanwhile.
    RETURN_IF_ERROR(overlay_.PrepareWriting(node));
    opened = Count(node, writes, true, upper.fd);
  }
  const bool is_first_cached = opened->handle == kCachedOpen && (opened->flags & FOPEN_KEEP_CACHE) == 0;
  if (!is_first_cached) return *opened;
  // What was cached of an upper file is not true any more if it was written past the server since. (Asked now that this cannot begin.)
  const Result<UpperFile> now = overlay_.FindUpperFile(node, false);
  if (now.ok() && !now->in_upper) opened->flags |= FOPEN_KEEP_CACHE;
  return *opened;
}

// Nullopt, and not counted: it would be written past the server, and nothing is prepared for that.
std::optional<OpenFiles::Opened> OpenFiles::Count(NodeId node, bool writes, bool is_prepared, const FdRef& upper) {
  Opened opened{.handle = kCachedOpen, .flags = FOPEN_NOFLUSH};
  {
    Shard& shard = ShardOf(node);
    absl::MutexLock lock(&shard.mutex);
    File& file = shard.files[node];
    if (file.cached == 0 && file.passthrough == 0 && upper) file.backing_id = Register(upper->fd.get());
    if (file.backing_id == 0) {
      opened.flags |= file.cached == 0 ? 0 : FOPEN_KEEP_CACHE;
      ++file.cached;
      return opened;
    }
    if (!is_prepared) return std::nullopt;
    ++file.passthrough;
    opened = {.handle = kPassthroughOpen, .flags = FOPEN_NOFLUSH | abi::kOpenPassthrough, .backing_id = file.backing_id};
    if (!writes) return opened;
    opened.handle |= kWritingOpen;
    if (++file.writers > 1) return opened;
  }
  written_files_.fetch_add(1, std::memory_order_acq_rel);
  InvalidateAttributes(node);
  return opened;
}

OpenFiles::Opened OpenFiles::OpenCached(NodeId node) {
  Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  ++shard.files[node].cached;
  return {.handle = kCachedOpen, .flags = FOPEN_NOFLUSH | FOPEN_KEEP_CACHE};
}

void OpenFiles::Release(NodeId node, uint64_t handle) {
  bool last_writer = false;
  {
    Shard& shard = ShardOf(node);
    absl::MutexLock lock(&shard.mutex);
    const auto found = shard.files.find(node);
    if (found == shard.files.end()) return;
    File& file = found->second;
    if ((handle & kWritingOpen) != 0 && file.writers > 0) last_writer = --file.writers == 0;
    if ((handle & kPassthroughOpen) != 0 && file.passthrough > 0 && --file.passthrough == 0) {
      Unregister(file.backing_id);
      file.backing_id = 0;
    }
    if ((handle & kCachedOpen) != 0 && file.cached > 0) --file.cached;
    if (file.cached == 0 && file.passthrough == 0) shard.files.erase(found);
  }
  if (!last_writer) return;
  written_files_.fetch_sub(1, std::memory_order_acq_rel);
  InvalidateAttributes(node);
}

bool OpenFiles::HasWriters(NodeId node) const {
  if (written_files_.load(std::memory_order_acquire) == 0) return false;
  const Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  const auto found = shard.files.find(node);
  return found != shard.files.end() && found->second.writers > 0;
}

std::vector<NodeId> OpenFiles::Writers() const {
  std::vector<NodeId> writers;
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mutex);
    for (const auto& [node, file] : shard.files) {
      if (file.writers > 0) writers.push_back(node);
    }
  }
  return writers;
}

// 0 if the kernel does not take it: then it goes by way of the server.
int32_t OpenFiles::Register(int fd) {
  // The kernel opens the file with what this thread may do now. With CAP_FSETID a write would leave setuid bits alone.
  const WithoutFsetid scope;
  abi::BackingMap map{.fd = fd};
  const int id = ::ioctl(device_, abi::kBackingOpen, &map);
  if (id > 0) return id;
  const Errno error = Errno::Last();
  if (!refused_.exchange(true, std::memory_order_relaxed)) {
    LogWarning("io=passthrough: the kernel refuses a file: %s; data goes by way of the server where it does", std::strerror(error.value()));
  }
  return 0;
}

void OpenFiles::Unregister(int32_t id) {
  const auto number = static_cast<uint32_t>(id);
  if (::ioctl(device_, abi::kBackingClose, &number) != 0) LogError("backing file %d: %s", id, std::strerror(errno));
}

// Takes no lock in the kernel that a request holds. ENOENT: it does not know the node any more.
void OpenFiles::InvalidateAttributes(NodeId node) const {
  struct {
    fuse_out_header header;
    fuse_notify_inval_inode_out argument;
  } const notice{.header = {.len = sizeof notice, .error = FUSE_NOTIFY_INVAL_INODE},
                 .argument = {.ino = Value(node), .off = -1}};
  static_cast<void>(::write(device_, &notice, sizeof notice));
}

}  // namespace plyfs
