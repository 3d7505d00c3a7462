// descriptor_cache.h: open descriptors that are kept only for speed, the least recently used closed first.
// Not here: what is opened and how (fs/overlay/locate.h, file_io.h).
// Thread safety: any thread. A descriptor that is in use stays open until its last user drops it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/unique_fd.h"

namespace plyfs {

struct CachedFd {
  UniqueFd fd;
  bool writable = false;
  bool append_only = false;  // opened with O_APPEND since nothing else is allowed (chattr +a)
};
using FdRef = std::shared_ptr<const CachedFd>;

class DescriptorCache {
 public:
  explicit DescriptorCache(size_t capacity) : capacity_(capacity) {}

  // The descriptor under `key`, or null.
  FdRef Get(uint64_t key) {
    absl::MutexLock lock(&mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->fd;
  }

  // Puts or replaces.
  void Put(uint64_t key, FdRef fd) {
    std::list<Item> dropped;  // closed after the lock is released: close(2) may take long
    absl::MutexLock lock(&mutex_);
    const auto found = index_.find(key);
    if (found != index_.end()) {
      dropped.splice(dropped.begin(), order_, found->second);
      index_.erase(found);
    }
    order_.push_front({key, std::move(fd)});
    index_[key] = order_.begin();
    while (order_.size() > capacity_) {
      index_.erase(order_.back().key);
      dropped.splice(dropped.begin(), order_, std::prev(order_.end()));
    }
  }

  void Erase(uint64_t key) {
    std::list<Item> dropped;
    absl::MutexLock lock(&mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    dropped.splice(dropped.begin(), order_, found->second);
    index_.erase(found);
  }

  void Clear() {
    std::list<Item> dropped;
    absl::MutexLock lock(&mutex_);
    dropped.swap(order_);
    absl::flat_hash_map<uint64_t, std::list<Item>::iterator>().swap(index_);
  }

  size_t size() const {
    absl::MutexLock lock(&mutex_);
    return order_.size();
  }
  size_t capacity() const { return capacity_; }

 private:
  struct Item {
    uint64_t key;
    FdRef fd;
  };

  const size_t capacity_;
  mutable absl::Mutex mutex_;
  std::list<Item> order_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<uint64_t, std::list<Item>::iterator> index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace plyfs
