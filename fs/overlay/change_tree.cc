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
                          [](const Change& change, std::string_view wanted) { return std::string_view(change.path) < wanted; });
}

template <typename Visit>
Errno ForEachDirectory(ChangeTree::Directory& dir, const Visit& visit) {
  RETURN_IF_ERROR(visit(dir));
  for (auto& [name, child] : dir.children) RETURN_IF_ERROR(ForEachDirectory(child, visit));
  return kOk;
}

class Emitter {
 public:
  Emitter(const ChangeTree::Judge& judge, const OnChange& visit) : judge_(judge), visit_(visit) {}

  // ECANCELED: `visit` has ended it.
  Errno Emit(ChangeTree::Directory& dir) {
    RETURN_IF_ERROR(judge_(dir));
    auto child = dir.children.begin();
    for (Change& change : dir.changes) {
      for (; child != dir.children.end() && child->first < change.path; ++child) RETURN_IF_ERROR(EmitImplied(child));
      const bool has_inside = child != dir.children.end() && child->first == change.path;
      RETURN_IF_ERROR(EmitOne(change));
      if (!has_inside) continue;
      RETURN_IF_ERROR(EmitInside(child));
      ++child;
    }
    for (; child != dir.children.end(); ++child) RETURN_IF_ERROR(EmitImplied(child));
    dir = {};
    return kOk;
  }

 private:
  using Child = decltype(ChangeTree::Directory::children)::iterator;

  Errno EmitInside(Child child) {
    const size_t length = path_.size();
    path_.append("/").append(child->first);
    RETURN_IF_ERROR(Emit(child->second));
    path_.resize(length);
    return kOk;
  }

  // A directory that is no change itself is one if it holds any.
  Errno EmitImplied(Child child) {
    waiting_.push_back(path_.size() + 1 + child->first.size());
    const size_t waiting = waiting_.size();
    RETURN_IF_ERROR(EmitInside(child));
    if (waiting_.size() == waiting) waiting_.pop_back();
    return kOk;
  }

  Errno EmitOne(Change& change) {
    for (const size_t length : waiting_) {
      if (!visit_({.kind = ChangeKind::kChanged, .path = path_.substr(0, length), .type = S_IFDIR, .implied = true})) return ECANCELED;
    }
    waiting_.clear();
    const size_t length = path_.size();
    path_.append("/").append(change.path);
    // One buffer for all of them.
    change.path.swap(path_);
    const bool goes_on = visit_(change);
    change.path.swap(path_);
    path_.resize(length);
    return goes_on ? kOk : Errno(ECANCELED);
  }

  const ChangeTree::Judge& judge_;
  const OnChange& visit_;
  std::string path_;  // of the directory
  std::vector<size_t> waiting_;  // lengths of the parts of path_ that are implied and have not been given yet
};

}  // namespace

void ChangeTree::Directory::Insert(Change change) {
  // Names come in order, as a rule.
  if (changes.empty() || changes.back().path < change.path) {
    changes.push_back(std::move(change));
    return;
  }
  const auto place = LowerBound(changes, change.path);
  if (place != changes.end() && place->path == change.path) *place = std::move(change);
  else changes.insert(place, std::move(change));
}

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
  return found != dir->changes.end() && found->path == NameOf(path) ? &*found : nullptr;
}

Errno ChangeTree::JudgeAll(const Judge& judge) { return ForEachDirectory(root_, judge); }

void ChangeTree::CheckRenames() {
  ForEachDirectory(root_, [this](Directory& dir) {
    for (Change& change : dir.changes) {
      if (change.renamed_from.empty()) continue;
      const Change* old = Find(change.renamed_from);
      if (old == nullptr || old->kind == ChangeKind::kAdded || old == &change) change.renamed_from.clear();
    }
    return kOk;
  }).Ignore("it does not fail");
}

Errno ChangeTree::Emit(const Judge& judge, const OnChange& visit) {
  Errno error;
  if (!of_root_ || visit(*of_root_)) error = Emitter(judge, visit).Emit(root_);
  root_ = {};
  return error == ECANCELED ? kOk : error;
}

}  // namespace plyfs
