// ino.cc: see ino.h.
#include "fs/overlay/ino.h"

#include <algorithm>

#include "fs/layer/layer.h"

namespace plyfs {
namespace {

// Seven bits of device are left of the number, so that it stays positive as a signed 64-bit value.
constexpr int kDeviceShift = 56;

}  // namespace

InodeNumbers::InodeNumbers(const LayerStack& layers, InoWidth width, std::function<void()> load)
    : width_(width), load_(std::move(load)) {
  for (const auto& layer : layers.layers) {
    if (layer && std::find(devices_.begin(), devices_.end(), layer->device()) == devices_.end()) {
      devices_.push_back(layer->device());
    }
  }
}

Ino InodeNumbers::FromDisk(const DiskInode& inode) const {
  uint64_t value = inode.inode;
  if (devices_.size() > 1) {
    const auto device = std::find(devices_.begin(), devices_.end(), inode.device);
    const uint64_t index = device - devices_.begin();
    // A filesystem that uses the high bits itself cannot be told apart by them; mixing keeps collisions improbable.
    if (value >> kDeviceShift != 0) value = (value * 0x9e3779b97f4a7c15u) >> (64 - kDeviceShift);
    value |= (index & 0x7f) << kDeviceShift;
  }
  if (width_ == InoWidth::k32) value = (value ^ (value >> 32)) & 0xffffffffu;
  return {value != 0 ? value : 1};
}

Ino InodeNumbers::FromUpper(const struct statx& stat) {
  EnsureLoaded();
  const DiskInode inode = DiskInodeOf(stat);
  absl::MutexLock lock(&mutex_);
  const auto found = origins_.find(inode.inode);
  if (found == origins_.end()) return FromDisk(inode);
  Origin& origin = found->second;
  if (!origin.checked && origin.birth_ns != BirthNsOf(stat)) {
    origins_.erase(found);
    return FromDisk(inode);
  }
  origin.checked = true;
  return {origin.shown};
}

std::optional<Ino> InodeNumbers::FromUpper(const DiskInode& inode) {
  EnsureLoaded();
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = origins_.find(inode.inode);
  if (found == origins_.end()) return FromDisk(inode);
  if (!found->second.checked) return std::nullopt;
  return Ino{found->second.shown};
}

void InodeNumbers::SetOrigin(const struct statx& upper, Ino ino) {
  EnsureLoaded();
  absl::MutexLock lock(&mutex_);
  origins_[upper.stx_ino] = {.shown = ino.value, .birth_ns = BirthNsOf(upper), .checked = true};
}

bool InodeNumbers::DropOrigin(const DiskInode& upper) {
  EnsureLoaded();
  absl::MutexLock lock(&mutex_);
  return origins_.erase(upper.inode) != 0;
}

void InodeNumbers::UnloadOrigin(uint64_t upper_inode) {
  absl::MutexLock lock(&mutex_);
  origins_.erase(upper_inode);
}

void InodeNumbers::LoadOrigin(const InodeOrigin& origin) {
  absl::MutexLock lock(&mutex_);
  origins_[origin.upper_inode] = {.shown = origin.shown, .birth_ns = origin.birth_ns, .checked = false};
}

}  // namespace plyfs
