// inode_change.h: changes of one inode's attributes and content, as the VFS does them for root.
// Not here: finding the inode (inode_tree.h), names (model.h).
// Thread safety: none.
//
// Each function returns the errno of the call, 0 for success.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <string>

#include "tests/model/inode_tree.h"

namespace plyfs::model {

int ChangeMode(const InodePtr& inode, mode_t mode);

/// An id of -1 stays.
int ChangeOwner(const InodePtr& inode, uid_t uid, gid_t gid);

/// Knows UTIME_NOW and UTIME_OMIT.
int ChangeMtime(const InodePtr& inode, const timespec& mtime);

struct XattrChange {
  std::string name;
  std::string value;
  int flags = 0;
};
int SetXattr(const InodePtr& inode, const XattrChange& change);
int RemoveXattr(const InodePtr& inode, const std::string& name);

int TruncateInode(const InodePtr& inode, off_t length);

/// Puts bytes at offset, filling a gap with zeros; marks the inode as written.
void WriteBytes(const InodePtr& inode, off_t offset, const std::string& bytes);

/// What every change of content does: mtime becomes unknown, and the file's capabilities go.
void MarkWritten(const InodePtr& inode);

}  // namespace plyfs::model
