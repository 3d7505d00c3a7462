// journal_calls.h: what tools may ask of a union: the journal's part of an Overlay, so that a server of the control socket and
// the tools on an unmounted upper use the same calls.
// Not here: the journal (fs/overlay), the wire (control_server.h, live_target.cc).
// Thread safety: every method from any thread.
#pragma once

#include <string>
#include <vector>

#include "fs/base/result.h"
#include "fs/overlay/changes.h"
#include "fs/overlay/overlay.h"

namespace plyfs {

// Errors, order and limits are those of the methods of Overlay that have the same names.
class JournalCalls {
 public:
  virtual ~JournalCalls() = default;
  virtual Errno ForEachChange(const std::string& since_checkpoint, const OnChange& visit) = 0;
  virtual Errno CreateCheckpoint(const std::string& name) = 0;
  virtual Errno DeleteCheckpoint(const std::string& name) = 0;
  virtual Result<std::vector<Checkpoint>> Checkpoints() = 0;
  virtual Result<std::vector<ChangeEvent>> Events(uint64_t sequence, size_t limit, int timeout_ms) = 0;
  virtual Result<std::vector<FsckFinding>> CheckJournal(bool repair) = 0;
  virtual JournalStats GetJournalStats() = 0;
  virtual OverlayCounters Counters() = 0;
};

// The real ones. `overlay` outlives it.
class OverlayJournal : public JournalCalls {
 public:
  explicit OverlayJournal(Overlay& overlay) : overlay_(overlay) {}

  Errno ForEachChange(const std::string& since_checkpoint, const OnChange& visit) override;
  Errno CreateCheckpoint(const std::string& name) override;
  Errno DeleteCheckpoint(const std::string& name) override;
  Result<std::vector<Checkpoint>> Checkpoints() override;
  Result<std::vector<ChangeEvent>> Events(uint64_t sequence, size_t limit, int timeout_ms) override;
  Result<std::vector<FsckFinding>> CheckJournal(bool repair) override;
  JournalStats GetJournalStats() override;
  OverlayCounters Counters() override;

 private:
  Overlay& overlay_;
};

}  // namespace plyfs
