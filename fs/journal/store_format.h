// store_format.h: the keys and values of the database (the table is in store.h) as bytes.
// Not here: what is written when (applier.h).
// Thread safety: pure functions.
#pragma once

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string>

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

inline StoredRename RenameFrom(const Slice& value) {
  FieldReader reader = ReaderOf(value);
  StoredRename rename;
  rename.epoch = reader.U32();
  rename.inode = reader.U64();
  rename.from = reader.Rest();
  return rename;
}

}  // namespace plyfs
