// going_link.h: a name of a lower file with several, from before it goes until the count behind st_nlink says so.
// Not here: the counts themselves (link_index.h), how names go (remove.h, rename.h, copy_up.h).
// Thread safety: a GoingLink belongs to one operation, which holds the tree lock and the file's mutex exclusively, so that a file
// has one at a time and its directory stays where it is.
//
// A name and a count cannot change in one step. So the journal holds, from before the first until after the second, which name may
// be going and what the count was: if the server dies in between, the next one looks at that name (SettleGoingLinks).
#pragma once

#include "absl/container/flat_hash_map.h"
#include "fs/overlay/core.h"

namespace plyfs {

class GoingLink {
 public:
  GoingLink(Core& core, const Node& parent, Name name) : core_(core), parent_(parent), name_(name) {}
  // What was announced has been done and counted, or has not been done.
  ~GoingLink();
  GoingLink(const GoingLink&) = delete;
  GoingLink& operator=(const GoingLink&) = delete;

  // Ahead: the name goes from `node`; `upper`: of its entry in the upper, null where only a lower has it; kept.
  Errno Announce(const Node& node, const struct statx* upper);
  // Ahead: the name becomes the upper's own name of the copy of `lower`, to which `before` names in the lowers lead.
  void AnnounceCopy(const DiskInode& lower, uint32_t before);
  // The name has gone and could not be counted: the next mount does it.
  void StaysInDoubt() { announced_ = false; }

  const Node& parent() const { return parent_; }
  Name name() const { return name_; }
  // What was announced.
  const struct statx* upper() const { return upper_; }
  // The lower file, if it is not copied up and has several names.
  const std::optional<DiskInode>& counted_lower() const { return counted_lower_; }

 private:
  void Append(RecordType type, const DiskInode& lower, uint32_t before);

  Core& core_;
  const Node& parent_;
  const Name name_;
  const struct statx* upper_ = nullptr;
  std::optional<DiskInode> counted_lower_;
  DiskInode lower_;
  bool announced_ = false;
};

// What an earlier server has left in the journal, by lower file; the counts have been loaded. Cost: a look at each of those names.
using GoingLinks = absl::flat_hash_map<DiskInode, StoredGoingLink>;
void SettleGoingLinks(Core& core, const GoingLinks& links);

}  // namespace plyfs
