// applier.h: adds records up to the net state, in memory, and writes that as one batch.
// Not here: the forms of keys and values (store_format.h), what records mean (record.h).
// Thread safety: one thread.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "fs/journal/store_format.h"

namespace plyfs {

// Of one object, over all epochs.
constexpr size_t kMaxOrigins = 16;

// Kinds of keys that most unions never have: a look-up that must fail costs more than all the rest of a record.
struct RareKeys {
  bool renames = false;
  bool aliases = false;
};

// Applies records to a batch that sees its own writes.
class Applier {
 public:
  // `rare` says which kinds of keys there are, and is kept up to date.
  Applier(rocksdb::DB& db, uint32_t epoch, RareKeys& rare) : db_(db), epoch_(epoch), rare_(rare) {}

  void Apply(const Record& record) {
    switch (record.type) {
      case RecordType::kTouch: return Touch(record);
      case RecordType::kGone: return Gone(record, record.name);
      case RecordType::kEvent: return Event(record);
      case RecordType::kDirectory: return Put(InodeKey('d', record.inode), NameValue(record.name));
      case RecordType::kDropDirectory: return DropDirectory(record.inode);
      case RecordType::kRename: return Rename(record);
      case RecordType::kOrigin: return Origin(record);
      case RecordType::kDropOrigin: return DropOrigin(record.inode);
      case RecordType::kLinksRemoved: return LinksRemoved(record);
      case RecordType::kAlias: return PutAlias(record.inode, record.name);
      case RecordType::kLinkGoes:
      case RecordType::kIndexedLinkGoes: return LinkGoes(record);
      case RecordType::kLinkSettled: return Delete(GoingLinkKey(record.device, record.inode));
      case RecordType::kRemoved: return Removed(record);
      case RecordType::kMoved: return Moved(record);
      case RecordType::kDropUnused: return Delete(InodeKey('d', record.inode));
    }
  }

  void Put(const std::string& key, std::string value) { entries_[key].Set(std::move(value)); }

  // One batch, in the order of keys; what was made and removed again costs next to nothing.
  Errno Commit() {
    for (const Status& status : status_) RETURN_IF_ERROR(ToErrno(status));
    if (!events_.empty()) Put(InodeKey('e', last_event_), std::move(events_));
    rocksdb::WriteBatch batch;
    for (const auto& [key, entry] : entries_) {
      if (!entry.is_changed || (entry.was_absent && !entry.value)) continue;
      RETURN_IF_ERROR(ToErrno(entry.value ? batch.Put(key, *entry.value) : batch.Delete(key)));
    }
    return ToErrno(db_.Write(rocksdb::WriteOptions(), &batch));
  }

 private:
  // What stands under a key once the records so far have been applied.
  struct Entry {
    std::optional<std::string> value;
    bool is_changed = false;
    bool was_absent = false;  // it is known that the database has none

    void Set(std::optional<std::string> to) {
      value = std::move(to);
      is_changed = true;
    }
  };

  bool Get(const std::string& key, std::string* value) {
    const auto [found, is_new] = entries_.try_emplace(key);
    Entry& entry = found->second;
    if (is_new) {
      const Status status = db_.Get(rocksdb::ReadOptions(), key, value);
      if (!status.ok() && !status.IsNotFound()) status_.push_back(status);
      entry.was_absent = status.IsNotFound();
      if (status.ok()) entry.value = *value;
    } else if (entry.value) {
      *value = *entry.value;
    }
    return entry.value.has_value();
  }
  void Delete(const std::string& key) { entries_[key].Set(std::nullopt); }

  void DeletePrefix(const std::string& prefix) {
    for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
      at->second.Set(std::nullopt);
    }
    if (!iterator_) iterator_.reset(db_.NewIterator(rocksdb::ReadOptions()));
    rocksdb::Iterator& at = *iterator_;
    for (at.Seek(prefix); at.Valid() && at.key().starts_with(prefix); at.Next()) Delete(at.key().ToString());
    if (!at.status().ok()) status_.push_back(at.status());
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

  // `name` of the upper inode record.inode.
  void Gone(const Record& record, const JournalName& name) {
    const std::string key = TouchKey(epoch_, name);
    std::string there;
    if (Get(key, &there)) {
      // Made and removed since the checkpoint: as if it had never been.
      if (record.value == 0 && !FormerFrom(there).existed) Delete(key);
      else SetGone(key, there, true);
    }
    if (rare_.renames && Get(RenameKey(name), &there)) Delete(RenameKey(name));
    DropAlias(record.inode, name);
  }

  void Removed(const Record& record) {
    Gone(record, record.name);
    Event(record);
  }

  void Moved(const Record& record) {
    Rename(record);
    Gone(record, record.old_name);
    Event(record);
  }

  void PutAlias(uint64_t inode, const JournalName& name) {
    rare_.aliases = true;
    Put(AliasKey(inode, name), "");
  }

  // False if it was none.
  bool DropAlias(uint64_t inode, const JournalName& name) {
    if (inode == 0 || !rare_.aliases) return false;
    const std::string key = AliasKey(inode, name);
    std::string there;
    if (!Get(key, &there)) return false;
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
    if (rare_.renames) DeletePrefix(InodeKey('r', inode));
  }

  void Rename(const Record& record) {
    PutChain(record);
    const std::string key = TouchKey(epoch_, record.name);
    std::string there;
    if (Get(key, &there)) SetGone(key, there, false);
    if (DropAlias(record.inode, record.old_name)) PutAlias(record.inode, record.name);
  }

  void PutChain(const Record& record) {
    RenameChain chain{.inode = record.inode};
    std::string there;
    if (rare_.renames && Get(RenameKey(record.old_name), &there)) {
      RenameChain before = RenameChainFrom(there);
      if (before.inode == record.inode) chain = std::move(before);
    }
    // Made in this epoch: it came from nowhere. (What is written beside and then renamed into its place.)
    if (chain.origins.empty() && Get(TouchKey(epoch_, record.old_name), &there) && !FormerFrom(there).existed) {
      if (rare_.renames && Get(RenameKey(record.name), &there)) Delete(RenameKey(record.name));
      return;
    }
    // Renamed twice since the checkpoint: it came from where it stood at first.
    if (chain.origins.empty() || chain.origins.back().epoch != epoch_) {
      chain.origins.push_back({.epoch = epoch_, .path = record.from});
    }
    // What was the lowers' and what is asked for most, the latest; for epochs between them the next one must do.
    if (chain.origins.size() > kMaxOrigins) chain.origins.erase(chain.origins.begin() + 1);
    Put(RenameKey(record.name), RenameChainValue(chain));
    rare_.renames = true;
  }

  void Origin(const Record& record) {
    std::string value;
    PutU64(record.value, &value);
    PutU64(static_cast<uint64_t>(record.birth_ns), &value);
    Put(InodeKey('i', record.inode), value);
  }

  void DropOrigin(uint64_t inode) {
    Delete(InodeKey('i', inode));
    if (rare_.aliases) DeletePrefix(InodeKey('a', inode));
  }

  void LinksRemoved(const Record& record) {
    std::string value;
    PutU64(record.value, &value);
    Put(LinksKey(record.device, record.inode), value);
  }

  void LinkGoes(const Record& record) {
    const std::string key = GoingLinkKey(record.device, record.inode);
    std::string there;
    Get(key, &there);  // nearly always absent: then nothing is written when it is settled in the same batch
    Put(key, GoingLinkValue(record));
  }

  rocksdb::DB& db_;
  const uint32_t epoch_;
  RareKeys& rare_;
  std::unique_ptr<rocksdb::Iterator> iterator_;  // made when it is needed; nobody else writes meanwhile
  absl::btree_map<std::string, Entry> entries_;
  std::string events_;
  uint64_t last_event_ = 0;
  std::vector<Status> status_;
};

}  // namespace plyfs
