// store_format.h: the keys and values of the database (the table is in store.h) as bytes.
// Not here: what is written when (applier.h).
// Thread safety: pure functions.
#pragma once

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <span>
#include <string>
#include <vector>

#include "fs/journal/record.h"
#include "fs/journal/store.h"

namespace plyfs {

using rocksdb::Slice;
using rocksdb::Status;

inline Errno ToErrno(const Status& status) {
  if (status.ok()) return kOk;
  if (status.IsNoSpace()) return ENOSPC;
  if (status.IsNotFound()) return ENOENT;
  if (status.IsNotSupported()) return ENOTSUP;
  // Any other call that failed (no descriptor, no memory, the disk) says nothing about the files.
  return status.IsCorruption() || status.IsInvalidArgument() || status.IsPathNotFound() ? EUCLEAN : EIO;
}

// --- keys

inline std::string TouchPrefix(uint32_t epoch) {
  std::string key = "t";
  PutU32(epoch, &key);
  return key;
}

inline std::string TouchKey(uint32_t epoch, const JournalName& name) {
  std::string key = TouchPrefix(epoch);
  PutU64(name.dir, &key);
  return key + name.text;
}

inline std::string InodeKey(char kind, uint64_t inode) {
  std::string key(1, kind);
  PutU64(inode, &key);
  return key;
}

inline std::string RenameKey(const JournalName& name) { return InodeKey('r', name.dir) + name.text; }

inline std::string AliasKey(uint64_t inode, const JournalName& name) {
  std::string key = InodeKey('a', inode);
  PutU64(name.dir, &key);
  return key + name.text;
}

inline std::string LinksKey(uint64_t device, uint64_t inode) {
  std::string key = InodeKey('l', device);
  PutU64(inode, &key);
  return key;
}

inline std::string GoingLinkKey(uint64_t device, uint64_t inode) {
  std::string key = InodeKey('g', device);
  PutU64(inode, &key);
  return key;
}

inline std::string CheckpointKey(uint32_t epoch) {
  std::string key = "c";
  PutU32(epoch, &key);
  return key;
}

inline FieldReader ReaderOf(const Slice& slice, size_t skip = 0) { return FieldReader({slice.data() + skip, slice.size() - skip}); }

// --- values

inline std::string NameValue(const JournalName& name) {
  std::string value;
  PutU64(name.dir, &value);
  return value + name.text;
}

inline JournalName NameFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  const uint64_t dir = reader.U64();
  return {.dir = dir, .text = reader.Rest()};
}

enum FormerFlags : uint8_t { kExisted = 1, kGone = 2 };

inline std::string FormerValue(const FormerState& former) {
  std::string value(1, static_cast<char>((former.existed ? kExisted : 0) | (former.gone ? kGone : 0)));
  PutU64(former.upper_dir, &value);
  PutU64(static_cast<uint64_t>(former.upper_birth_ns), &value);
  return value;
}

inline FormerState FormerFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  const uint8_t flags = reader.U8();
  FormerState former{.existed = (flags & kExisted) != 0, .gone = (flags & kGone) != 0};
  former.upper_dir = reader.U64();
  former.upper_birth_ns = static_cast<int64_t>(reader.U64());
  return former;
}

inline StoredTouch TouchFrom(const Slice& key, const Slice& value) {
  FieldReader reader = ReaderOf(key, 1);
  StoredTouch touch{.epoch = reader.U32()};
  touch.name.dir = reader.U64();
  touch.name.text = reader.Rest();
  touch.former = FormerFrom(value);
  return touch;
}

inline std::string GoingLinkValue(const Record& record) {
  std::string value(1, record.type == RecordType::kIndexedLinkGoes ? 1 : 0);
  PutU64(record.value, &value);
  PutU64(record.name.dir, &value);
  PutText(record.name.text, &value);
  return value + record.from;
}

inline StoredGoingLink GoingLinkFrom(const Slice& key, const Slice& value) {
  FieldReader file = ReaderOf(key, 1);
  StoredGoingLink link{.device = file.U64()};
  link.inode = file.U64();
  FieldReader reader = ReaderOf(value);
  link.indexed = reader.U8() != 0;
  link.before = reader.U64();
  link.name.dir = reader.U64();
  link.name.text = reader.Text();
  link.dir_path = reader.Rest();
  return link;
}

// Where an object was at the start of each epoch in which it was renamed, the first one first.
struct RenameChain {
  struct Origin {
    uint32_t epoch = 0;
    std::string path;
  };
  uint64_t inode = 0;
  std::vector<Origin> origins;
};

inline std::string RenameChainValue(const RenameChain& chain) {
  std::string value;
  for (const RenameChain::Origin& origin : chain.origins) {
    const bool is_first = value.empty();
    if (!is_first) value.push_back('\0');
    PutU32(origin.epoch, &value);
    if (is_first) PutU64(chain.inode, &value);
    value += origin.path;
  }
  return value;
}

inline RenameChain RenameChainFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  RenameChain chain;
  uint32_t epoch = reader.U32();
  chain.inode = reader.U64();
  for (std::string rest = reader.Rest();;) {
    const size_t end = rest.find('\0');
    chain.origins.push_back({.epoch = epoch, .path = rest.substr(0, end)});
    if (end == std::string::npos) return chain;
    FieldReader next(std::span<const char>(rest).subspan(end + 1));
    epoch = next.U32();
    rest = next.Rest();
  }
}

}  // namespace plyfs
