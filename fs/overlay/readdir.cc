// readdir.cc: see readdir.h.
#include "fs/overlay/readdir.h"

#include <dirent.h>

#include "fs/base/log.h"
#include "fs/overlay/attr.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/listing.h"

namespace plyfs {
namespace {

// From the start a listing must be up to date; further on, the one that was begun is as good as a newer one.
Result<std::shared_ptr<const Listing>> ListingFor(Core& core, const Node& dir, uint64_t cookie) {
  std::shared_ptr<const Listing> listing = core.listings.Get(dir.id);
  if (listing && (cookie != 0 || listing->version() == dir.dir->version)) return listing;
  ASSIGN_OR_RETURN(listing, BuildListing(core, dir));
  core.listings.Put(dir.id, listing);
  return listing;
}

// d_ino must be what stat(2) will say.
Ino InoOf(Core& core, const Node& dir, const Listing& listing, const ListedEntry& entry) {
  const std::string_view name = listing.NameOf(entry);
  if (const NodeRef known = core.nodes.FindChild(dir, name)) return known->ino;
  if (entry.layer != LayerIndex::kUpper) return core.numbers.FromDisk(entry.inode);
  if (entry.type != DT_DIR) {
    if (const std::optional<Ino> ino = core.numbers.FromUpper(entry.inode)) return *ino;
  }
  // An upper directory shows the number of its lower part, which may be elsewhere (a redirect).
  const Result<Discovered> discovered = Discover(core, dir, Name::Trusted(name));
  return discovered.ok() && discovered->present ? discovered->init.ino : core.numbers.FromDisk(entry.inode);
}

// A look-up for each entry saves the kernel one request each.
void AddWithNode(Core& core, const NodeRef& dir, const Listing& listing, const ListedEntry& listed, DirSink& sink) {
  const std::string_view name = listing.NameOf(listed);
  const auto add_plain = [&] { sink.Add(name, InoOf(core, *dir, listing, listed), listed.type, listed.cookie, nullptr); };
  // A listing that is still true spares the layers above the entry's.
  const LayerIndex top = listing.version() == dir->dir->version ? listed.layer : LayerIndex::kUpper;
  const Result<FoundNode> found = FindOrMakeNode(core, dir, Name::Trusted(name), top);
  if (!found.ok()) {
    LogDebug("directory entry of node %llu cannot be looked up: errno %d",
             static_cast<unsigned long long>(Value(dir->id)), found.error().value());
    return add_plain();
  }
  if (!found->node) return;  // it has gone since the listing was made
  Node& node = *found->node;
  absl::ReaderMutexLock lock(&node.mutex);
  const Result<Attr> attr = AttrOfLocked(core, node, found->stat);
  if (!attr.ok()) return add_plain();
  core.nodes.AddLookup(node);
  const Entry entry{.id = node.id, .attr = *attr};
  sink.Add(name, node.ino, static_cast<uint8_t>(IFTODT(node.type)), listed.cookie, &entry);
}

}  // namespace

Errno ReadDirectory(Core& core, const NodeRef& dir, uint64_t cookie, ReaddirMode mode, DirSink& sink) {
  absl::ReaderMutexLock tree(&core.tree_mutex);
  absl::ReaderMutexLock lock(&dir->mutex);
  if (dir->dir->removed) return kOk;
  ASSIGN_OR_RETURN(const std::shared_ptr<const Listing> listing, ListingFor(core, *dir, cookie));
  if (cookie < Listing::kDotCookie) {
    if (!sink.Fits(1)) return kOk;
    sink.Add(".", dir->ino, DT_DIR, Listing::kDotCookie, nullptr);
  }
  if (cookie < Listing::kDotDotCookie) {
    if (!sink.Fits(2)) return kOk;
    const Node& above = dir->name.parent ? *dir->name.parent : *dir;
    sink.Add("..", above.ino, DT_DIR, Listing::kDotDotCookie, nullptr);
  }
  const std::vector<ListedEntry>& entries = listing->entries();
  const size_t begin = listing->After(cookie);
  for (size_t i = begin; i < entries.size(); ++i) {
    if (!sink.Fits(entries[i].name_length)) return kOk;
    if (mode == ReaddirMode::kPlus) {
      AddWithNode(core, dir, *listing, entries[i], sink);
    } else {
      sink.Add(listing->NameOf(entries[i]), InoOf(core, *dir, *listing, entries[i]), entries[i].type, entries[i].cookie,
               nullptr);
    }
  }
  // Whoever lists it again gets it from the kernel's cache, or wants it fresh.
  if (begin == entries.size()) core.listings.Erase(dir->id);
  return kOk;
}

}  // namespace plyfs
