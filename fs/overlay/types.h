// types.h: what goes into and comes out of the Overlay: no libfuse or kernel-protocol type, no policy.
// Thread safety: value types.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "fs/base/ids.h"
#include "fs/layer/descriptor_cache.h"

namespace plyfs {

// Who asks: the ids as the mount's user namespace shows them.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;      // 0 when the caller is outside our pid namespace
  mode_t umask = 0;   // permission bits to take off a new object's mode unless the parent has a default ACL
};

// Attributes as stat(2) shows them in the union (ids mapped, numbers stable).
struct Attr {
  Ino ino;
  mode_t mode = 0;    // type and permission bits
  uint32_t nlink = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t rdev = 0;     // as makedev(3)
  uint64_t size = 0;    // bytes
  uint64_t blocks = 0;  // of 512 bytes
  uint32_t blksize = 4096;
  timespec atime{};     // tv_sec may be negative
  timespec mtime{};
  timespec ctime{};
  timespec btime{};     // tv_sec = tv_nsec = 0 where the layer knows no birth time
};

// The answer to LOOKUP and to every create. id kNone: the name does not exist (and may be cached as such).
struct Entry {
  NodeId id = NodeId::kNone;
  Attr attr;
};

// What SETATTR asks for; an unset field stays as it is.
struct AttrChange {
  std::optional<mode_t> mode;   // permission bits only
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<uint64_t> size;
  // tv_nsec may be UTIME_NOW.
  std::optional<timespec> atime;
  std::optional<timespec> mtime;
  // FATTR_KILL_SUIDGID: the caller has no CAP_FSETID, so setuid/setgid bits and file capabilities go.
  bool kill_suidgid = false;
};

struct CreateOptions {
  mode_t mode = 0;  // type (mknod only) and permission bits, umask not yet applied
  dev_t rdev = 0;
};

struct WriteOptions {
  bool kill_suidgid = false;  // FUSE_WRITE_KILL_SUIDGID
};

// A file as the kernel can open it once more, past us.
struct UpperFile {
  bool in_upper = false;
  FdRef fd;  // null also if we must see each write: owner and mode are in an attribute, it is append-only, immutable, setuid or setgid
};

// Receives a listing. Readdir calls Fits before it spends work on an entry (a lookup that would count one
// reference for the kernel), then Add for each that fitted.
class DirSink {
 public:
  virtual ~DirSink() = default;
  // True if an entry with a name of this many bytes still fits into the reply.
  virtual bool Fits(size_t name_length) const = 0;
  // `type` is a DT_* constant; `cookie` is the offset at which the next READDIR continues after this entry.
  // `entry` is null for plain READDIR and for entries that have no node of their own ("." and ".." always).
  virtual void Add(std::string_view name, Ino ino, uint8_t type, uint64_t cookie, const Entry* entry) = 0;
};

enum class ReaddirMode { kNames, kPlus };

// Counters for SIGUSR1 and the tools.
struct OverlayCounters {
  uint64_t nodes = 0;
  uint64_t copied_up_files = 0;
  uint64_t copied_up_bytes = 0;
  uint64_t open_descriptors = 0;
  uint64_t examined_names = 0;  // that lists of changes and checks of the journal have looked at: how far one of them is
};

}  // namespace plyfs
