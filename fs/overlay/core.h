// core.h: what all operations of the union share. Overlay's methods find a node and hand it, with the Core, to the file of the
// concern; no concern keeps state of its own anywhere else.
// Not here: any decision.
// Thread safety: see each member; the order of locks is in docs/locking.md.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "fs/layer/copy_data.h"
#include "fs/layer/descriptor_cache.h"
#include "fs/layer/layer.h"
#include "fs/layer/upper_layer.h"
#include "fs/layer/work_dir.h"
#include "fs/journal/journal.h"
#include "fs/node/node_table.h"
#include "fs/overlay/config.h"
#include "fs/overlay/copy_up_gate.h"
#include "fs/overlay/ino.h"
#include "fs/overlay/link_index.h"
#include "fs/overlay/listing.h"
#include "fs/overlay/types.h"

namespace plyfs {

struct Core {
  explicit Core(OverlayConfig overlay_config);
  ~Core();

  const Layer& layer(LayerIndex index) const { return *config.layers.layers[Value(index)]; }
  bool read_only() const { return config.layers.upper == nullptr || config.layers.view; }
  bool has_upper() const { return config.layers.upper != nullptr; }
  // Only where has_upper().
  UpperLayer& upper() const { return *config.layers.upper; }
  WorkDir& work() const { return *config.layers.work; }
  const IdMap& ids() const { return config.layers.ids; }
  bool syncs() const { return config.fsync && !config.volatile_upper; }

  const OverlayConfig config;
  std::unique_ptr<Journal> journal;  // null: read-only, or option journal=off
  InodeNumbers numbers;
  DescriptorCache directories;  // key: DirKey
  DescriptorCache files;        // key: nodeid
  ListingCache listings;
  DataCopier copier;
  CopyUpGate copy_up_gate;
  LinkCounts link_counts;
  UnmarkedInodes unmarked_inodes;
  std::vector<FdRef> roots;     // of the layers; the same life as config
  std::atomic<uint64_t> copied_up_files = 0;
  std::atomic<uint64_t> copied_up_bytes = 0;
  std::atomic<uint64_t> examined_names = 0;  // see OverlayCounters
  std::atomic<uint32_t> held_orphans = 0;
  uint32_t max_held_orphans = 0;
  // Shared: the places of directories in the tree stay as they are. Exclusive: one of them moves, or a name moves between
  // directories.
  absl::Mutex tree_mutex;
  absl::Mutex lower_links_mutex;  // held over a walk of a lower; taken with no other lock held
  std::map<std::string, std::vector<std::string>> lower_links;  // see lower_links.h
  absl::once_flag identity_loaded_;
  std::function<std::vector<NodeId>()> writers;  // see Overlay::WatchWriters; null: none
  // The last member: nodes that go still use the others.
  NodeTable nodes;

  static uint64_t DirKey(NodeId id, LayerIndex layer) { return Value(id) << 16 | Value(layer); }

 private:
  void LoadIdentity();
  void OnDestroy(Node& node);
};

// The node behind an id, or ESTALE; with a directory asked for, ENOTDIR for anything else.
Result<NodeRef> FindNode(Core& core, NodeId id);
Result<NodeRef> FindDirectory(Core& core, NodeId id);

}  // namespace plyfs
