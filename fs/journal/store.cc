// store.cc: see store.h.
#include "fs/journal/store.h"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <algorithm>

namespace plyfs {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

constexpr uint32_t kFormatVersion = 1;
// How many events are kept for watchers: the older half goes when there are twice as many.
constexpr uint64_t kKeptEvents = 65536;
// Small: the journal of a container has some thousand entries.
constexpr size_t kWriteBuffer = 1 << 20;
constexpr size_t kBlockCache = 512 << 10;
constexpr int kOpenFiles = 32;

Errno ToErrno(const Status& status) {
  if (status.ok()) return kOk;
  if (status.IsNoSpace()) return ENOSPC;
  if (status.IsNotFound()) return ENOENT;
  return EIO;
}

// --- keys

std::string TouchPrefix(uint32_t epoch) {
  std::string key = "t";
  PutU32(epoch, &key);
  return key;
}

std::string TouchKey(uint32_t epoch, const JournalName& name) {
  std::string key = TouchPrefix(epoch);
  PutU64(name.dir, &key);
  return key + name.text;
}

std::string InodeKey(char kind, uint64_t inode) {
  std::string key(1, kind);
  PutU64(inode, &key);
  return key;
}

std::string RenameKey(const JournalName& name) { return InodeKey('r', name.dir) + name.text; }

std::string AliasKey(uint64_t inode, const JournalName& name) {
  std::string key = InodeKey('a', inode);
  PutU64(name.dir, &key);
  return key + name.text;
}

std::string LinksKey(uint64_t device, uint64_t inode) {
  std::string key = InodeKey('l', device);
  PutU64(inode, &key);
  return key;
}

std::string CheckpointKey(uint32_t epoch) {
  std::string key = "c";
  PutU32(epoch, &key);
  return key;
}

FieldReader ReaderOf(const Slice& slice, size_t skip = 0) { return FieldReader({slice.data() + skip, slice.size() - skip}); }

// --- values

std::string NameValue(const JournalName& name) {
  std::string value;
  PutU64(name.dir, &value);
  return value + name.text;
}

JournalName NameFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  const uint64_t dir = reader.U64();
  return {.dir = dir, .text = reader.Rest()};
}

std::string FormerValue(const FormerState& former) {
  std::string value(1, former.existed ? 1 : 0);
  PutU64(former.upper_dir, &value);
  return value;
}

FormerState FormerFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  const bool existed = reader.U8() != 0;
  return {.existed = existed, .upper_dir = reader.U64()};
}

StoredRename RenameFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  StoredRename rename;
  rename.epoch = reader.U32();
  rename.inode = reader.U64();
  rename.from = reader.Rest();
  return rename;
}

// Nothing of RocksDB's own is logged: what matters comes back as a status.
class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

rocksdb::Options StoreOptions(bool create) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCache, 0);
  rocksdb::Options options;
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
  // No timers: an idle server sleeps.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  // What is in the write-ahead log is read back at the next start; a flush at each unmount would cost more.
  options.avoid_flush_during_shutdown = true;
  return options;
}

// Applies records to a batch that sees its own writes.
class Applier {
 public:
  Applier(rocksdb::DB& db, uint32_t epoch) : db_(db), epoch_(epoch) {}

  void Apply(const Record& record) {
    switch (record.type) {
      case RecordType::kTouch: return Touch(record);
      case RecordType::kGone: return Gone(record);
      case RecordType::kEvent: return Event(record);
      case RecordType::kDirectory: return Put(InodeKey('d', record.inode), NameValue(record.name));
      case RecordType::kDropDirectory: return DropDirectory(record.inode);
      case RecordType::kRename: return Rename(record);
      case RecordType::kOrigin: return Origin(record);
      case RecordType::kDropOrigin: return DropOrigin(record.inode);
      case RecordType::kLinksRemoved: return LinksRemoved(record);
      case RecordType::kAlias: return Put(AliasKey(record.inode, record.name), "");
    }
  }

  void Put(const std::string& key, const std::string& value) { status_.push_back(batch_.Put(key, value)); }

  Errno Commit() {
    for (const Status& status : status_) RETURN_IF_ERROR(ToErrno(status));
    return ToErrno(db_.Write(rocksdb::WriteOptions(), batch_.GetWriteBatch()));
  }

 private:
  bool Get(const std::string& key, std::string* value) {
    return batch_.GetFromBatchAndDB(&db_, rocksdb::ReadOptions(), key, value).ok();
  }
  void Delete(const std::string& key) { status_.push_back(batch_.Delete(key)); }

  void DeletePrefix(const std::string& prefix) {
    const std::unique_ptr<rocksdb::Iterator> at(
        batch_.NewIteratorWithBase(db_.NewIterator(rocksdb::ReadOptions())));
    std::vector<std::string> keys;
    for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) keys.push_back(at->key().ToString());
    for (const std::string& key : keys) Delete(key);
  }

  // The first touch in an epoch says what was there at its start; later ones say nothing new.
  void Touch(const Record& record) {
    const std::string key = TouchKey(epoch_, record.name);
    std::string there;
    if (!Get(key, &there)) Put(key, FormerValue(record.former));
  }

  // Made and removed since the checkpoint: as if it had never been.
  void Gone(const Record& record) {
    const std::string key = TouchKey(epoch_, record.name);
    std::string there;
    if (record.value == 0 && Get(key, &there) && !FormerFrom(there).existed) Delete(key);
    if (Get(RenameKey(record.name), &there)) Delete(RenameKey(record.name));
  }

  void Event(const Record& record) {
    std::string value(1, static_cast<char>(record.event));
    PutU64(record.name.dir, &value);
    PutText(record.name.text, &value);
    Put(InodeKey('e', record.sequence), value + record.from);
  }

  // Whatever was noted of names in it: its own name says all there is to say now.
  void DropDirectory(uint64_t inode) {
    Delete(InodeKey('d', inode));
    for (uint32_t epoch = 0; epoch <= epoch_; ++epoch) {
      std::string prefix = TouchPrefix(epoch);
      PutU64(inode, &prefix);
      DeletePrefix(prefix);
    }
    DeletePrefix(InodeKey('r', inode));
  }

  void Rename(const Record& record) {
    std::string from = record.from;
    std::string there;
    // Renamed twice since the checkpoint: it came from where it stood at first.
    if (Get(RenameKey(record.old_name), &there)) {
      const StoredRename before = RenameFrom(there);
      if (before.epoch == epoch_ && before.inode == record.inode) from = before.from;
    }
    std::string value;
    PutU32(epoch_, &value);
    PutU64(record.inode, &value);
    Put(RenameKey(record.name), value + from);
  }

  void Origin(const Record& record) {
    std::string value;
    PutU64(record.value, &value);
    PutU64(static_cast<uint64_t>(record.birth_ns), &value);
    Put(InodeKey('i', record.inode), value);
  }

  void DropOrigin(uint64_t inode) {
    Delete(InodeKey('i', inode));
    DeletePrefix(InodeKey('a', inode));
  }

  void LinksRemoved(const Record& record) {
    std::string value;
    PutU64(record.value, &value);
    Put(LinksKey(record.device, record.inode), value);
  }

  rocksdb::DB& db_;
  const uint32_t epoch_;
  rocksdb::WriteBatchWithIndex batch_;
  std::vector<Status> status_;
};

constexpr const char* kAppliedKey = "m";

}  // namespace

struct Store::Database {
  std::unique_ptr<rocksdb::DB> db;

  std::unique_ptr<rocksdb::Iterator> Iterate() const {
    return std::unique_ptr<rocksdb::Iterator>(db->NewIterator(rocksdb::ReadOptions()));
  }

  // Every key that begins with `prefix`; visit returns false to stop.
  Errno ForEach(const std::string& prefix, const std::function<bool(const Slice&, const Slice&)>& visit,
                const std::string& start = "") const {
    const auto at = Iterate();
    for (at->Seek(start.empty() ? prefix : start); at->Valid() && at->key().starts_with(prefix); at->Next()) {
      if (!visit(at->key(), at->value())) break;
    }
    return ToErrno(at->status());
  }

  std::optional<std::string> Get(const std::string& key) const {
    std::string value;
    if (!db->Get(rocksdb::ReadOptions(), key, &value).ok()) return std::nullopt;
    return value;
  }
};

Store::Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}

Store::~Store() { database_->db->Close().PermitUncheckedError(); }

Result<std::unique_ptr<Store>> Store::Open(const std::string& path, bool create) {
  rocksdb::DB* db = nullptr;
  const Status status = rocksdb::DB::Open(StoreOptions(create), path, &db);
  if (!status.ok()) return ToErrno(status);
  auto database = std::make_unique<Database>();
  database->db.reset(db);
  auto store = std::unique_ptr<Store>(new Store(std::move(database)));
  const Result<uint64_t> applied = store->Applied();  // checks the version
  if (!applied.ok() && !(applied.error() == ENOENT && create)) return applied.error();
  return store;
}

void Store::Destroy(const std::string& path) {
  rocksdb::DestroyDB(path, StoreOptions(false)).PermitUncheckedError();
}

Errno Store::Apply(std::span<const Record> records, uint32_t epoch) {
  uint64_t last = 0;
  if (const Result<uint64_t> applied = Applied(); applied.ok()) last = *applied;
  Applier applier(*database_->db, epoch);
  for (const Record& record : records) {
    if (record.sequence <= last) continue;
    applier.Apply(record);
    last = record.sequence;
  }
  std::string value;
  PutU32(kFormatVersion, &value);
  PutU64(last, &value);
  applier.Put(kAppliedKey, value);
  RETURN_IF_ERROR(applier.Commit());
  if (const uint64_t oldest = OldestEvent(); last > 2 * kKeptEvents && oldest + 2 * kKeptEvents < last) {
    return ToErrno(database_->db->DeleteRange(rocksdb::WriteOptions(), database_->db->DefaultColumnFamily(),
                                              InodeKey('e', 0), InodeKey('e', last - kKeptEvents)));
  }
  return kOk;
}

Result<uint64_t> Store::Applied() const {
  const std::optional<std::string> value = database_->Get(kAppliedKey);
  if (!value) return Errno(ENOENT);
  FieldReader reader(*value);
  if (reader.U32() != kFormatVersion) return Errno(EIO);
  return reader.U64();
}

Errno Store::Sync() { return ToErrno(database_->db->SyncWAL()); }

Errno Store::ForEachTouch(uint32_t first_epoch, const std::function<bool(const StoredTouch&)>& visit) const {
  return database_->ForEach(
      "t",
      [&](const Slice& key, const Slice& value) {
        FieldReader reader = ReaderOf(key, 1);
        StoredTouch touch;
        touch.epoch = reader.U32();
        touch.name.dir = reader.U64();
        touch.name.text = reader.Rest();
        touch.former = FormerFrom(value);
        return visit(touch);
      },
      TouchPrefix(first_epoch));
}

Errno Store::ForEachOrigin(const std::function<void(const StoredOrigin&)>& visit) const {
  return database_->ForEach("i", [&](const Slice& key, const Slice& value) {
    FieldReader reader = ReaderOf(value);
    StoredOrigin origin{.inode = ReaderOf(key, 1).U64()};
    origin.shown = reader.U64();
    origin.birth_ns = static_cast<int64_t>(reader.U64());
    visit(origin);
    return true;
  });
}

Errno Store::ForEachLinksRemoved(
    const std::function<void(uint64_t device, uint64_t inode, uint64_t removed)>& visit) const {
  return database_->ForEach("l", [&](const Slice& key, const Slice& value) {
    FieldReader reader = ReaderOf(key, 1);
    const uint64_t device = reader.U64();
    visit(device, reader.U64(), ReaderOf(value).U64());
    return true;
  });
}

Errno Store::ForEachDirectory(const std::function<void(uint64_t inode, const JournalName&)>& visit) const {
  return database_->ForEach("d", [&](const Slice& key, const Slice& value) {
    visit(ReaderOf(key, 1).U64(), NameFrom(value));
    return true;
  });
}

std::optional<JournalName> Store::Directory(uint64_t inode) const {
  const std::optional<std::string> value = database_->Get(InodeKey('d', inode));
  if (!value) return std::nullopt;
  return NameFrom(*value);
}

std::optional<StoredRename> Store::Rename(const JournalName& name) const {
  const std::optional<std::string> value = database_->Get(RenameKey(name));
  if (!value) return std::nullopt;
  return RenameFrom(*value);
}

std::vector<JournalName> Store::Aliases(uint64_t inode) const {
  std::vector<JournalName> names;
  database_
      ->ForEach(InodeKey('a', inode),
                [&](const Slice& key, const Slice& /*value*/) {
                  FieldReader reader = ReaderOf(key, 1 + 8);
                  const uint64_t dir = reader.U64();
                  names.push_back({.dir = dir, .text = reader.Rest()});
                  return true;
                })
      .Ignore("the names that were read are still right");
  return names;
}

bool Store::IsTouched(const JournalName& name, uint32_t first_epoch, uint32_t last_epoch) const {
  for (uint32_t epoch = first_epoch; epoch <= last_epoch; ++epoch) {
    if (database_->Get(TouchKey(epoch, name))) return true;
  }
  return false;
}

Errno Store::RemoveTouch(const StoredTouch& touch) {
  return ToErrno(database_->db->Delete(rocksdb::WriteOptions(), TouchKey(touch.epoch, touch.name)));
}

std::vector<StoredEvent> Store::Events(uint64_t after, size_t limit) const {
  std::vector<StoredEvent> events;
  database_
      ->ForEach(
          "e",
          [&](const Slice& key, const Slice& value) {
            FieldReader reader = ReaderOf(value);
            StoredEvent event{.sequence = ReaderOf(key, 1).U64()};
            event.kind = reader.U8();
            event.name.dir = reader.U64();
            event.name.text = reader.Text();
            event.from = reader.Rest();
            events.push_back(std::move(event));
            return events.size() < limit;
          },
          InodeKey('e', after + 1))
      .Ignore("the events that were read are still right");
  return events;
}

uint64_t Store::OldestEvent() const {
  const auto at = database_->Iterate();
  at->Seek("e");
  return at->Valid() && at->key().starts_with("e") ? ReaderOf(at->key(), 1).U64() : 0;
}

Errno Store::PutCheckpoint(const StoredCheckpoint& checkpoint) {
  std::string value;
  PutU64(checkpoint.sequence, &value);
  PutU64(static_cast<uint64_t>(checkpoint.created_ns), &value);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return ToErrno(database_->db->Put(synced, CheckpointKey(checkpoint.epoch), value + checkpoint.name));
}

Errno Store::DeleteCheckpoint(const StoredCheckpoint& checkpoint) {
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
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return ToErrno(database_->db->Write(synced, &batch));
}

Result<std::vector<StoredCheckpoint>> Store::Checkpoints() const {
  std::vector<StoredCheckpoint> checkpoints;
  RETURN_IF_ERROR(database_->ForEach("c", [&](const Slice& key, const Slice& value) {
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

uint64_t Store::DiskBytes() const {
  uint64_t tables = 0;
  database_->db->GetIntProperty("rocksdb.total-sst-files-size", &tables);
  uint64_t memory = 0;
  database_->db->GetIntProperty("rocksdb.cur-size-all-mem-tables", &memory);
  return tables + memory;
}

}  // namespace plyfs
