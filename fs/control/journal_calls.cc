// journal_calls.cc: see journal_calls.h.
#include "fs/control/journal_calls.h"

namespace plyfs {

Errno OverlayJournal::ForEachChange(const std::string& since_checkpoint, const OnChange& visit) {
  return overlay_.ForEachChange(since_checkpoint, visit);
}
Errno OverlayJournal::CreateCheckpoint(const std::string& name) { return overlay_.CreateCheckpoint(name); }
Errno OverlayJournal::DeleteCheckpoint(const std::string& name) { return overlay_.DeleteCheckpoint(name); }
Result<std::vector<Checkpoint>> OverlayJournal::Checkpoints() { return overlay_.Checkpoints(); }
Result<std::vector<ChangeEvent>> OverlayJournal::Events(uint64_t sequence, size_t limit, int timeout_ms) {
  return overlay_.Events(sequence, limit, timeout_ms);
}
Result<std::vector<FsckFinding>> OverlayJournal::CheckJournal(bool repair) { return overlay_.CheckJournal(repair); }
JournalStats OverlayJournal::GetJournalStats() { return overlay_.GetJournalStats(); }
OverlayCounters OverlayJournal::Counters() { return overlay_.Counters(); }

}  // namespace plyfs
