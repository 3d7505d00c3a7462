// journal_ops.cc: the journal's part of Overlay (overlay.h).
#include <algorithm>

#include "fs/overlay/change_list.h"
#include "fs/overlay/core.h"
#include "fs/overlay/journal_check.h"
#include "fs/overlay/journal_paths.h"
#include "fs/overlay/overlay.h"
#include "fs/overlay/recording.h"

namespace plyfs {
namespace {

constexpr size_t kMaxCheckpointName = 128;

bool IsCheckpointName(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxCheckpointName && std::all_of(name.begin(), name.end(), allowed);
}

// Events as the store has them, with paths.
Result<std::vector<ChangeEvent>> ReadEvents(Core& core, uint64_t sequence, size_t limit) {
  std::vector<ChangeEvent> events;
  RETURN_IF_ERROR(core.journal->WithStore([&](Store& store, uint32_t /*epoch*/) -> Errno {
    if (sequence != 0 && sequence + 1 < store.FirstEvent()) {
      events.push_back({.sequence = store.FirstEvent() - 1, .kind = ChangeEvent::Kind::kLost});
    }
    JournalPaths paths(core.nodes.root()->dir->upper_inode, store);
    // Until there is one to show: a whole batch may be of directories that have gone.
    for (uint64_t after = sequence;;) {
      const std::vector<StoredEvent> batch = store.Events(after, limit);
      for (const StoredEvent& stored : batch) {
        std::optional<std::string> path = paths.Of(stored.name);
        // Its directory has gone since: so has the name, and the event that says so has come or will come.
        if (!path) continue;
        events.push_back({.sequence = stored.sequence,
                          .kind = static_cast<ChangeEvent::Kind>(stored.kind),
                          .path = std::move(*path),
                          .from = stored.from});
      }
      if (batch.empty() || !events.empty()) return kOk;
      after = batch.back().sequence;
    }
  }));
  return events;
}

Errno TryCreateCheckpoint(Core& core, const std::string& name) {
  // What was changed before the checkpoint must not be found after it.
  RETURN_IF_ERROR(ResolveDoubt(core));
  {
    // No change of a name is between its record, before the checkpoint, and itself, after it.
    absl::MutexLock tree(&core.tree_mutex);
    RETURN_IF_ERROR(core.journal->CreateCheckpoint(name));
  }
  RecordWriters(core);
  return kOk;
}

}  // namespace

Errno Overlay::ForEachChange(const std::string& since_checkpoint, const OnChange& visit) {
  return ListChanges(core(), since_checkpoint, visit);
}

Result<std::vector<Change>> Overlay::Changes(const std::string& since_checkpoint) {
  std::vector<Change> changes;
  RETURN_IF_ERROR(ForEachChange(since_checkpoint, [&](const Change& change) {
    changes.push_back(change);
    return true;
  }));
  return changes;
}

Errno Overlay::CreateCheckpoint(const std::string& name) {
  if (!core().journal) return EOPNOTSUPP;
  if (!IsCheckpointName(name)) return EINVAL;
  const Errno error = TryCreateCheckpoint(core(), name);
  // The database was damaged: now there is a new one.
  return error == EUCLEAN ? TryCreateCheckpoint(core(), name) : error;
}

Errno Overlay::DeleteCheckpoint(const std::string& name) {
  if (!core().journal) return EOPNOTSUPP;
  return core().journal->DeleteCheckpoint(name);
}

Result<std::vector<Checkpoint>> Overlay::Checkpoints() {
  if (!core().journal) return Errno(EOPNOTSUPP);
  std::vector<Checkpoint> checkpoints;
  RETURN_IF_ERROR(core().journal->WithStore([&](Store& store, uint32_t /*epoch*/) -> Errno {
    ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, store.Checkpoints());
    for (const StoredCheckpoint& stored : all) {
      checkpoints.push_back({.name = stored.name, .sequence = stored.sequence, .created_ns = stored.created_ns});
    }
    return kOk;
  }));
  return checkpoints;
}

Result<std::vector<ChangeEvent>> Overlay::Events(uint64_t sequence, size_t limit, int timeout_ms) {
  Journal* const journal = core().journal.get();
  if (journal == nullptr) return Errno(EOPNOTSUPP);
  ASSIGN_OR_RETURN(std::vector<ChangeEvent> events, ReadEvents(core(), sequence, limit));
  if (!events.empty()) return events;
  // Somebody watches: files that were recorded before say so again when they change.
  journal->Restamp();
  const absl::Time deadline = absl::Now() + absl::Milliseconds(timeout_ms);
  uint64_t seen = std::max(sequence, journal->last_sequence());
  for (;;) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || !journal->WaitForRecord(seen, static_cast<int>(left))) return events;
    seen = journal->last_sequence();
    ASSIGN_OR_RETURN(events, ReadEvents(core(), sequence, limit));
    if (!events.empty()) return events;
  }
}

Result<std::vector<FsckFinding>> Overlay::CheckJournal(bool repair) {
  if (!core().journal) return Errno(EOPNOTSUPP);
  return CompareWithUpper(core(), repair);
}

JournalStats Overlay::GetJournalStats() {
  const Journal* const journal = core().journal.get();
  if (journal == nullptr) return {};
  return {.open = journal->store_is_open(),
          .lost = journal->lost(),
          .sequence = journal->last_sequence(),
          .pending_records = journal->pending_records(),
          .database_bytes = journal->disk_bytes()};
}

}  // namespace plyfs
