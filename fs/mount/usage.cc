// usage.cc: see usage.h. docs/options.md is the long form.
#include "fs/mount/usage.h"

#include <cstdio>

#include "fs/fuse/kernel_abi.h"

#define PLYFS_TEXT_INNER(x) #x
#define PLYFS_TEXT(x) PLYFS_TEXT_INNER(x)

namespace plyfs {
namespace {

constexpr char kHelp[] =
    R"(usage: plyfs [-f] [-d] [-s] [-o OPTION[,OPTION...]]... MOUNTPOINT

Mounts the union of read-only lower directories and one writable upper directory.

    plyfs -o lowerdir=L1:L2,upperdir=U,workdir=W MOUNTPOINT
    fusermount3 -u MOUNTPOINT

    -f                     stay in the foreground
    -d, --debug            debug output; implies -f
    -s                     one thread (-o threads=1)
    -h, --help             print this
    -V, --version          print the version

What has changed in a union, and layers made of it: `plyfs COMMAND --help`, where COMMAND is
changes, diff, apply, checkpoint, watch, fsck or stats.

Layers:
    -o lowerdir=L1[:L2...] lower directories, topmost first; `\:` is a colon
    -o upperdir=U          takes all changes; without it the mount is read-only
    -o workdir=W           work space, on the filesystem of the upper directory
    -o redirect_dir=on|off let directories with lower parts be renamed (off)
    -o volatile            never sync; a crash may leave a damaged upper
    -o fsync=0|1           0: fsync(2) by users does nothing (1)

Owners and permissions:
    -o uidmapping=DISK:SHOWN:LEN[:...], gidmapping=...
                           show owners under other numbers
    -o squash_to_root, squash_to_uid=N, squash_to_gid=N
                           everything belongs to this owner
    -o xattr_permissions=0|1|2
                           keep owner and mode in xattrs: 1 security.*, 2 user.* (0)
    -o noacl               no POSIX ACLs
    -o noxattrs=0|1        1: no extended attributes (0)
    -o context="LABEL"     SELinux label of every file

Numbers:
    -o static_nlink        directories show one link
    -o ino32_t             inode numbers of 32 bits
    -o journal=on|off      off: record no changes, keep no numbers over a remount (on)

Speed:
    -o timeout=SECONDS     how long the kernel may trust names and attributes
    -o threads=N           server threads; 0: as many as are needed (0)
    -o threaded=0|1        0: one thread
    -o poll_us=N           microseconds to poll for the next request
    -o transport=auto|dev|uring
                           uring: io_uring where the kernel offers it (auto: dev)
    -o io=auto|cached|passthrough
                           passthrough: data of upper files past the server,
                           as the host's root (auto: cached)
    -o writeback=0|1       1: the kernel gathers small writes
    -o max_write=BYTES     longest write request

Mount: ro rw suid nosuid dev nodev exec noexec atime noatime diratime nodiratime
    allow_other default_permissions debug

Options that are not known are ignored with a warning.

exit status:
    0   the mount is live (with -f: it was unmounted)
    1   the command line is wrong
    2   a layer cannot be opened or is in use
    3   the mount is refused
    4   the server failed; it is unmounted again
)";

constexpr char kVersion[] =
    "plyfs: version " PLYFS_VERSION
    "\n"
    "FUSE library version none (plyfs speaks the kernel's protocol itself)\n"
    "using FUSE kernel interface version " PLYFS_TEXT(FUSE_KERNEL_VERSION) "." PLYFS_TEXT(
        FUSE_KERNEL_MINOR_VERSION) "\n";

}  // namespace

void PrintHelp() { std::fputs(kHelp, stdout); }
void PrintVersion() { std::fputs(kVersion, stdout); }
const char* VersionText() { return kVersion; }

}  // namespace plyfs
