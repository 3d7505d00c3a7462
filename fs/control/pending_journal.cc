// pending_journal.cc: stands in for the journal's methods of Overlay until they are there; weak, so that those win.
#include "fs/overlay/overlay.h"

namespace plyfs {

[[gnu::weak]] Result<std::vector<Change>> Overlay::Changes(const std::string&) { return Errno(ENOSYS); }
[[gnu::weak]] Errno Overlay::CreateCheckpoint(const std::string&) { return ENOSYS; }
[[gnu::weak]] Errno Overlay::DeleteCheckpoint(const std::string&) { return ENOSYS; }
[[gnu::weak]] Result<std::vector<Checkpoint>> Overlay::Checkpoints() { return Errno(ENOSYS); }
[[gnu::weak]] Result<std::vector<ChangeEvent>> Overlay::Events(uint64_t, size_t, int) { return Errno(ENOSYS); }
[[gnu::weak]] Result<std::vector<FsckFinding>> Overlay::CheckJournal(bool) { return Errno(ENOSYS); }
[[gnu::weak]] JournalStats Overlay::GetJournalStats() { return {}; }

}  // namespace plyfs
