// union_view.h: a union as the writer of layers reads it: by name, with references that are given back.
// Not here: what is written of it (layer_writer.cc).
// Thread safety: as the Overlay; a UnionRef has one owner.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fs/oci/tar_entry.h"
#include "fs/overlay/overlay.h"

namespace plyfs {

// One reference to a node: counted by Lookup, given back at the end. The root needs none.
class UnionRef {
 public:
  UnionRef() = default;
  UnionRef(Overlay* overlay, NodeId id) : overlay_(overlay), id_(id) {}
  UnionRef(UnionRef&& other) noexcept : overlay_(std::exchange(other.overlay_, nullptr)), id_(other.id_) {}
  UnionRef& operator=(UnionRef&& other) noexcept {
    std::swap(overlay_, other.overlay_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~UnionRef() {
    if (overlay_ != nullptr) overlay_->Forget(id_, 1);
  }
  NodeId id() const { return id_; }

 private:
  Overlay* overlay_ = nullptr;
  NodeId id_ = NodeId::kNone;
};

struct UnionObject {
  UnionRef ref;
  Attr attr;
};

// ENOENT if there is no such name.
Result<UnionObject> LookUp(Overlay& overlay, NodeId parent, const std::string& name);
// Sorted by bytes, without "." and "..".
Result<std::vector<std::string>> SortedNames(Overlay& overlay, NodeId directory);
// Those that belong into a layer, sorted by name: a label is the policy of a host, so security.selinux does not.
Result<std::vector<TarXattr>> LayerXattrs(Overlay& overlay, NodeId id);

// Hands out exactly `size` bytes of the file, in order: holes without reading them, zeros after an early end. `take` returns
// false to stop. `short_by` is how many bytes were not there.
Errno ReadAll(Overlay& overlay, NodeId id, uint64_t size, const std::function<bool(std::span<const char>)>& take,
              uint64_t* short_by);

}  // namespace plyfs
