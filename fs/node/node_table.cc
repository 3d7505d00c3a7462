// node_table.cc: see node_table.h.
#include "fs/node/node_table.h"

#include <algorithm>

#include "absl/hash/hash.h"

namespace plyfs {

NodeRef::NodeRef(const NodeRef& other) : node_(other.node_) {
  if (node_ != nullptr) node_->references_.fetch_add(1, std::memory_order_relaxed);
}

NodeRef::~NodeRef() {
  if (node_ != nullptr) node_->table_->Release(node_);
}

size_t NodeTable::NameHash::operator()(const NameKey& key) const {
  return absl::HashOf(key.parent, absl::string_view(key.text.data(), key.text.size()));
}

NodeTable::NodeTable(std::function<void(Node&)> on_destroy) : on_destroy_(std::move(on_destroy)) {}

NodeTable::~NodeTable() {
  // The kernel sends no FORGET at unmount. Nobody else refers to a node any more, so their references to each other are
  // dropped without counting.
  absl::flat_hash_map<uint64_t, Node*> ids;
  {
    absl::MutexLock lock(&mutex_);
    ids.swap(ids_);
  }
  root_.node_ = nullptr;
  for (const auto& [id, node] : ids) {
    on_destroy_(*node);
    node->name.parent.node_ = nullptr;
    if (!node->rare) continue;
    for (const auto& alias : node->rare->aliases) alias->parent.node_ = nullptr;
  }
  for (const auto& [id, node] : ids) delete node;
}

NodeRef NodeTable::ReferenceLocked(Node* node) {
  node->references_.fetch_add(1, std::memory_order_relaxed);
  return NodeRef(node);
}

Node* NodeTable::MakeLocked(Init init) {
  const uint64_t id = next_id_++;
  auto* node = new Node(static_cast<NodeId>(id), init.type, init.layer, init.ino);
  node->table_ = this;
  node->name.node = node;
  node->dir = std::move(init.dir);
  node->rare = std::move(init.rare);
  ids_[id] = node;
  if (init.inode_key != DiskInode{}) {
    node->MutableRare().inode_key = init.inode_key;
    inodes_[init.inode_key] = node;
  }
  return node;
}

void NodeTable::MakeRoot(Ino ino, std::unique_ptr<DirState> dir) {
  absl::MutexLock lock(&mutex_);
  const LayerIndex layer = dir->parts.front().layer;
  root_ = ReferenceLocked(MakeLocked({.type = S_IFDIR, .layer = layer, .ino = ino, .dir = std::move(dir)}));
}

NodeRef NodeTable::Find(NodeId id) {
  absl::MutexLock lock(&mutex_);
  const auto found = ids_.find(Value(id));
  return found == ids_.end() ? NodeRef() : ReferenceLocked(found->second);
}

NodeRef NodeTable::FindChild(const Node& parent, std::string_view name) {
  absl::MutexLock lock(&mutex_);
  const auto found = names_.find(NameKey{&parent, name});
  return found == names_.end() ? NodeRef() : ReferenceLocked((*found)->node);
}

NodeRef NodeTable::FindByInode(const DiskInode& inode) {
  absl::MutexLock lock(&mutex_);
  const auto found = inodes_.find(inode);
  return found == inodes_.end() ? NodeRef() : ReferenceLocked(found->second);
}

NodeRef NodeTable::Insert(const NodeRef& parent, std::string_view name, Init init) {
  absl::MutexLock lock(&mutex_);
  if (!name.empty()) {
    const auto found = names_.find(NameKey{parent.get(), name});
    if (found != names_.end()) return ReferenceLocked((*found)->node);
    // Another thread may have come to the same file by another of its names.
    const auto linked = init.inode_key != DiskInode{} ? inodes_.find(init.inode_key) : inodes_.end();
    if (linked != inodes_.end()) {
      AddAliasLocked(*linked->second, parent, name);
      return ReferenceLocked(linked->second);
    }
  }
  Node* node = MakeLocked(std::move(init));
  node->name.parent = parent;
  if (!name.empty()) {
    node->name.text = name;
    node->named = true;
    names_.insert(&node->name);
  }
  return ReferenceLocked(node);
}

void NodeTable::AddLookup(Node& node) {
  absl::MutexLock lock(&mutex_);
  ++node.lookups_;
}

void NodeTable::Forget(NodeId id, uint64_t count) {
  Node* node = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = ids_.find(Value(id));
    if (found == ids_.end()) return;
    node = found->second;
    node->lookups_ -= std::min(node->lookups_, count);
    if (!TakeIfUnusedLocked(node)) return;
  }
  DestroyUpwards(node);
}

void NodeTable::AddName(Node& node, const NodeRef& parent, std::string_view name, FirstName first) {
  NodeRef dropped;  // released after the lock
  absl::MutexLock lock(&mutex_);
  node.MutableRare();
  if (names_.contains(NameKey{parent.get(), name})) return;
  if (first == FirstName::kReplace && !node.named) {
    dropped = std::exchange(node.name.parent, parent);
    node.name.text = name;
    node.named = true;
    names_.insert(&node.name);
    return;
  }
  AddAliasLocked(node, parent, name);
}

void NodeTable::AddAliasLocked(Node& node, const NodeRef& parent, std::string_view name) {
  auto alias = std::make_unique<NodeName>(NodeName{.parent = parent, .text = std::string(name), .node = &node});
  names_.insert(alias.get());
  node.rare->aliases.push_back(std::move(alias));
}

NodeName* NodeTable::FindNameLocked(Node& node, const Node& parent, std::string_view name) {
  const auto found = names_.find(NameKey{&parent, name});
  return found == names_.end() || (*found)->node != &node ? nullptr : *found;
}

bool NodeTable::RemoveName(Node& node, const Node& parent, std::string_view name, FirstName first) {
  NodeRef dropped;  // released after the lock
  absl::MutexLock lock(&mutex_);
  NodeName* entry = FindNameLocked(node, parent, name);
  auto* aliases = node.rare ? &node.rare->aliases : nullptr;
  const bool has_aliases = aliases != nullptr && !aliases->empty();
  if (entry == nullptr) return node.named || has_aliases;
  names_.erase(entry);
  if (entry != &node.name) {
    std::erase_if(*aliases, [&](std::unique_ptr<NodeName>& alias) {
      if (alias.get() != entry) return false;
      dropped = std::move(alias->parent);
      return true;
    });
    return node.named || !aliases->empty();
  }
  node.named = false;
  if (!has_aliases || first == FirstName::kKeep) return has_aliases;
  const std::unique_ptr<NodeName> next = std::move(aliases->back());
  aliases->pop_back();
  names_.erase(next.get());
  dropped = std::exchange(node.name.parent, std::move(next->parent));
  node.name.text = std::move(next->text);
  node.named = true;
  names_.insert(&node.name);
  return true;
}

void NodeTable::MoveName(Node& node, const Node& parent, std::string_view name, const NodeRef& new_parent,
                         std::string_view new_name) {
  NodeRef dropped;  // released after the lock
  absl::MutexLock lock(&mutex_);
  NodeName* entry = FindNameLocked(node, parent, name);
  if (entry == nullptr) return;
  names_.erase(entry);
  dropped = std::exchange(entry->parent, new_parent);
  entry->text = new_name;
  names_.insert(entry);
}

void NodeTable::SwapNames(const NameOf& a, const NameOf& b) {
  absl::MutexLock lock(&mutex_);
  const auto find = [this](const NameOf& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = names_.find(NameKey{name.parent.get(), name.text});
    return found == names_.end() ? nullptr : *found;
  };
  NodeName* first = find(a);
  NodeName* second = find(b);
  if (first == nullptr || second == nullptr) return;
  names_.erase(first);
  names_.erase(second);
  std::swap(first->parent, second->parent);
  std::swap(first->text, second->text);
  names_.insert(first);
  names_.insert(second);
}

NodeTable::NamePlace NodeTable::PlaceOf(const Node& node) {
  absl::MutexLock lock(&mutex_);
  if (node.named) return {.parent = node.name.parent, .text = node.name.text};
  if (!node.rare || node.rare->aliases.empty()) return {};
  const NodeName& alias = *node.rare->aliases.front();
  return {.parent = alias.parent, .text = alias.text};
}

std::vector<NodeTable::NamePlace> NodeTable::PlacesOf(const Node& node) {
  absl::MutexLock lock(&mutex_);
  std::vector<NamePlace> places;
  if (node.named) places.push_back({.parent = node.name.parent, .text = node.name.text});
  if (!node.rare) return places;
  for (const auto& alias : node.rare->aliases) places.push_back({.parent = alias->parent, .text = alias->text});
  return places;
}

bool NodeTable::HasOtherName(const Node& node, const Node& parent, std::string_view name) {
  absl::MutexLock lock(&mutex_);
  const size_t names = (node.named ? 1 : 0) + (node.rare ? node.rare->aliases.size() : 0);
  const auto found = names_.find(NameKey{&parent, name});
  const bool is_one = found != names_.end() && (*found)->node == &node;
  return names > (is_one ? 1u : 0u);
}

void NodeTable::RegisterInode(Node& node, const DiskInode& inode) {
  absl::MutexLock lock(&mutex_);
  DiskInode& key = node.MutableRare().inode_key;
  if (key == inode) return;
  if (key != DiskInode{}) inodes_.erase(key);
  key = inode;
  inodes_[inode] = &node;
}

size_t NodeTable::size() const {
  absl::MutexLock lock(&mutex_);
  return ids_.size();
}

void NodeTable::ShrinkToFit() {
  absl::MutexLock lock(&mutex_);
  // rehash(0) fits a table to its size; not worth it for less than half.
  if (ids_.capacity() / 2 > ids_.size()) ids_.rehash(0);
  if (names_.capacity() / 2 > names_.size()) names_.rehash(0);
  if (inodes_.capacity() / 2 > inodes_.size()) inodes_.rehash(0);
}

bool NodeTable::TakeIfUnusedLocked(Node* node) {
  if (node->lookups_ != 0 || node->references_.load(std::memory_order_acquire) != 0) return false;
  ids_.erase(Value(node->id));
  if (node->named) names_.erase(&node->name);
  if (node->rare) {
    for (const auto& alias : node->rare->aliases) names_.erase(alias.get());
    if (node->rare->inode_key != DiskInode{}) inodes_.erase(node->rare->inode_key);
  }
  return true;
}

void NodeTable::Release(Node* node) {
  uint32_t references = node->references_.load(std::memory_order_relaxed);
  while (references > 1) {
    if (node->references_.compare_exchange_weak(references, references - 1, std::memory_order_acq_rel)) return;
  }
  {
    absl::MutexLock lock(&mutex_);
    if (node->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (!TakeIfUnusedLocked(node)) return;
  }
  DestroyUpwards(node);
}

// A loop, since a tree can be deeper than the stack.
void NodeTable::DestroyUpwards(Node* node) {
  while (node != nullptr) {
    on_destroy_(*node);
    Node* parent = std::exchange(node->name.parent.node_, nullptr);
    delete node;
    node = nullptr;
    if (parent == nullptr) return;
    absl::MutexLock lock(&mutex_);
    if (parent->references_.fetch_sub(1, std::memory_order_acq_rel) == 1 && TakeIfUnusedLocked(parent)) node = parent;
  }
}

}  // namespace plyfs
