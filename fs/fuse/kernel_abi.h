// kernel_abi.h: the kernel's FUSE protocol: <linux/fuse.h> and what newer kernels added to it.
// Not here: decoding (request.h), what we ask the kernel for (capabilities.h).
// Thread safety: constants and plain structs.
//
// Debian 12's header ends at protocol 7.38; each block below names the version that brought it. All
// of it is only used after the kernel has offered it.
#pragma once

#include <linux/fuse.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace plyfs::abi {

// 7.33: FATTR_KILL_SUIDGID and friends are in Debian's header.

// INIT flags. Bits from 32 upwards travel in flags2.
inline constexpr uint64_t kDirectIoAllowMmap = uint64_t{1} << 36;  // 7.39
inline constexpr uint64_t kPassthrough = uint64_t{1} << 37;        // 7.40
inline constexpr uint64_t kNoExportSupport = uint64_t{1} << 38;    // 7.40
inline constexpr uint64_t kOverIoUring = uint64_t{1} << 41;        // 7.42

// 7.39: STATX, the only way to show a birth time.
inline constexpr uint32_t kStatx = 52;

struct SxTime {
  int64_t tv_sec;
  uint32_t tv_nsec;
  int32_t reserved;
};

struct Statx {
  uint32_t mask;  // STATX_* of statx(2)
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0;
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  SxTime atime;
  SxTime btime;
  SxTime ctime;
  SxTime mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t spare2[14];
};
static_assert(sizeof(Statx) == 256);

struct StatxIn {
  uint32_t getattr_flags;
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;
  uint32_t sx_mask;
};
static_assert(sizeof(StatxIn) == 24);

struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  Statx stat;
};
static_assert(sizeof(StatxOut) == 288);

// 7.40: files that the kernel reads and writes itself. The id of one travels where fuse_open_out has its padding, how deep its filesystem
// may be stacked in the first unused field of fuse_init_out.
inline constexpr uint32_t kOpenPassthrough = 1 << 7;  // FOPEN_PASSTHROUGH

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
static_assert(sizeof(BackingMap) == 16);

inline constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);  // returns the id, more than 0
inline constexpr unsigned long kBackingClose = _IOW(229, 2, uint32_t);

// 7.45: COPY_FILE_RANGE whose reply can say more than 4 GiB. Same request as COPY_FILE_RANGE.
inline constexpr uint32_t kCopyFileRange64 = 53;

struct CopyFileRangeOut {
  uint64_t bytes_copied;
};

// 7.42: requests through io_uring (IORING_OP_URING_CMD on the device, SQE128).
enum class UringCommand : uint32_t {
  kRegister = 1,        // addr: iovec[2], a UringHeader and room for the payload; then waits for a request
  kCommitAndFetch = 2,  // the reply is in the entry; then waits for the next request
};

struct UringEntInOut {
  uint64_t flags;
  uint64_t commit_id;   // to be given back with the reply
  uint32_t payload_sz;  // bytes behind the operation's fixed argument; of a reply, all but its header
  uint32_t padding;
  uint64_t reserved;
};

// What the kernel and an entry exchange besides the payload.
struct UringHeader {
  char in_out[128];  // fuse_in_header, then fuse_out_header
  char op_in[128];   // the operation's fixed argument
  UringEntInOut ring_ent_in_out;
};
static_assert(sizeof(UringHeader) == 288);

// The command area of a submission.
struct UringCmdReq {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t qid;  // the CPU whose requests the entry takes
  uint8_t padding[6];
};
static_assert(sizeof(UringCmdReq) == 24);

// One more than the largest opcode that the table of handlers knows.
inline constexpr uint32_t kOpcodeEnd = 54;

// A request that is replayed after a restart of the server carries this bit in `unique` (7.40,
// FUSE_NOTIFY_RESEND).
inline constexpr uint64_t kUniqueResend = uint64_t{1} << 63;

}  // namespace plyfs::abi
