// core.cc: see core.h.
#include "fs/overlay/core.h"

#include <sys/resource.h>

#include <algorithm>

#include "fs/layer/layer.h"
#include "fs/overlay/discover.h"
#include "fs/overlay/going_link.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

struct DescriptorBudget {
  size_t directories;
  size_t files;
  uint32_t orphans;
};

// Shares of what the limit on open files leaves after the layers' roots and a reserve for everything else. The caps keep a
// high limit from pinning kernel memory for no gain.
DescriptorBudget BudgetFor(size_t layers) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = 1024;
  constexpr size_t kReserve = 96;
  const size_t taken = layers + kReserve;
  const size_t left = limit.rlim_cur > taken ? limit.rlim_cur - taken : 0;
  return {.directories = std::clamp<size_t>(left * 5 / 8, 16, 4096),
          .files = std::clamp<size_t>(left / 4, 8, 1024),
          .orphans = static_cast<uint32_t>(std::clamp<size_t>(left / 8, 4, 512))};
}

std::vector<FdRef> BorrowRoots(const LayerStack& stack) {
  std::vector<FdRef> roots;
  for (const auto& layer : stack.layers) {
    if (!layer) {
      roots.push_back(nullptr);
      continue;
    }
    // The layer owns the descriptor; this reference must not close it.
    auto* borrowed = new CachedFd{.fd = UniqueFd(layer->root())};
    roots.push_back(FdRef(borrowed, [](CachedFd* fd) {
      static_cast<void>(fd->fd.release());
      delete fd;
    }));
  }
  return roots;
}

bool IsEmpty(int dir) {
  return ListDirectory(dir, [](const RawDirEntry&) { return Errno(ENOTEMPTY); }).ok();
}

std::unique_ptr<Journal> MakeJournal(const OverlayConfig& config) {
  if (config.layers.upper == nullptr || config.layers.view) return nullptr;
  if (!config.journal) {
    Journal::Distrust(config.layers.work->own());
    return nullptr;
  }
  const Result<struct statx> root = StatObject({.dir = config.layers.upper->root()});
  return std::make_unique<Journal>(JournalOptions{.work = config.layers.work->own(),
                                                  .root_inode = root.ok() ? root->stx_ino : 0,
                                                  .root_birth_ns = root.ok() ? BirthNsOf(*root) : 0,
                                                  .upper_is_empty = IsEmpty(config.layers.upper->root()),
                                                  .syncs = config.fsync && !config.volatile_upper});
}

}  // namespace

Core::Core(OverlayConfig overlay_config)
    : config(std::move(overlay_config)),
      journal(MakeJournal(config)),
      numbers(config.layers, config.ino32 ? InoWidth::k32 : InoWidth::k64, [this] { LoadIdentity(); }),
      directories(BudgetFor(config.layers.layers.size()).directories),
      files(BudgetFor(config.layers.layers.size()).files),
      link_counts([this] { LoadIdentity(); }),
      roots(BorrowRoots(config.layers)),
      max_held_orphans(BudgetFor(config.layers.layers.size()).orphans),
      nodes([this](Node& node) { OnDestroy(node); }) {
  std::unique_ptr<DirState> root = DiscoverRoot(*this);
  // The root's number must not change when an upper comes or goes either.
  const LayerIndex numbered = root->parts.size() > 1 && root->has_upper() ? root->parts[1].layer : root->parts[0].layer;
  const Result<struct statx> stat = StatObject({.dir = layer(numbered).root()});
  nodes.MakeRoot(stat.ok() ? numbers.FromDisk(DiskInodeOf(*stat)) : Ino{1}, std::move(root));
  // Names that were going when the server died are looked at before anything can change them.
  if (journal && journal->ended_unclean()) LoadIdentity();
}

Core::~Core() = default;

void Core::LoadIdentity() {
  absl::call_once(identity_loaded_, [this] {
    LoadIndexOrigins(*this);
    if (!journal) return;
    GoingLinks going;
    journal->LoadIdentity({
        .origin =
            [this](const StoredOrigin& origin) {
              numbers.LoadOrigin({.upper_inode = origin.inode, .birth_ns = origin.birth_ns, .shown = origin.shown});
            },
        .drop_origin = [this](uint64_t inode) { numbers.UnloadOrigin(inode); },
        .links_removed =
            [this](uint64_t device, uint64_t inode, uint64_t removed) {
              link_counts.Load({.device = device, .inode = inode}, static_cast<uint32_t>(removed));
            },
        .link_goes = [&](const StoredGoingLink& link) { going[{.device = link.device, .inode = link.inode}] = link; },
        .link_settled = [&](uint64_t device, uint64_t inode) { going.erase({.device = device, .inode = inode}); },
    });
    SettleGoingLinks(*this, going);
  });
}

void Core::OnDestroy(Node& node) {
  if (node.dir) {
    for (const DirPart& part : node.dir->parts) directories.Erase(DirKey(node.id, part.layer));
    listings.Erase(node.id);
    return;
  }
  if (node.is_regular()) files.Erase(Value(node.id));
  if (!node.rare) return;
  if (node.rare->held.valid()) held_orphans.fetch_sub(1, std::memory_order_relaxed);
  if (node.rare->in_orphans) {
    const std::string name = WorkDir::OrphanName(node.id);
    const ObjectRef orphan{.dir = work().orphans(), .name = name.c_str()};
    const Result<struct statx> stat = StatObject(orphan);
    // Before the inode is free: its number may be used again at once.
    if (stat.ok() && stat->stx_nlink == 1) RecordInodeGone(*this, DiskInodeOf(*stat));
    upper().Unlink(orphan).Ignore("orphans/ is swept at the next mount");
  }
}

Result<NodeRef> FindNode(Core& core, NodeId id) {
  NodeRef node = core.nodes.Find(id);
  if (!node) return Errno(ESTALE);
  return node;
}

Result<NodeRef> FindDirectory(Core& core, NodeId id) {
  ASSIGN_OR_RETURN(NodeRef node, FindNode(core, id));
  if (!node->is_directory()) return Errno(ENOTDIR);
  return node;
}

}  // namespace plyfs
