// inode_change.cc: see inode_change.h.

#include "tests/model/inode_change.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>

namespace plyfs::model {
namespace {

constexpr char kCapability[] = "security.capability";

bool IsUserXattr(const std::string& name) { return name.rfind("user.", 0) == 0; }

bool MayHaveUserXattrs(const Inode& inode) { return inode.IsReg() || inode.IsDir(); }

}  // namespace

int ChangeMode(const InodePtr& inode, mode_t mode) {
  inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
  return 0;
}

int ChangeOwner(const InodePtr& inode, uid_t uid, gid_t gid) {
  if (uid != static_cast<uid_t>(-1)) inode->uid = uid;
  if (gid != static_cast<gid_t>(-1)) inode->gid = gid;
  if (inode->IsDir()) return 0;
  // chown(2) clears what gives privileges, for root too.
  inode->mode &= ~static_cast<mode_t>(S_ISUID);
  if (inode->mode & S_IXGRP) inode->mode &= ~static_cast<mode_t>(S_ISGID);
  inode->xattrs.erase(kCapability);
  return 0;
}

int ChangeMtime(const InodePtr& inode, const timespec& mtime) {
  if (mtime.tv_nsec == UTIME_OMIT) return 0;
  inode->mtime_may_be_stale = false;
  if (mtime.tv_nsec == UTIME_NOW) {
    inode->mtime.reset();
  } else {
    inode->mtime = mtime;
  }
  return 0;
}

int SetXattr(const InodePtr& inode, const XattrChange& change) {
  if (IsUserXattr(change.name) && !MayHaveUserXattrs(*inode)) return EPERM;
  const bool exists = inode->xattrs.count(change.name) > 0;
  if (exists && (change.flags & XATTR_CREATE)) return EEXIST;
  if (!exists && (change.flags & XATTR_REPLACE)) return ENODATA;
  inode->xattrs[change.name] = change.value;
  return 0;
}

int RemoveXattr(const InodePtr& inode, const std::string& name) {
  if (IsUserXattr(name) && !MayHaveUserXattrs(*inode)) return EPERM;
  return inode->xattrs.erase(name) > 0 ? 0 : ENODATA;
}

int TruncateInode(const InodePtr& inode, off_t length) {
  if (length < 0) return EINVAL;
  if (inode->IsDir()) return EISDIR;
  if (!inode->IsReg()) return EINVAL;
  inode->data.resize(static_cast<size_t>(length), '\0');
  MarkWritten(inode);
  return 0;
}

void WriteBytes(const InodePtr& inode, off_t offset, const std::string& bytes) {
  if (bytes.empty()) return;
  const size_t begin = static_cast<size_t>(offset);
  if (inode->data.size() < begin + bytes.size()) inode->data.resize(begin + bytes.size(), '\0');
  std::copy(bytes.begin(), bytes.end(), inode->data.begin() + offset);
  MarkWritten(inode);
}

void MarkWritten(const InodePtr& inode) {
  inode->mtime.reset();
  inode->mtime_may_be_stale = false;
  inode->xattrs.erase(kCapability);
}

}  // namespace plyfs::model
