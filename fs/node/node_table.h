// node_table.h: NodeId -> Node, (directory, name) -> Node, (device, inode) -> Node; nlookup and forget.
// Not here: what a node stands for (fs/overlay).
// Thread safety: any thread. One mutex, held for table look-ups only, never over a system call.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "fs/node/node.h"

namespace plyfs {

class NodeTable {
 public:
  // `on_destroy` runs without the table's lock for each node that goes, when nothing refers to it any more.
  explicit NodeTable(std::function<void(Node&)> on_destroy);
  ~NodeTable();
  NodeTable(const NodeTable&) = delete;
  NodeTable& operator=(const NodeTable&) = delete;

  // Makes the root, once, before anything else is asked.
  void MakeRoot(Ino ino, std::unique_ptr<DirState> dir);
  NodeRef root() const { return root_; }

  // Null if the kernel does not hold such a node.
  NodeRef Find(NodeId id);
  // Null if no node has that name now.
  NodeRef FindChild(const Node& parent, std::string_view name);
  // Null if no node is registered under that inode.
  NodeRef FindByInode(const DiskInode& inode);

  struct Init {
    mode_t type = 0;
    LayerIndex layer{};
    Ino ino;
    std::unique_ptr<DirState> dir;
    std::unique_ptr<RareState> rare;
    DiskInode inode_key;  // registered when not zero
  };
  // The node under (parent, name), made from `init` unless another thread was first or the inode is registered by another
  // name, which then becomes one more of the same node; empty name: an object without a name.
  // `parent` is kept by the node in either case.
  NodeRef Insert(const NodeRef& parent, std::string_view name, Init init);

  // One more for the kernel.
  void AddLookup(Node& node);
  void Forget(NodeId id, uint64_t count);

  // What becomes of a node's first name, which says where it lies.
  enum class FirstName {
    kReplace,  // it follows the names of the union: an object in the upper
    kKeep,     // it stays whatever happens to the names: an object in a lower
  };
  // One more name (a hard link). With kReplace, a node without any name takes it as its first; that needs the node's mutex
  // exclusively.
  void AddName(Node& node, const NodeRef& parent, std::string_view name, FirstName first);
  // Takes a name away; with kReplace another known name becomes the first. False if the table has no name of the node any
  // more. Needs the node's mutex exclusively.
  bool RemoveName(Node& node, const Node& parent, std::string_view name, FirstName first);
  // Renames. Needs the node's mutex exclusively.
  void MoveName(Node& node, const Node& parent, std::string_view name, const NodeRef& new_parent,
                std::string_view new_name);
  // Exchanges what two names stand for. Needs the mutexes of both nodes exclusively.
  struct NameOf {
    NodeRef parent;
    std::string_view text;
  };
  void SwapNames(const NameOf& a, const NameOf& b);
  // A name that the node has now; a null parent: none.
  struct NamePlace {
    NodeRef parent;
    std::string text;
  };
  NamePlace PlaceOf(const Node& node);
  // All that the table knows.
  std::vector<NamePlace> PlacesOf(const Node& node);
  // Whether the table knows a name of the node besides (parent, name).
  bool HasOtherName(const Node& node, const Node& parent, std::string_view name);
  // A file has got several names: look-ups of any of them must find this node.
  void RegisterInode(Node& node, const DiskInode& inode);

  size_t size() const;
  // Gives back table memory that was needed for more nodes than there are now.
  void ShrinkToFit();

 private:
  friend class NodeRef;

  struct NameKey {
    const Node* parent;
    std::string_view text;
  };
  struct NameHash {
    using is_transparent = void;
    size_t operator()(const NameKey& key) const;
    size_t operator()(const NodeName* name) const { return (*this)(NameKey{name->parent.get(), name->text}); }
  };
  struct NameEqual {
    using is_transparent = void;
    static NameKey KeyOf(const NodeName* name) { return {name->parent.get(), name->text}; }
    static NameKey KeyOf(const NameKey& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      const NameKey x = KeyOf(a);
      const NameKey y = KeyOf(b);
      return x.parent == y.parent && x.text == y.text;
    }
  };

  NodeRef ReferenceLocked(Node* node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  NodeName* FindNameLocked(Node& node, const Node& parent, std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddAliasLocked(Node& node, const NodeRef& parent, std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Node* MakeLocked(Init init) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Out of every table if nobody refers to it; then the caller destroys it.
  bool TakeIfUnusedLocked(Node* node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release(Node* node);
  // Destroys a node that is out of the tables and whatever that leaves unused above it.
  void DestroyUpwards(Node* node);

  const std::function<void(Node&)> on_destroy_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Node*> ids_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<NodeName*, NameHash, NameEqual> names_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<DiskInode, Node*> inodes_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = Value(NodeId::kRoot);
  NodeRef root_;
};

}  // namespace plyfs
