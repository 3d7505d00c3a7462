// generate_layers.cc: random layers, from the lowest to the upper.

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <set>

#include "tests/model/generate.h"
#include "tests/model/layer_union.h"

namespace plyfs::model {
namespace {

constexpr size_t kMaxDepth = 4;

size_t DepthOf(const std::string& path) {
  return path.empty() ? 0 : 1 + static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
}

std::string Join(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
}

class LayerGenerator {
 public:
  LayerGenerator(Random& random, const LayerParams& params, const LayerStackSpec& below,
                 bool is_upper)
      : random_(random), params_(params), is_upper_(is_upper) {
    if (!below.empty()) below_ = UnionOf(below);
  }

  LayerSpec Run() {
    LayerEntry root;
    root.mode = S_IFDIR | 0755;
    root.mtime = RandomTime(random_);
    layer_.push_back(root);
    const size_t count = Below(random_, params_.max_entries + 1);
    for (size_t i = 0; i < count; ++i) AddEntry();
    return layer_;
  }

 private:
  void AddEntry() {
    const size_t parent = directories_[Below(random_, directories_.size())];
    const std::string path = Join(
        layer_[parent].path, params_.name_prefix + RandomName(random_).substr(0, params_.name_max));
    if (!taken_.insert(path).second || path.substr(path.rfind('/') + 1).size() > kNameMax) return;
    LayerEntry entry;
    entry.path = path;
    if (Chance(random_, 10)) {
      AddWhiteout(entry, parent);
    } else if (Chance(random_, 12) && MayLink()) {
      entry.link_to = layer_[linked_].path;
      layer_.push_back(entry);
    } else {
      AddNode(entry, parent);
    }
  }

  // Chooses what the next hard link leads to. plyfs keeps its count of names in an xattr, which in
  // a user namespace only regular files can have.
  bool MayLink() {
    if (files_.empty()) return false;
    linked_ = files_[Below(random_, files_.size())];
    return params_.privilege == Privilege::kRoot || S_ISREG(layer_[linked_].mode);
  }

  // Kernel overlayfs lists a whiteout that stands where nothing is merged; so it is left out where
  // that is asked for.
  void AddWhiteout(LayerEntry entry, size_t parent) {
    if (!params_.stray_whiteouts && !ShownBelow(entry.path)) return;
    entry.whiteout = true;
    entry.form = params_.forms[Below(random_, params_.forms.size())];
    const bool too_long = entry.path.size() - entry.path.rfind('/') > kNameMax - 5;
    const bool marked = entry.form == MarkForm::kFuse || entry.form == MarkForm::kOci;
    const bool xattr_misfit =
        entry.form == MarkForm::kXattr && (is_upper_ || layer_[parent].opaque);
    if ((marked && too_long) || xattr_misfit) entry.form = MarkForm::kOverlay;
    layer_.push_back(entry);
  }

  bool ShownBelow(const std::string& path) const {
    if (below_ == nullptr) return false;
    for (const LayerEntry& entry : layer_) {
      if (entry.opaque && path.rfind(entry.path + "/", 0) == 0) return false;
    }
    const Walk walk = WalkPath(below_, path, FinalSymlink::kKeep);
    // A directory that is merged, so all of its parents are shown as directories below, too.
    return walk.error == 0 && !walk.leaves && walk.node != nullptr &&
           AllPaths(below_).count(path) > 0;
  }

  void AddNode(LayerEntry entry, size_t parent) {
    const bool may_nest = DepthOf(layer_[parent].path) + 1 < kMaxDepth;
    const bool directory = params_.name_prefix.empty() && may_nest && Chance(random_, 45);
    entry.mode = directory ? S_IFDIR : RandomType();
    entry.mode |= static_cast<mode_t>(Below(random_, 01000));
    if (directory) entry.mode |= 0700;
    const bool set_ids = directory || params_.privilege == Privilege::kRoot;
    if (set_ids && Chance(random_, 8)) entry.mode |= S_ISGID;
    if (set_ids && !directory && Chance(random_, 5)) entry.mode |= S_ISUID;
    if (S_ISLNK(entry.mode)) entry.mode = S_IFLNK | 0777;
    if (Chance(random_, 30)) {
      entry.uid = static_cast<uid_t>(Below(random_, 3000));
      entry.gid = static_cast<gid_t>(Below(random_, 3000));
    }
    entry.mtime = RandomTime(random_);
    if (S_ISREG(entry.mode)) FillFile(&entry);
    if (S_ISLNK(entry.mode))
      entry.target = params_.name_prefix + RandomName(random_).substr(0, params_.name_max);
    if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) {
      entry.rdev = makedev(1 + Below(random_, 200), Below(random_, 300));
    }
    const bool user_xattrs = S_ISREG(entry.mode) || S_ISDIR(entry.mode);
    if (Chance(random_, 25) && (user_xattrs || params_.privilege == Privilege::kRoot)) {
      const std::string name = RandomXattrName(random_, entry.mode, params_.privilege);
      entry.xattrs[name] = RandomXattrValue(random_, name);
    }
    if (directory && Chance(random_, 12)) {
      entry.opaque = true;
      entry.form = params_.forms[Below(random_, params_.forms.size())];
    }
    (directory ? directories_ : files_).push_back(layer_.size());
    layer_.push_back(entry);
  }

  mode_t RandomType() {
    const size_t roll = Below(random_, 100);
    if (roll < 74) return S_IFREG;
    if (roll < 88) return S_IFLNK;
    if (roll < 92) return S_IFIFO;
    if (roll < 94 || params_.privilege == Privilege::kUserNamespace) return S_IFSOCK;
    return roll < 97 ? S_IFCHR : S_IFBLK;
  }

  void FillFile(LayerEntry* entry) {
    const uint32_t fill = static_cast<uint32_t>(random_());
    if (Chance(random_, 10)) {
      entry->size = static_cast<off_t>(Below(random_, 400000));
      for (size_t i = Below(random_, 3); i > 0; --i) {
        entry->extents.push_back({.offset = static_cast<off_t>(Below(random_, 90) * 4096),
                                  .length = static_cast<off_t>(1 + Below(random_, 9000)),
                                  .fill = fill + static_cast<uint32_t>(i)});
      }
      return;
    }
    entry->size = static_cast<off_t>(Below(random_, Chance(random_, 20) ? 20000 : 300));
    entry->extents.push_back({.offset = 0, .length = entry->size, .fill = fill});
  }

  Random& random_;
  const LayerParams& params_;
  bool is_upper_;
  InodePtr below_;
  LayerSpec layer_;
  std::set<std::string> taken_;
  std::vector<size_t> directories_ = {0};  // indexes into layer_
  size_t linked_ = 0;
  std::vector<size_t> files_;  // all that is no directory
};

}  // namespace

LayerStackSpec GenerateLayers(Random& random, const LayerParams& params) {
  const size_t lowers = 1 + Below(random, params.max_lowers);
  LayerStackSpec stack;
  for (size_t i = 0; i <= lowers; ++i) {
    const bool is_upper = i == lowers;
    LayerParams layer_params = params;
    // An upper that somebody filled before the mount is the rarer case.
    if (is_upper && (params.empty_upper || Chance(random, 60))) layer_params.max_entries = 0;
    stack.insert(stack.begin(), LayerGenerator(random, layer_params, stack, is_upper).Run());
  }
  return stack;
}

void Graft(const LayerStackSpec& layers, const std::string& name, LayerStackSpec* stack) {
  // Stacks of unlike height share their upper and then their topmost lowers.
  while (stack->size() < layers.size()) {
    LayerEntry root;
    root.mode = S_IFDIR | 0755;
    stack->push_back({root});
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    for (LayerEntry entry : layers[i]) {
      entry.path = Join(name, entry.path);
      if (entry.path.back() == '/') entry.path.pop_back();
      if (!entry.link_to.empty()) entry.link_to = Join(name, entry.link_to);
      (*stack)[i].push_back(entry);
    }
  }
}

}  // namespace plyfs::model
