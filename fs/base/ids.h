// ids.h: numbers that must not mix are different types.
// Thread safety: value types.
#pragma once

#include <cstdint>
#include <utility>

namespace plyfs {

// What the kernel holds; issued in sequence, never reused. kNone stands for "no object" (a negative entry).
enum class NodeId : uint64_t { kNone = 0, kRoot = 1 };

// Position in the stack of layers; 0 is the upper (in a read-only union no directory exists in layer 0), 1 the topmost lower.
enum class LayerIndex : uint16_t { kUpper = 0 };

constexpr uint64_t Value(NodeId id) { return static_cast<uint64_t>(id); }
constexpr uint16_t Value(LayerIndex index) { return static_cast<uint16_t>(index); }

// What stat(2) shows as st_ino.
struct Ino {
  uint64_t value = 0;
  friend constexpr bool operator==(Ino, Ino) = default;
};

// An inode of a layer's filesystem, as it is on disk: the key of hard-link identity.
struct DiskInode {
  uint64_t device = 0;  // st_dev
  uint64_t inode = 0;   // st_ino
  friend constexpr bool operator==(const DiskInode&, const DiskInode&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const DiskInode& d) {
    return H::combine(std::move(h), d.device, d.inode);
  }
};

}  // namespace plyfs
