// change_tree.cc: see change_tree.h.
#include "fs/overlay/change_tree.h"

#include <sys/stat.h>

#include <algorithm>

namespace plyfs {
namespace {

std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }
std::string_view ParentOf(std::string_view path) { return path.substr(0, path.rfind('/')); }

// Calls `visit` with each component of "/a/b"; it returns false to stop.
template <typename Visit>
bool ForEachComponent(std::string_view path, const Visit& visit) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t slash = std::min(path.find('/'), path.size());
    if (!visit(path.substr(0, slash))) return false;
    path.remove_prefix(slash);
  }
  return true;
}

template <typename Changes>
auto LowerBound(Changes& changes, std::string_view name) {
  return std::lower_bound(changes.begin(), changes.end(), name,
                          [](const Change& change, std::string_view wanted) { return NameOf(change.path) < wanted; });
}

void Emit(ChangeTree::Directory& dir, const std::string& path, std::vector<Change>* out);

// A directory that is no change itself is one if it holds any.
void EmitImplied(ChangeTree::Directory& dir, const std::string& path, std::vector<Change>* out) {
  const size_t before = out->size();
  out->push_back({.kind = ChangeKind::kChanged, .path = path, .type = S_IFDIR, .implied = true});
  Emit(dir, path, out);
  if (out->size() == before + 1) out->pop_back();
}

void Emit(ChangeTree::Directory& dir, const std::string& path, std::vector<Change>* out) {
  auto child = dir.children.begin();
  const auto child_path = [&] { return path + "/" + child->first; };
  for (Change& change : dir.changes) {
    const std::string_view name = NameOf(change.path);
    for (; child != dir.children.end() && child->first < name; ++child) EmitImplied(child->second, child_path(), out);
    const bool has_inside = child != dir.children.end() && child->first == name;
    out->push_back(std::move(change));
    if (!has_inside) continue;
    Emit(child->second, child_path(), out);
    ++child;
  }
  for (; child != dir.children.end(); ++child) EmitImplied(child->second, child_path(), out);
  dir.changes = {};
}

}  // namespace

ChangeTree::Directory& ChangeTree::At(std::string_view path) {
  Directory* dir = &root_;
  ForEachComponent(path, [&](std::string_view name) {
    const auto found = dir->children.find(name);
    dir = found != dir->children.end() ? &found->second : &dir->children[std::string(name)];
    return true;
  });
  return *dir;
}

const ChangeTree::Directory* ChangeTree::FindDirectory(std::string_view path) const {
  const Directory* dir = &root_;
  const bool found = ForEachComponent(path, [&](std::string_view name) {
    const auto child = dir->children.find(name);
    if (child == dir->children.end()) return false;
    dir = &child->second;
    return true;
  });
  return found ? dir : nullptr;
}

const Change* ChangeTree::Find(std::string_view path) const {
  const Directory* dir = FindDirectory(ParentOf(path));
  if (dir == nullptr) return nullptr;
  const auto found = LowerBound(dir->changes, NameOf(path));
  return found != dir->changes.end() && found->path == path ? &*found : nullptr;
}

void ChangeTree::Insert(Change change) {
  if (change.path == "/") {
    of_root_ = {std::move(change)};
    return;
  }
  Directory& dir = At(ParentOf(change.path));
  Insert(dir, std::move(change));
}

void ChangeTree::Insert(Directory& dir, Change change) {
  has_renames_ |= !change.renamed_from.empty();
  std::vector<Change>& changes = dir.changes;
  // Names come in order, as a rule.
  if (changes.empty() || NameOf(changes.back().path) < NameOf(change.path)) {
    changes.push_back(std::move(change));
    return;
  }
  const auto place = LowerBound(changes, NameOf(change.path));
  if (place != changes.end() && place->path == change.path) *place = std::move(change);
  else changes.insert(place, std::move(change));
}

// A rename is one only if what stood at the old path is gone, or is another thing now.
void ChangeTree::CheckRenames(Directory& dir) {
  for (Change& change : dir.changes) {
    if (change.renamed_from.empty()) continue;
    const Change* old = Find(change.renamed_from);
    if (old == nullptr || old->kind == ChangeKind::kAdded || old == &change) change.renamed_from.clear();
  }
  for (auto& [name, child] : dir.children) CheckRenames(child);
}

std::vector<Change> ChangeTree::Flatten() {
  if (has_renames_) CheckRenames(root_);
  std::vector<Change> changes = std::move(of_root_);
  Emit(root_, "", &changes);
  root_ = {};
  return changes;
}

}  // namespace plyfs
