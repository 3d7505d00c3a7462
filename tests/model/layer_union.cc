// layer_union.cc: for each name the topmost layer that has it decides; directories go on below
// until something that is not a directory, a whiteout or an opaque mark stops them.

#include "tests/model/layer_union.h"

#include <sys/stat.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace plyfs::model {
namespace {

// One name of one layer. Hard links share what they link to.
struct LayerNode {
  const LayerEntry* entry = nullptr;  // of the first name, for a hard link
  bool in_upper = false;
  std::map<std::string, std::unique_ptr<LayerNode>> children;
};

using DirStack = std::vector<const LayerNode*>;

class Merger {
 public:
  explicit Merger(const LayerStackSpec& layers) {
    bool upper = true;
    for (const LayerSpec& layer : layers) {
      roots_.push_back(BuildTree(layer, upper));
      upper = false;
    }
  }

  InodePtr Run() {
    DirStack stack;
    for (const auto& root : roots_) stack.push_back(root.get());
    const InodePtr tree = MergeDir(stack);
    for (auto& [entry, inode] : inodes_) {
      inode->hidden = names_[entry] - inode->nlink;
      inode->linked_in_lower = inode->has_lower && names_[entry] > 1;
    }
    return tree;
  }

 private:
  std::unique_ptr<LayerNode> BuildTree(const LayerSpec& layer, bool upper) {
    auto root = std::make_unique<LayerNode>();
    std::map<std::string, LayerNode*> by_path;
    for (const LayerEntry& entry : layer) {
      auto node = std::make_unique<LayerNode>();
      node->in_upper = upper;
      node->entry = entry.link_to.empty() ? &entry : by_path[entry.link_to]->entry;
      ++names_[node->entry];
      by_path[entry.path] = node.get();
      if (entry.path.empty()) {
        root = std::move(node);
        continue;
      }
      const size_t slash = entry.path.rfind('/');
      const std::string parent = slash == std::string::npos ? "" : entry.path.substr(0, slash);
      by_path[parent]->children[entry.path.substr(slash + 1)] = std::move(node);
    }
    return root;
  }

  // The same name in the directories of a stack: null when it is not shown.
  InodePtr MergeName(const DirStack& parents, const std::string& name) {
    DirStack stack;
    for (const LayerNode* parent : parents) {
      const auto found = parent->children.find(name);
      if (found == parent->children.end()) continue;
      const LayerNode& node = *found->second;
      if (node.entry->whiteout) break;
      if (!S_ISDIR(node.entry->mode)) return stack.empty() ? InodeOf(node) : MergeDir(stack);
      stack.push_back(&node);
      if (node.entry->opaque) break;
    }
    return stack.empty() ? nullptr : MergeDir(stack);
  }

  InodePtr MergeDir(const DirStack& stack) {
    const InodePtr dir = NewInodeLike(*stack.front()->entry);
    dir->has_lower = !stack.back()->in_upper;
    std::set<std::string> names;
    for (const LayerNode* node : stack) {
      for (const auto& [name, child] : node->children) names.insert(name);
    }
    for (const std::string& name : names) {
      const InodePtr child = MergeName(stack, name);
      if (child != nullptr) AddChild(dir, name, child);
    }
    return dir;
  }

  InodePtr InodeOf(const LayerNode& node) {
    InodePtr& inode = inodes_[node.entry];
    if (inode == nullptr) {
      inode = NewInodeLike(*node.entry);
      inode->nlink = 0;
      inode->has_lower = !node.in_upper;
    }
    ++inode->nlink;
    return inode;
  }

  static InodePtr NewInodeLike(const LayerEntry& entry) {
    const InodePtr inode = NewInode(entry.mode);
    inode->uid = entry.uid;
    inode->gid = entry.gid;
    inode->rdev = entry.rdev;
    inode->data = S_ISLNK(entry.mode) ? entry.target : ContentOf(entry);
    inode->xattrs = entry.xattrs;
    inode->mtime = entry.mtime;
    return inode;
  }

  std::vector<std::unique_ptr<LayerNode>> roots_;
  std::map<const LayerEntry*, InodePtr> inodes_;
  std::map<const LayerEntry*, nlink_t> names_;
};

}  // namespace

InodePtr UnionOf(const LayerStackSpec& layers) { return Merger(layers).Run(); }

}  // namespace plyfs::model
