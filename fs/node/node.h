// node.h: one object of the union as the kernel knows it: an id, its names, and where its data is.
// Not here: union semantics (fs/overlay), the tables (node_table.h).
// Thread safety: see the comments of the fields and docs/locking.md.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"
#include "fs/base/unique_fd.h"
#include "fs/layer/overlay_xattr.h"

namespace plyfs {

class Node;
class NodeTable;

// Counted reference. While one lives its Node stays, even if the kernel has forgotten it.
class NodeRef {
 public:
  NodeRef() = default;
  NodeRef(const NodeRef& other);
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef();

  Node* get() const { return node_; }
  Node* operator->() const { return node_; }
  Node& operator*() const { return *node_; }
  explicit operator bool() const { return node_ != nullptr; }
  friend bool operator==(const NodeRef& a, const NodeRef& b) { return a.node_ == b.node_; }

 private:
  friend class NodeTable;
  explicit NodeRef(Node* already_counted) : node_(already_counted) {}
  Node* node_ = nullptr;
};

// One name in one directory.
struct NodeName {
  NodeRef parent;
  std::string text;
  Node* node = nullptr;
};

// A directory's part in one layer.
struct DirPart {
  LayerIndex layer{};
  bool xattr_whiteouts = false;
  bool holds_devices = false;

  DirMarks marks() const { return {.xattr_whiteouts = xattr_whiteouts, .holds_devices = holds_devices}; }
};

// What only directories have.
struct DirState {
  absl::InlinedVector<DirPart, 2> parts;  // topmost first, at least one
  // Path from the layer's root where a part is not under its parent's path with the directory's own name. Rare.
  std::unique_ptr<std::map<LayerIndex, std::string>> redirects;
  uint32_t version = 0;  // counts changes of the set of names, so that a listing knows that it is old
  uint64_t upper_inode = 0;  // of the upper part; 0: it has none, or not yet
  int64_t upper_birth_ns = 0;  // of that inode, whose number may be used again; 0: not known
  std::atomic<bool> recorded = false;  // the journal knows where the upper part is
  std::atomic<bool> may_hold_records = true;  // the journal may have records of names in it
  mutable std::atomic<uint32_t> lost_name_stamp = 0;  // Journal::stamp() when it was recorded that a name in it went
  bool removed = false;  // rmdir has been: nothing can be looked up or made in it
  std::unique_ptr<struct statx> removed_stat;  // what stat(2) shows then

  bool has_upper() const { return parts.front().layer == LayerIndex::kUpper; }
  bool merged() const { return parts.size() > 1; }
  bool has_lower() const { return merged() || !has_upper(); }
};

// What few nodes have.
struct RareState {
  std::vector<std::unique_ptr<NodeName>> aliases;  // further names; guarded by the table
  DiskInode inode_key;                             // under which the table knows it; guarded by the table
  UniqueFd held;           // O_PATH of an upper file without a known name
  bool in_orphans = false; // it has a name in WORKDIR/plyfs/orphans
  bool gone = false;       // an object of a lower, with one name, that the union does not show any more
  std::string index_name;  // not empty: it has a name in WORKDIR/plyfs/index
  uint32_t index_remaining = 0;  // names of the lower file that are still shown and lead here
  // A native metacopy file: its data is elsewhere.
  LayerIndex data_layer{};
  std::string data_path;  // from that layer's root; empty: the data is where the attributes are
};

class Node {
 public:
  Node(NodeId node_id, mode_t node_type, LayerIndex node_layer, Ino shown)
      : id(node_id), ino(shown), type(node_type), layer(node_layer) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  bool is_directory() const { return S_ISDIR(type); }
  bool is_regular() const { return S_ISREG(type); }
  RareState& MutableRare() {
    if (!rare) rare = std::make_unique<RareState>();
    return *rare;
  }
  bool orphaned() const { return rare && (rare->in_orphans || rare->held.valid()); }
  bool indexed() const { return rare && !rare->index_name.empty(); }
  // Whether the journal has its names since `stamp` (Journal::stamp()).
  bool recorded(uint32_t stamp) const { return recorded_.load(std::memory_order_acquire) == stamp; }
  void SetRecorded(uint32_t stamp) { recorded_.store(stamp, std::memory_order_release); }
  bool metacopy() const { return rare && !rare->data_path.empty(); }

  // The order of the fields keeps a node small: there may be millions.
  const NodeId id;
  const Ino ino;      // st_ino, for the life of the union
  const mode_t type;  // S_IFMT bits; an object never changes its type

  LayerIndex layer;    // of its attributes, and of its data unless metacopy; for a directory see dir->parts
  bool named = false;  // `name` is in the table; guarded by the table

  // Guards where the object is: layer, dir, rare (but for what the table guards), and, together with the tree lock, name.
  absl::Mutex mutex;
  // Its first name. For an object of a lower this is where it lies there, also after the name has gone from the union.
  NodeName name;
  std::unique_ptr<DirState> dir;
  std::unique_ptr<RareState> rare;

 private:
  friend class NodeTable;
  friend class NodeRef;
  NodeTable* table_ = nullptr;
  // Falls to zero only under the table's lock, so that a look-up there never meets a node that is going.
  std::atomic<uint32_t> references_ = 0;
  std::atomic<uint32_t> recorded_ = 0;
  uint64_t lookups_ = 0;  // what the kernel counts; guarded by the table
};

}  // namespace plyfs
