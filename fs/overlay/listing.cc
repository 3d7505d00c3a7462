// listing.cc: see listing.h.
#include "fs/overlay/listing.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/whiteout.h"
#include "fs/overlay/core.h"
#include "fs/overlay/locate.h"

namespace plyfs {
namespace {

constexpr size_t kCacheBytes = 16 << 20;

// Merges the parts of one directory, topmost first.
class ListingBuilder {
 public:
  ListingBuilder(Core& core, const Node& dir) : core_(core), dir_(dir), single_(dir.dir->parts.size() == 1) {}

  Errno Read() {
    for (const DirPart& part : dir_.dir->parts) {
      ASSIGN_OR_RETURN(const FdRef fd, DirFd(core_, dir_, part.layer));
      hidden_.clear();
      opaque_ = false;
      RETURN_IF_ERROR(ListDirectory(fd->fd.get(), [&](const RawDirEntry& entry) {
        return Take(part, fd->fd.get(), entry);
      }));
      // Only now: a ".wh.NAME" hides NAME in the layers below, not beside itself.
      for (const std::string& name : hidden_) Hide(name);
      if (opaque_) break;
    }
    return kOk;
  }

  std::shared_ptr<const Listing> Finish() {
    return std::make_shared<const Listing>(std::move(entries_), std::move(text_), dir_.dir->version);
  }
  bool empty() const { return entries_.empty(); }

 private:
  static constexpr size_t kNoEntry = static_cast<size_t>(-1);

  // A name that layers below show only if the entry at `index` is a directory that still merges with theirs.
  struct Seen {
    size_t index = kNoEntry;  // kNoEntry: a whiteout
    bool closed = false;      // nothing below adds to it
  };

  Errno Take(const DirPart& part, int fd, const RawDirEntry& raw) {
    const std::string_view name(raw.name);
    const ObjectRef object{.dir = fd, .name = raw.name};
    const Layer& layer = core_.layer(part.layer);
    uint8_t type = raw.type;
    if (type == DT_CHR || type == DT_UNKNOWN || (type == DT_REG && NeedsLook(part, layer, name))) {
      ASSIGN_OR_RETURN(const Looked looked, Look(part, layer, object));
      if (looked.mark) {
        if (name == kWhOpaque) opaque_ = true;
        else hidden_.emplace_back(name.substr(kWhPrefix.size()));
        return kOk;
      }
      if (looked.whiteout) {
        Hide(std::string(name));
        return kOk;
      }
      type = looked.type;
    }
    Add(part.layer, layer.device(), name, raw.inode, type);
    return kOk;
  }

  struct Looked {
    bool mark = false;      // an OCI ".wh." file
    bool whiteout = false;  // of this very name
    uint8_t type = DT_UNKNOWN;
  };

  static bool NeedsLook(const DirPart& part, const Layer& layer, std::string_view name) {
    return part.xattr_whiteouts || part.holds_devices || HasWhPrefix(name) || layer.override_stat() != OverrideStat::kNone;
  }

  static Result<Looked> Look(const DirPart& part, const Layer& layer, const ObjectRef& object) {
    ASSIGN_OR_RETURN(const struct statx stat, StatObject(object));
    Looked looked{.whiteout = IsWhiteoutDevice(stat), .type = static_cast<uint8_t>(IFTODT(stat.stx_mode))};
    if (!S_ISREG(stat.stx_mode)) return looked;
    ASSIGN_OR_RETURN(looked.mark, layer.IsWhMark(object, stat));
    if (part.xattr_whiteouts && stat.stx_size == 0) looked.whiteout = ReadMark(object, kWhiteoutMark).ok();
    if (part.holds_devices && stat.stx_size == 0 && ReadMark(object, kDeviceMark).ok()) looked.type = DT_CHR;
    ASSIGN_OR_RETURN(const std::optional<OverriddenStat> overridden, ReadOverrideStat(object, layer.override_stat()));
    if (overridden && overridden->type) looked.type = static_cast<uint8_t>(IFTODT(*overridden->type));
    return looked;
  }

  void Hide(const std::string& name) {
    if (single_) return;
    seen_.try_emplace(name).first->second.closed = true;
  }

  void Add(LayerIndex layer, uint64_t device, std::string_view name, uint64_t inode, uint8_t type) {
    if (!single_) {
      const auto [at, is_new] = seen_.try_emplace(std::string(name));
      Seen& seen = at->second;
      if (!is_new) {
        if (!seen.closed && type == DT_DIR) {
          // The first lower below an upper directory gives the number, if the two do merge; readdir.cc makes sure.
          ListedEntry& entry = entries_[seen.index];
          if (entry.layer == LayerIndex::kUpper) entry.merges = true;
        }
        seen.closed = true;
        return;
      }
      seen.index = entries_.size();
      seen.closed = type != DT_DIR || layer != LayerIndex::kUpper;
    }
    entries_.push_back({.cookie = Listing::CookieOf(name),
                        .inode = {.device = device, .inode = inode},
                        .name_offset = static_cast<uint32_t>(text_.size()),
                        .name_length = static_cast<uint16_t>(name.size()),
                        .layer = layer,
                        .type = type});
    text_.append(name);
    text_.push_back('\0');
  }

  Core& core_;
  const Node& dir_;
  const bool single_;  // one part: nothing to merge
  std::vector<ListedEntry> entries_;
  std::string text_;
  absl::flat_hash_map<std::string, Seen> seen_;
  std::vector<std::string> hidden_;  // by OCI whiteouts of the layer being read
  bool opaque_ = false;              // by the OCI opaque file of the layer being read
};

}  // namespace

uint64_t Listing::CookieOf(std::string_view name) {
  // FNV-1a with a finalizer; part of the protocol with a restarted server, so not a library's hash, which may change.
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  hash ^= hash >> 33;
  hash >>= 1;
  return std::max(hash, kDotDotCookie + 1);
}

Listing::Listing(std::vector<ListedEntry> entries, std::string text, uint32_t version)
    : entries_(std::move(entries)), text_(std::move(text)), version_(version) {
  std::sort(entries_.begin(), entries_.end(), [this](const ListedEntry& a, const ListedEntry& b) {
    return a.cookie != b.cookie ? a.cookie < b.cookie : NameOf(a) < NameOf(b);
  });
  for (size_t i = 1; i < entries_.size(); ++i) {
    if (entries_[i].cookie <= entries_[i - 1].cookie) entries_[i].cookie = entries_[i - 1].cookie + 1;
  }
}

size_t Listing::After(uint64_t cookie) const {
  const auto at = std::upper_bound(entries_.begin(), entries_.end(), cookie,
                                   [](uint64_t value, const ListedEntry& entry) { return value < entry.cookie; });
  return at - entries_.begin();
}

Result<std::shared_ptr<const Listing>> BuildListing(Core& core, const Node& dir) {
  ListingBuilder builder(core, dir);
  RETURN_IF_ERROR(builder.Read());
  return builder.Finish();
}

Result<bool> IsEmptyDirectory(Core& core, const Node& dir) {
  ListingBuilder builder(core, dir);
  RETURN_IF_ERROR(builder.Read());
  return builder.empty();
}

std::shared_ptr<const Listing> ListingCache::Get(NodeId id) {
  absl::MutexLock lock(&mutex_);
  const auto found = index_.find(Value(id));
  if (found == index_.end()) return nullptr;
  items_.splice(items_.begin(), items_, found->second);
  return found->second->listing;
}

void ListingCache::Put(NodeId id, std::shared_ptr<const Listing> listing) {
  absl::MutexLock lock(&mutex_);
  EraseLocked(id);
  bytes_ += listing->bytes();
  items_.push_front({id, std::move(listing)});
  index_[Value(id)] = items_.begin();
  // The newest stays however big it is: somebody is reading it.
  while (bytes_ > kCacheBytes && items_.size() > 1) {
    bytes_ -= items_.back().listing->bytes();
    index_.erase(Value(items_.back().id));
    items_.pop_back();
  }
}

void ListingCache::Erase(NodeId id) {
  absl::MutexLock lock(&mutex_);
  EraseLocked(id);
}

void ListingCache::EraseLocked(NodeId id) {
  const auto found = index_.find(Value(id));
  if (found == index_.end()) return;
  bytes_ -= found->second->listing->bytes();
  items_.erase(found->second);
  index_.erase(found);
}

void ListingCache::Clear() {
  absl::MutexLock lock(&mutex_);
  items_.clear();
  absl::flat_hash_map<uint64_t, std::list<Item>::iterator>().swap(index_);
  bytes_ = 0;
}

}  // namespace plyfs
