// overlay.h: the union filesystem: every operation that the kernel can ask for, by nodeid, with union semantics.
// Not here: the kernel protocol (fs/fuse), how a layer stores a mark (fs/layer), where the layers come from (fs/mount).
// Thread safety: every method may be called from any thread at any time. The order of locks is in docs/locking.md.
//
// The server is stateless towards the kernel: there are no file or directory handles, every request names a nodeid.
// All errors are exact errnos; those common to all methods: EIO (a layer failed or holds corrupt overlay marks), ESTALE
// (the kernel named a node that does not exist), EROFS (a change asked of a read-only union).
#pragma once

#include <sys/statvfs.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fs/base/ids.h"
#include "fs/base/name.h"
#include "fs/base/result.h"
#include "fs/overlay/changes.h"
#include "fs/overlay/config.h"
#include "fs/overlay/types.h"

namespace plyfs {

struct Core;

class Overlay {
 public:
  // Takes the opened layers; see config.h. Never fails: all that can fail has been done by OpenLayers.
  explicit Overlay(OverlayConfig config);
  ~Overlay();
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  // --- names ---------------------------------------------------------------------------------------------------------
  // The entry `name` of `parent`, counted once for the kernel (see Forget). A name that does not exist is an Entry with
  // id kNone, not an error. ".." is never asked (NO_EXPORT_SUPPORT). ENOTDIR if parent is no directory.
  Result<Entry> Lookup(NodeId parent, Name name);
  // The kernel drops `count` references to `id`.
  void Forget(NodeId id, uint64_t count);

  // Each of these counts the new entry once for the kernel. EEXIST if the name exists; EPERM for a character device
  // 0:0 by anybody but root (see user_device.h).
  Result<Entry> Mknod(NodeId parent, Name name, const CreateOptions& options, const Caller& caller);
  Result<Entry> Mkdir(NodeId parent, Name name, const CreateOptions& options, const Caller& caller);
  Result<Entry> Symlink(NodeId parent, Name name, const std::string& target, const Caller& caller);
  Result<Entry> Link(NodeId id, NodeId new_parent, Name new_name);
  // An unnamed regular file (O_TMPFILE) on `parent`'s filesystem; Link gives it a name.
  Result<Entry> Tmpfile(NodeId parent, const CreateOptions& options, const Caller& caller);

  Errno Unlink(NodeId parent, Name name);
  Errno Rmdir(NodeId parent, Name name);
  // `flags` of renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. EXDEV for a directory that has lower parts unless
  // redirect_dir=on. EINVAL for other flags.
  Errno Rename(NodeId parent, Name name, NodeId new_parent, Name new_name, unsigned flags);

  // Entries after `cookie` (0: from the start, "." and ".." included) until `sink` is full or the end.
  Errno Readdir(NodeId id, uint64_t cookie, ReaddirMode mode, DirSink& sink);

  // --- attributes ----------------------------------------------------------------------------------------------------
  Result<Attr> GetAttr(NodeId id);
  Result<Attr> SetAttr(NodeId id, const AttrChange& change, const Caller& caller);
  Result<std::string> ReadLink(NodeId id);
  Result<struct statvfs> StatFs();

  // Extended attributes in the names that users see (escaped and private ones are translated here). `size` 0 asks for the
  // length only. ERANGE when the value or list does not fit, ENODATA when there is none, E2BIG beyond 64 KiB.
  Result<std::string> GetXattr(NodeId id, const std::string& name);
  // Names, each followed by a NUL; those of trusted attributes for root only, as the kernel's own filesystems list them.
  Result<std::string> ListXattr(NodeId id, const Caller& caller = {});
  // `flags`: 0, XATTR_CREATE or XATTR_REPLACE. `kill_sgid`: FUSE_SETXATTR_ACL_KILL_SGID.
  Errno SetXattr(NodeId id, const std::string& name, std::span<const char> value, int flags, bool kill_sgid);
  Errno RemoveXattr(NodeId id, const std::string& name);

  // chattr(1) flags: FS_IOC_GETFLAGS / FS_IOC_SETFLAGS and FS_IOC_FSGETXATTR / FS_IOC_FSSETXATTR. `data` is the ioctl's
  // argument, in and out. ENOTTY where the layer's filesystem has none.
  Errno FileFlags(NodeId id, unsigned long command, std::span<char> data);

  // --- data ----------------------------------------------------------------------------------------------------------
  // Bytes read into `buffer`; fewer than asked only at end of file.
  Result<size_t> Read(NodeId id, std::span<char> buffer, uint64_t offset);
  // All of `data`, or an error. Copies the file up first if it is still a lower one.
  Result<size_t> Write(NodeId id, std::span<const char> data, uint64_t offset, const WriteOptions& options);
  Errno Fallocate(NodeId id, int mode, uint64_t offset, uint64_t length, bool kill_suidgid);
  // SEEK_DATA or SEEK_HOLE; ENXIO beyond the end.
  Result<uint64_t> Seek(NodeId id, uint64_t offset, int whence);
  Result<size_t> CopyFileRange(NodeId in, uint64_t in_offset, NodeId out, uint64_t out_offset, size_t length,
                               const WriteOptions& options);
  Errno Fsync(NodeId id, bool data_only);  // files and directories

  // --- files whose data does not come by way of us
  // The file is in the upper afterwards, and the journal knows that it changes.
  Errno PrepareWriting(NodeId id);
  Result<UpperFile> FindUpperFile(NodeId id, bool writes);
  // `writers` tells which files somebody has open for writing so; asked when a checkpoint is made. Null: none. Not together with
  // any other call.
  void WatchWriters(std::function<std::vector<NodeId>()> writers);
  // The upper's filesystem is itself stacked on another one, as overlayfs is.
  bool UpperIsStacked() const;

  Errno SyncFs();

  // --- the journal (docs/journal.md)
  // Sorted by path, parents before what is in them; against the lowers, or against a checkpoint. ENOENT if there is no such
  // checkpoint. An error may come after the first changes.
  Errno ForEachChange(const std::string& since_checkpoint, const OnChange& visit);
  Result<std::vector<Change>> Changes(const std::string& since_checkpoint = "");
  // EEXIST; EINVAL for a name that is not [A-Za-z0-9._-]{1,128}.
  Errno CreateCheckpoint(const std::string& name);
  Errno DeleteCheckpoint(const std::string& name);  // ENOENT
  Result<std::vector<Checkpoint>> Checkpoints();    // the oldest first
  // Events after `sequence`, at most `limit`; waits up to `timeout_ms` for the first. An empty list after that time.
  Result<std::vector<ChangeEvent>> Events(uint64_t sequence, size_t limit, int timeout_ms);
  // Compares the journal with a full walk of the upper; with `repair`, mends what can be.
  Result<std::vector<FsckFinding>> CheckJournal(bool repair);
  JournalStats GetJournalStats();

  OverlayCounters Counters() const;
  // Memory and descriptors that are kept only for speed go; called when the mount has been idle for a while.
  void TrimCaches();

 private:
  Core& core();
  std::unique_ptr<Core> state_;
};

}  // namespace plyfs
