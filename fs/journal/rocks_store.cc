// rocks_store.cc: the store (store.h) on RocksDB, as a library of its own.
#include "fs/journal/store.h"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <atomic>
#include <system_error>

#include "fs/journal/applier.h"
#include "fs/journal/store_format.h"

namespace plyfs {
namespace {

constexpr uint32_t kFormatVersion = 1;
// How many events are kept for watchers: the older half goes when there are twice as many.
constexpr uint64_t kKeptEvents = 65536;
// Small: the journal of a container has some thousand entries.
constexpr size_t kWriteBuffer = 4 << 20;
constexpr size_t kBlockCache = 512 << 10;
constexpr int kOpenFiles = 32;

// Nothing of RocksDB's own is logged: what matters comes back as a status.
class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

rocksdb::Options StoreOptions(bool create) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCache, 0);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::Options options;
  // Most names that are asked for are not there.
  options.memtable_prefix_bloom_size_ratio = 0.1;
  options.memtable_whole_key_filtering = true;
  // Batches come sorted: names of one directory are put beside each other without a search for the place.
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(TouchPrefix(0).size() + sizeof(uint64_t)));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.create_if_missing = create;
  options.info_log = std::make_shared<NoLog>();
  options.write_buffer_size = kWriteBuffer;
  options.arena_block_size = kWriteBuffer / 16;
  options.max_total_wal_size = 4 * kWriteBuffer;
  options.max_open_files = kOpenFiles;
  options.max_background_jobs = 1;
  options.max_file_opening_threads = 1;
  options.compression = rocksdb::kNoCompression;
  options.keep_log_file_num = 1;
  options.max_manifest_file_size = 256 << 10;
  options.manifest_preallocation_size = 16 << 10;
  // No timers: an idle server sleeps.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  // What is in the write-ahead log is read back at the next start; a flush at each unmount would cost more.
  options.avoid_flush_during_shutdown = true;
  return options;
}

constexpr const char* kProgressKey = "m";

struct Progress {
  uint64_t applied = 0;      // sequence of the last record
  uint64_t first_event = 0;  // events before it have been dropped
};

class RocksStore final : public Store {
 public:
  explicit RocksStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
  ~RocksStore() override { db_->Close().PermitUncheckedError(); }

  Errno Apply(std::span<const Record> records, uint32_t epoch, uint64_t last) override;
  uint64_t Applied() const override;
  bool damaged() const override { return damaged_.load(std::memory_order_relaxed); }
  Errno Sync() override;
  Errno ForEachTouch(uint32_t first_epoch, const std::function<bool(StoredTouch&&)>& visit) const override;
  Errno ForEachTouchIn(uint64_t dir, uint32_t last_epoch, const std::function<void(const StoredTouch&)>& visit) const override;
  Errno ForEachOrigin(const std::function<void(const StoredOrigin&)>& visit) const override;
  Errno ForEachLinksRemoved(
      const std::function<void(uint64_t device, uint64_t inode, uint64_t removed)>& visit) const override;
  Errno ForEachGoingLink(const std::function<void(const StoredGoingLink&)>& visit) const override;
  Errno ForEachDirectory(const std::function<void(uint64_t inode, const JournalName&)>& visit) const override;
  std::optional<JournalName> Directory(uint64_t inode) const override;
  std::optional<StoredRename> Rename(const JournalName& name, uint32_t first_epoch) const override;
  std::vector<JournalName> Aliases(uint64_t inode) const override;
  bool HasAliases() const override { return rare_.aliases; }
  std::vector<StoredEvent> Events(uint64_t after, size_t limit) const override;
  uint64_t FirstEvent() const override;
  Errno PutCheckpoint(const StoredCheckpoint& checkpoint) override;
  Errno DeleteCheckpoint(const StoredCheckpoint& checkpoint) override;
  Result<std::vector<StoredCheckpoint>> Checkpoints() const override;
  uint64_t DiskBytes() const override;

  // What is there is of this version.
  Errno Check() {
    Progress progress;
    RETURN_IF_ERROR(ReadProgress(&progress));
    rare_ = {.renames = Has("r"), .aliases = Has("a")};
    return damaged() ? EUCLEAN : kOk;
  }

 private:
  // Every key that begins with `prefix`, from `start` on if that is given; visit returns false to stop.
  Errno ForEach(const std::string& prefix, const std::function<bool(const Slice&, const Slice&)>& visit,
                const std::string& start = "") const;
  std::optional<std::string> Get(const std::string& key) const;
  // Any key that begins with `prefix`.
  bool Has(const std::string& prefix) const;
  Errno ReadProgress(Progress* progress) const;
  bool IsTouched(const JournalName& name, uint32_t first_epoch, uint32_t last_epoch) const;
  // For what must not be lost with the machine.
  Errno WriteSynced(rocksdb::WriteBatch* batch);

  const std::unique_ptr<rocksdb::DB> db_;
  RareKeys rare_;
  mutable std::atomic<bool> damaged_ = false;
};

Errno RocksStore::ForEach(const std::string& prefix, const std::function<bool(const Slice&, const Slice&)>& visit,
                          const std::string& start) const {
  // The first key after all that begin with the prefix.
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) ++end.back();
  const Slice end_slice = end;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  if (!end.empty()) options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
  for (at->Seek(start.empty() ? prefix : start); at->Valid(); at->Next()) {
    if (!visit(at->key(), at->value())) break;
  }
  if (!at->status().ok()) damaged_.store(true, std::memory_order_relaxed);
  return ToErrno(at->status());
}

bool RocksStore::Has(const std::string& prefix) const {
  bool found = false;
  const auto see = [&](const Slice& /*key*/, const Slice& /*value*/) {
    found = true;
    return false;
  };
  ForEach(prefix, see).Ignore("then it is damaged()");
  return found;
}

std::optional<std::string> RocksStore::Get(const std::string& key) const {
  std::string value;
  const Status status = db_->Get(rocksdb::ReadOptions(), key, &value);
  if (status.ok()) return value;
  if (!status.IsNotFound()) damaged_.store(true, std::memory_order_relaxed);
  return std::nullopt;
}

Errno RocksStore::WriteSynced(rocksdb::WriteBatch* batch) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return ToErrno(db_->Write(synced, batch));
}

Errno RocksStore::Apply(std::span<const Record> records, uint32_t epoch, uint64_t last) {
  Progress progress;
  RETURN_IF_ERROR(ReadProgress(&progress));
  Applier applier(*db_, epoch, rare_);
  for (const Record& record : records) {
    if (record.sequence <= progress.applied) continue;
    applier.Apply(record);
    progress.applied = record.sequence;
  }
  progress.applied = std::max(progress.applied, last);
  const uint64_t first_event = progress.first_event;
  if (progress.applied > first_event + 2 * kKeptEvents) progress.first_event = progress.applied - kKeptEvents;
  std::string value;
  PutU32(kFormatVersion, &value);
  PutU64(progress.applied, &value);
  PutU64(progress.first_event, &value);
  applier.Put(kProgressKey, value);
  RETURN_IF_ERROR(applier.Commit());
  if (progress.first_event == first_event) return kOk;
  return ToErrno(db_->DeleteRange(rocksdb::WriteOptions(), db_->DefaultColumnFamily(), InodeKey('e', 0),
                                  InodeKey('e', progress.first_event)));
}

Errno RocksStore::ReadProgress(Progress* progress) const {
  const std::optional<std::string> value = Get(kProgressKey);
  if (damaged()) return EUCLEAN;
  if (!value) return kOk;
  FieldReader reader(*value);
  if (const uint32_t version = reader.U32(); version != kFormatVersion) return version > kFormatVersion ? ENOTSUP : EUCLEAN;
  progress->applied = reader.U64();
  progress->first_event = reader.U64();
  return reader.at_end() ? kOk : Errno(EUCLEAN);
}

uint64_t RocksStore::Applied() const {
  Progress progress;
  ReadProgress(&progress).Ignore("then nothing has been, as far as is known");
  return progress.applied;
}

Errno RocksStore::Sync() { return ToErrno(db_->SyncWAL()); }

Errno RocksStore::ForEachTouch(uint32_t first_epoch, const std::function<bool(StoredTouch&&)>& visit) const {
  return ForEach(
      "t", [&](const Slice& key, const Slice& value) { return visit(TouchFrom(key, value)); }, TouchPrefix(first_epoch));
}

Errno RocksStore::ForEachTouchIn(uint64_t dir, uint32_t last_epoch, const std::function<void(const StoredTouch&)>& visit) const {
  for (uint32_t epoch = 0; epoch <= last_epoch; ++epoch) {
    RETURN_IF_ERROR(ForEach(TouchKey(epoch, {.dir = dir}), [&](const Slice& key, const Slice& value) {
      visit(TouchFrom(key, value));
      return true;
    }));
  }
  return kOk;
}

Errno RocksStore::ForEachOrigin(const std::function<void(const StoredOrigin&)>& visit) const {
  return ForEach("i", [&](const Slice& key, const Slice& value) {
    FieldReader reader = ReaderOf(value);
    StoredOrigin origin{.inode = ReaderOf(key, 1).U64()};
    origin.shown = reader.U64();
    origin.birth_ns = static_cast<int64_t>(reader.U64());
    visit(origin);
    return true;
  });
}

Errno RocksStore::ForEachLinksRemoved(
    const std::function<void(uint64_t device, uint64_t inode, uint64_t removed)>& visit) const {
  return ForEach("l", [&](const Slice& key, const Slice& value) {
    FieldReader reader = ReaderOf(key, 1);
    const uint64_t device = reader.U64();
    visit(device, reader.U64(), ReaderOf(value).U64());
    return true;
  });
}

Errno RocksStore::ForEachGoingLink(const std::function<void(const StoredGoingLink&)>& visit) const {
  return ForEach("g", [&](const Slice& key, const Slice& value) {
    visit(GoingLinkFrom(key, value));
    return true;
  });
}

Errno RocksStore::ForEachDirectory(const std::function<void(uint64_t inode, const JournalName&)>& visit) const {
  return ForEach("d", [&](const Slice& key, const Slice& value) {
    visit(ReaderOf(key, 1).U64(), NameFrom(value));
    return true;
  });
}

std::optional<JournalName> RocksStore::Directory(uint64_t inode) const {
  const std::optional<std::string> value = Get(InodeKey('d', inode));
  if (!value) return std::nullopt;
  return NameFrom(*value);
}

std::optional<StoredRename> RocksStore::Rename(const JournalName& name, uint32_t first_epoch) const {
  if (!rare_.renames) return std::nullopt;
  const std::optional<std::string> value = Get(RenameKey(name));
  if (!value) return std::nullopt;
  const RenameChain chain = RenameChainFrom(*value);
  for (const RenameChain::Origin& origin : chain.origins) {
    if (origin.epoch >= first_epoch) return StoredRename{.inode = chain.inode, .from = origin.path};
  }
  return std::nullopt;
}

std::vector<JournalName> RocksStore::Aliases(uint64_t inode) const {
  std::vector<JournalName> names;
  ForEach(InodeKey('a', inode),
                [&](const Slice& key, const Slice& /*value*/) {
                  FieldReader reader = ReaderOf(key, 1 + 8);
                  const uint64_t dir = reader.U64();
                  names.push_back({.dir = dir, .text = reader.Rest()});
                  return true;
                })
      .Ignore("the names that were read are still right");
  return names;
}

bool RocksStore::IsTouched(const JournalName& name, uint32_t first_epoch, uint32_t last_epoch) const {
  for (uint32_t epoch = first_epoch; epoch <= last_epoch; ++epoch) {
    if (Get(TouchKey(epoch, name))) return true;
  }
  return false;
}

std::vector<StoredEvent> RocksStore::Events(uint64_t after, size_t limit) const {
  std::vector<StoredEvent> events;
  const auto read = [&](const Slice& /*key*/, const Slice& value) {
    for (FieldReader reader = ReaderOf(value); !reader.at_end();) {
      StoredEvent event{.sequence = reader.U64()};
      event.kind = reader.U8();
      event.name.dir = reader.U64();
      event.name.text = reader.Text();
      event.from = reader.Text();
      if (!reader.ok()) break;
      if (event.sequence <= after) continue;
      events.push_back(std::move(event));
      if (events.size() == limit) return false;
    }
    return true;
  };
  ForEach("e", read, InodeKey('e', after + 1)).Ignore("the events that were read are still right");
  return events;
}

uint64_t RocksStore::FirstEvent() const {
  Progress progress;
  ReadProgress(&progress).Ignore("then there are none");
  return progress.first_event;
}

Errno RocksStore::PutCheckpoint(const StoredCheckpoint& checkpoint) {
  std::string value;
  PutU64(checkpoint.sequence, &value);
  PutU64(static_cast<uint64_t>(checkpoint.created_ns), &value);
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(ToErrno(batch.Put(CheckpointKey(checkpoint.epoch), value + checkpoint.name)));
  return WriteSynced(&batch);
}

Errno RocksStore::DeleteCheckpoint(const StoredCheckpoint& checkpoint) {
  ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> all, Checkpoints());
  uint32_t before = 0;
  uint32_t after = UINT32_MAX;
  for (const StoredCheckpoint& other : all) {
    if (other.epoch < checkpoint.epoch) before = std::max(before, other.epoch);
    if (other.epoch > checkpoint.epoch) after = std::min(after, other.epoch);
  }
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(ToErrno(batch.Delete(CheckpointKey(checkpoint.epoch))));
  // Nobody can ask any more what was there at this checkpoint, where an earlier touch says what was there before.
  RETURN_IF_ERROR(ForEachTouch(checkpoint.epoch, [&](const StoredTouch& touch) {
    if (touch.epoch >= after) return false;
    if (IsTouched(touch.name, before, checkpoint.epoch - 1)) batch.Delete(TouchKey(touch.epoch, touch.name)).PermitUncheckedError();
    return true;
  }));
  return WriteSynced(&batch);
}

Result<std::vector<StoredCheckpoint>> RocksStore::Checkpoints() const {
  std::vector<StoredCheckpoint> checkpoints;
  RETURN_IF_ERROR(ForEach("c", [&](const Slice& key, const Slice& value) {
    FieldReader reader = ReaderOf(value);
    StoredCheckpoint checkpoint{.epoch = ReaderOf(key, 1).U32()};
    checkpoint.sequence = reader.U64();
    checkpoint.created_ns = static_cast<int64_t>(reader.U64());
    checkpoint.name = reader.Rest();
    checkpoints.push_back(std::move(checkpoint));
    return true;
  }));
  return checkpoints;
}

uint64_t RocksStore::DiskBytes() const {
  uint64_t tables = 0;
  db_->GetIntProperty("rocksdb.total-sst-files-size", &tables);
  uint64_t memory = 0;
  db_->GetIntProperty("rocksdb.cur-size-all-mem-tables", &memory);
  return tables + memory;
}

Errno Open(const std::string& path, bool create, std::unique_ptr<Store>* store) try {
  rocksdb::DB* db = nullptr;
  const Status status = rocksdb::DB::Open(StoreOptions(create), path, &db);
  if (!status.ok()) return ToErrno(status);
  auto opened = std::make_unique<RocksStore>(std::unique_ptr<rocksdb::DB>(db));
  RETURN_IF_ERROR(opened->Check());
  *store = std::move(opened);
  return kOk;
} catch (const std::system_error&) {
  // It starts its threads when it is opened.
  return EAGAIN;
}

}  // namespace
}  // namespace plyfs

extern "C" [[gnu::visibility("default")]] const plyfs::StoreLibrary plyfs_store_library_2;
const plyfs::StoreLibrary plyfs_store_library_2 = {.open = plyfs::Open};
