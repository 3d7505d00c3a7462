// listing.h: the names that a directory of the union shows, in the order in which READDIR hands them out.
// Not here: attributes and nodes (readdir.h), how a whiteout is stored (fs/layer/whiteout.h).
// Thread safety: a Listing is immutable once built; share it freely. ListingCache: any thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"
#include "fs/base/result.h"

namespace plyfs {

struct Core;
class Node;

struct ListedEntry {
  uint64_t cookie = 0;       // offset after this entry: a hash of the name, strictly ascending
  DiskInode inode;           // on the layer that shows it
  uint32_t name_offset = 0;  // in the listing's text
  uint16_t name_length = 0;
  LayerIndex layer{};
  uint8_t type = 0;          // DT_*
  bool merges = false;       // a directory that has parts in several layers: `inode` is the topmost lower's
};

// Cookies are hashes, so a listing can go on from any of them after entries came and went, without a handle.
class Listing {
 public:
  // "." and ".." come first, at these cookies.
  static constexpr uint64_t kDotCookie = 1;
  static constexpr uint64_t kDotDotCookie = 2;

  // 63 bits, above kDotDotCookie. The same for a name in every server that ever serves this union.
  static uint64_t CookieOf(std::string_view name);

  Listing(std::vector<ListedEntry> entries, std::string text, uint32_t version);

  uint32_t version() const { return version_; }
  const std::vector<ListedEntry>& entries() const { return entries_; }
  // NUL-terminated.
  std::string_view NameOf(const ListedEntry& entry) const { return {text_.data() + entry.name_offset, entry.name_length}; }
  // The position of the first entry after `cookie`.
  size_t After(uint64_t cookie) const;
  size_t bytes() const { return entries_.size() * sizeof(ListedEntry) + text_.size(); }

 private:
  std::vector<ListedEntry> entries_;
  std::string text_;
  const uint32_t version_;
};

// Reads all parts of `dir` and merges them. Needs the tree lock and the directory's mutex, shared.
Result<std::shared_ptr<const Listing>> BuildListing(Core& core, const Node& dir);
// Whether the union shows any name in `dir`; the same locks.
Result<bool> IsEmptyDirectory(Core& core, const Node& dir);

// Listings that are being read, bounded in bytes; a listing that was read to its end is dropped.
class ListingCache {
 public:
  std::shared_ptr<const Listing> Get(NodeId id);
  void Put(NodeId id, std::shared_ptr<const Listing> listing);
  void Erase(NodeId id);
  void Clear();

 private:
  struct Item {
    NodeId id;
    std::shared_ptr<const Listing> listing;
  };
  void EraseLocked(NodeId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Item> items_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<uint64_t, std::list<Item>::iterator> index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace plyfs
