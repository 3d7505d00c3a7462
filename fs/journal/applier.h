// applier.h: adds records up to the net state, in memory, and writes that as one batch.
// Not here: the forms of keys and values (store_format.h), what records mean (record.h).
// Thread safety: one thread.
#pragma once

#include <rocksdb/db.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/journal/store_format.h"

namespace plyfs {

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

  void Put(const std::string& key, const std::string& value) { writes_[key] = value; }

  // One batch; what was made and removed again costs next to nothing.
  Errno Commit() {
    for (const Status& status : status_) RETURN_IF_ERROR(ToErrno(status));
    if (!events_.empty()) writes_[InodeKey('e', last_event_)] = std::move(events_);
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : writes_) {
      RETURN_IF_ERROR(ToErrno(value ? batch.Put(key, *value) : batch.Delete(key)));
    }
    return ToErrno(db_.Write(rocksdb::WriteOptions(), &batch));
  }

 private:
  bool Get(const std::string& key, std::string* value) {
    if (const auto written = writes_.find(key); written != writes_.end()) {
      if (written->second) *value = *written->second;
      return written->second.has_value();
    }
    const Status status = db_.Get(rocksdb::ReadOptions(), key, value);
    if (!status.ok() && !status.IsNotFound()) status_.push_back(status);
    return status.ok();
  }
  void Delete(const std::string& key) { writes_[key] = std::nullopt; }

  void DeletePrefix(const std::string& prefix) {
    for (auto at = writes_.lower_bound(prefix); at != writes_.end() && at->first.starts_with(prefix); ++at) {
      at->second = std::nullopt;
    }
    const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(rocksdb::ReadOptions()));
    for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) Delete(at->key().ToString());
    status_.push_back(at->status());
  }

  // The first touch in an epoch says what was there at its start; later ones say nothing new.
  void Touch(const Record& record) {
    const std::string key = TouchKey(epoch_, record.name);
    std::string there;
    if (!Get(key, &there)) return Put(key, FormerValue(record.former));
    SetGone(key, there, false);
  }

  void SetGone(const std::string& key, const std::string& value, bool gone) {
    FormerState former = FormerFrom(value);
    if (former.gone == gone) return;
    former.gone = gone;
    Put(key, FormerValue(former));
  }

  void Gone(const Record& record) {
    const std::string key = TouchKey(epoch_, record.name);
    std::string there;
    if (Get(key, &there)) {
      // Made and removed since the checkpoint: as if it had never been.
      if (record.value == 0 && !FormerFrom(there).existed) Delete(key);
      else SetGone(key, there, true);
    }
    if (Get(RenameKey(record.name), &there)) Delete(RenameKey(record.name));
    DropAlias(record.inode, record.name);
  }

  // False if it was none.
  bool DropAlias(uint64_t inode, const JournalName& name) {
    const std::string key = AliasKey(inode, name);
    std::string there;
    if (inode == 0 || !Get(key, &there)) return false;
    Delete(key);
    return true;
  }

  void Event(const Record& record) {
    last_event_ = record.sequence;
    PutU64(record.sequence, &events_);
    events_.push_back(static_cast<char>(record.event));
    PutU64(record.name.dir, &events_);
    PutText(record.name.text, &events_);
    PutText(record.from, &events_);
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
    if (Get(TouchKey(epoch_, record.name), &there)) SetGone(TouchKey(epoch_, record.name), there, false);
    if (DropAlias(record.inode, record.old_name)) Put(AliasKey(record.inode, record.name), "");
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
  std::map<std::string, std::optional<std::string>> writes_;  // nullopt: removed
  std::string events_;
  uint64_t last_event_ = 0;
  std::vector<Status> status_;
};

}  // namespace plyfs
