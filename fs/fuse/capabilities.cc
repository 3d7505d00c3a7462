// capabilities.cc: see capabilities.h.
#include "fs/fuse/capabilities.h"

#include <algorithm>

namespace plyfs {
namespace {

constexpr uint32_t kPage = 4096;
// Requests of readahead and direct I/O that may be in flight at once, and how many of them make
// writers wait.
constexpr uint16_t kMaxBackground = 64;
constexpr uint16_t kCongestionThreshold = 48;

// Asked for whenever offered.
constexpr uint64_t kAlways =
    // Reads and writes of many pages, several at a time.
    FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_DIO |
    // Whether the umask applies depends on the parent's default ACL, and only the server sees that.
    FUSE_DONT_MASK |
    // Lookups and listings of one directory in parallel.
    FUSE_PARALLEL_DIROPS |
    // A listing brings the attributes along. Always: with READDIRPLUS_AUTO only the first part of
    // a large directory does, since the C library reads several parts before the program asks for
    // the first attribute.
    FUSE_DO_READDIRPLUS |
    // No OPEN, RELEASE, OPENDIR, RELEASEDIR: every request names a node and nothing else.
    FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
    // Otherwise every write(2) costs a GETXATTR of security.capability.
    FUSE_HANDLE_KILLPRIV_V2 |
    // Nobody but the kernel changes a file, so what it has cached stays true. AUTO_INVAL_DATA,
    // which drops a file's pages when its mtime moves, would drop them after our own writes.
    FUSE_EXPLICIT_INVAL_DATA | FUSE_CACHE_SYMLINKS |
    // SETXATTR says whether an ACL change must clear the setgid bit.
    FUSE_SETXATTR_EXT |
    // flags2 counts only with this bit.
    FUSE_INIT_EXT |
    // Never asked for "." and "..", which a node cannot answer once its parent is forgotten.
    abi::kNoExportSupport |
    // mmap(2) of a file opened with O_DIRECT.
    abi::kDirectIoAllowMmap;

// Deliberately never: ATOMIC_O_TRUNC (with no OPEN request the kernel must truncate by SETATTR),
// POSIX_LOCKS and FLOCK_LOCKS (the kernel's own locks work, and survive a restart of the server),
// SPLICE_* (slower than copying below 1 MiB), HANDLE_KILLPRIV (the older rule), EXPORT_SUPPORT.

}  // namespace

Result<InitOffer> InitOffer::Decode(Request& request) {
  struct Fixed {
    uint32_t major, minor, max_readahead, flags;
  };
  ASSIGN_OR_RETURN(const Fixed* const fixed, request.Take<Fixed>());
  InitOffer offer{fixed->major, fixed->minor, fixed->max_readahead, fixed->flags};
  if ((fixed->flags & FUSE_INIT_EXT) != 0) {
    ASSIGN_OR_RETURN(const uint32_t* const flags2, request.Take<uint32_t>());
    offer.flags |= uint64_t{*flags2} << 32;
  }
  return offer;
}

Capabilities ChooseCapabilities(const InitOffer& offer, const CapabilityOptions& options) {
  uint64_t wanted = kAlways;
  // Implies default_permissions; without it nobody would check ACLs.
  if (options.acl) wanted |= FUSE_POSIX_ACL;
  if (options.writeback) wanted |= FUSE_WRITEBACK_CACHE;
  if (options.over_io_uring) wanted |= abi::kOverIoUring;
  // How data travels is answered at each open.
  if (options.passthrough && (offer.flags & abi::kPassthrough) != 0) {
    wanted |= abi::kPassthrough;
    wanted &= ~uint64_t{FUSE_NO_OPEN_SUPPORT};
  }
  return {.flags = offer.flags & wanted};
}

fuse_init_out EncodeInit(const InitOffer& offer, const Capabilities& chosen,
                         const CapabilityOptions& options) {
  fuse_init_out out{};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = FUSE_KERNEL_MINOR_VERSION;
  out.max_readahead = offer.max_readahead;
  out.flags = static_cast<uint32_t>(chosen.flags);
  out.flags2 = static_cast<uint32_t>(chosen.flags >> 32);
  out.max_background = kMaxBackground;
  out.congestion_threshold = kCongestionThreshold;
  out.max_write = options.max_write;
  out.max_pages =
      static_cast<uint16_t>(std::clamp<uint32_t>(options.max_write / kPage, 1, UINT16_MAX));
  out.time_gran = 1;  // nanosecond
  if (chosen.has(abi::kPassthrough)) out.unused[0] = options.stacked_upper ? 2 : 1;  // max_stack_depth
  return out;
}

}  // namespace plyfs
