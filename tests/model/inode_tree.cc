// inode_tree.cc: the walk along a path.

#include "tests/model/inode_tree.h"

#include <errno.h>

#include <string>
#include <vector>

namespace plyfs::model {
namespace {

constexpr int kMaxSymlinks = 40;

// The components still to walk, the next one last.
void PushComponents(const std::string& path, std::vector<std::string>* todo) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= path.size()) {
    size_t end = path.find('/', begin);
    if (end == std::string::npos) end = path.size();
    if (end > begin) parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  todo->insert(todo->end(), parts.rbegin(), parts.rend());
}

Walk Failed(int error) {
  Walk walk;
  walk.error = error;
  return walk;
}

Walk Left() {
  Walk walk;
  walk.leaves = true;
  return walk;
}

Walk Found(const InodePtr& parent, const std::string& last, const InodePtr& node) {
  Walk walk;
  walk.parent = parent;
  walk.last = last;
  walk.node = node;
  walk.dots = last == "." || last == "..";
  return walk;
}

}  // namespace

Walk WalkPath(const InodePtr& start, const std::string& path, FinalSymlink final_symlink) {
  if (path.empty()) return Failed(ENOENT);
  if (path[0] == '/') return Left();
  std::vector<std::string> todo;
  PushComponents(path, &todo);
  InodePtr current = start;
  int symlinks = 0;
  while (true) {
    const std::string name = todo.back();
    todo.pop_back();
    const bool is_last = todo.empty();
    if (!current->IsDir()) return Failed(ENOTDIR);
    InodePtr next;
    if (name == ".") {
      next = current;
    } else if (name == "..") {
      next = current->parent.lock();
      if (next == nullptr) return Left();
    } else {
      if (name.size() > kNameMax) {
        Walk walk = Failed(ENAMETOOLONG);
        walk.in_last = is_last;
        return walk;
      }
      const auto found = current->children.find(name);
      if (found != current->children.end()) next = found->second;
    }
    if (next == nullptr && !is_last) return Failed(ENOENT);
    const bool follow = !is_last || final_symlink == FinalSymlink::kFollow;
    if (next == nullptr || !next->IsLink() || !follow) {
      if (is_last) return Found(current, name, next);
      current = next;
      continue;
    }
    if (++symlinks > kMaxSymlinks) return Failed(ELOOP);
    if (next->data[0] == '/') return Left();
    PushComponents(next->data, &todo);
  }
}

InodePtr NewInode(mode_t mode) {
  auto inode = std::make_shared<Inode>();
  inode->mode = mode;
  return inode;
}

void AddChild(const InodePtr& parent, const std::string& name, const InodePtr& inode) {
  parent->children[name] = inode;
  if (inode->IsDir()) inode->parent = parent;
}

bool IsBelow(const InodePtr& dir, InodePtr inode) {
  for (; inode != nullptr; inode = inode->parent.lock()) {
    if (inode == dir) return true;
  }
  return false;
}

std::map<std::string, InodePtr> AllPaths(const InodePtr& root) {
  std::map<std::string, InodePtr> out;
  std::vector<std::pair<std::string, InodePtr>> todo = {{"", root}};
  while (!todo.empty()) {
    const auto [path, inode] = todo.back();
    todo.pop_back();
    out[path] = inode;
    for (const auto& [name, child] : inode->children) {
      todo.emplace_back(path.empty() ? name : path + "/" + name, child);
    }
  }
  return out;
}

}  // namespace plyfs::model
