// record.h: one entry of the journal: what is about to change, has changed, or must be remembered of the union.
// Not here: where records wait (tail.h) and what becomes of them (store.h).
// Thread safety: value types and pure functions.
//
// A directory is named by the inode number of its upper part: every change happens in a directory that is in the upper, and that
// number stays over renames and remounts. A name in the union is (directory's inode, name).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace plyfs {

struct JournalName {
  uint64_t dir = 0;  // inode number of the directory's upper part
  std::string text;

  friend bool operator==(const JournalName&, const JournalName&) = default;
};

// What stood under a name before it was touched for the first time since a checkpoint.
struct FormerState {
  bool existed = false;
  bool gone = false;            // only in the store: nothing stands there any more
  uint64_t upper_dir = 0;       // inode number of the upper part, if it was a directory that had one
  int64_t upper_birth_ns = 0;   // of that inode: its number may be used again
};

enum class RecordType : uint8_t {
  kTouch = 1,       // ahead: `name` may change; `former`
  kGone = 2,        // after: `name` does not exist any more, or not as a name of the upper inode `inode` (0: it had none); `value`
                    // is not 0 if something else is shown there, or a lower would show it without a whiteout
  kEvent = 3,       // after: something for watchers; `event`, `name`, `from`
  kDirectory = 4,   // the directory with the upper inode `inode` is now `name`
  kDropDirectory = 5,  // `inode`'s directory has been removed
  kRename = 6,      // after: the object with the upper inode `inode` came from `old_name`, at the path `from`, to `name`
  kOrigin = 7,      // the upper inode `inode`, born at `birth_ns`, shows the number `value`
  kDropOrigin = 8,  // that inode is gone
  kLinksRemoved = 9,   // of the lower file (`device`, `inode`), `value` names have been removed
  kAlias = 10,      // `name` is one of several names of the upper inode `inode`
  kLinkGoes = 11,   // ahead: `name`, in the upper's directory at the path `from`, one name of the lower file (`device`, `inode`), may go;
                    // `value` had been removed before, as kLinksRemoved counts
  kIndexedLinkGoes = 12,  // the same of a file that is, or is being, copied up; `value` names in the lowers led to the copy before
  kLinkSettled = 13,      // after: what became of that name has been counted
  kRemoved = 14,    // kGone and its kEvent in one
  kMoved = 15,      // kRename, kGone of `old_name` (`value` is of that) and their kEvent in one
  kDropUnused = 16,  // kDropDirectory of one in which nothing has been recorded
};

struct Record {
  RecordType type = RecordType::kTouch;
  uint64_t sequence = 0;  // given by the tail
  JournalName name;
  JournalName old_name;
  FormerState former;
  uint64_t inode = 0;
  uint64_t device = 0;
  uint64_t value = 0;
  int64_t birth_ns = 0;
  uint8_t event = 0;  // ChangeEvent::Kind of fs/overlay/changes.h
  std::string from;
};

// Appends the record's bytes: 16 of header (CRC-32 of what follows, size of the body, type, sequence), then the body.
// Names are at most 255 bytes, `from` at most 4,096.
void EncodeRecord(const Record& record, std::string* out);

// The record at the start of `bytes`, and how many bytes it takes; nullopt if what is there is not a whole, intact one.
struct DecodedRecord {
  Record record;
  size_t size = 0;
};
std::optional<DecodedRecord> DecodeRecord(std::span<const char> bytes);

// Numbers and strings of the store's keys and values; big-endian, so that keys sort as numbers do.
void PutU32(uint32_t value, std::string* out);
void PutU64(uint64_t value, std::string* out);
void PutText(const std::string& text, std::string* out);  // 16 bits of length, then the bytes

// Reads the same back; after the first value that is not there whole, ok() is false and everything reads as zero.
class FieldReader {
 public:
  explicit FieldReader(std::span<const char> bytes) : rest_(bytes) {}

  uint8_t U8();
  uint32_t U32();
  uint64_t U64();
  std::string Text();
  std::string Rest();
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::span<const char> Take(size_t size);

  std::span<const char> rest_;
  bool ok_ = true;
};

}  // namespace plyfs
