// copy_up_gate.h: one copy-up of an object at a time; different objects in parallel.
// Not here: the copying (copy_up.h).
// Thread safety: any thread; entered with no other lock held, since the one inside may take long.
#pragma once

#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "fs/base/ids.h"

namespace plyfs {

class CopyUpGate {
 public:
  // Waits until nobody else copies `id` up; the gate is open again when the Pass dies.
  class Pass {
   public:
    Pass(CopyUpGate& gate, NodeId id) : gate_(gate), id_(Value(id)) {
      absl::MutexLock lock(&gate_.mutex_);
      const auto is_free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(gate_.mutex_) { return !gate_.busy_.contains(id_); };
      gate_.mutex_.Await(absl::Condition(&is_free));
      gate_.busy_.insert(id_);
    }
    ~Pass() {
      absl::MutexLock lock(&gate_.mutex_);
      gate_.busy_.erase(id_);
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    CopyUpGate& gate_;
    const uint64_t id_;
  };

 private:
  absl::Mutex mutex_;
  absl::flat_hash_set<uint64_t> busy_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace plyfs
