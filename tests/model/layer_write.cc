// layer_write.cc: a layer, or a tree that the model holds, written to disk.

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <system_error>

#include "tests/model/layer_spec.h"

namespace plyfs::model {
namespace {

void Check(long result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), "writing layer: " + what);
}

void WriteContent(const std::string& path, const LayerEntry& entry) {
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  Check(fd, path);
  Check(ftruncate(fd, entry.size), path);
  const std::string content = ContentOf(entry);
  for (const Extent& extent : entry.extents) {
    if (extent.offset >= entry.size) continue;
    const size_t begin = static_cast<size_t>(extent.offset);
    const std::string bytes = content.substr(begin, static_cast<size_t>(extent.length));
    Check(pwrite(fd, bytes.data(), bytes.size(), extent.offset), path);
  }
  close(fd);
}

void MakeNode(const std::string& path, const LayerEntry& entry) {
  if (entry.path.empty()) return;
  if (S_ISDIR(entry.mode)) {
    Check(mkdir(path.c_str(), 0700), path);
  } else if (S_ISLNK(entry.mode)) {
    Check(symlink(entry.target.c_str(), path.c_str()), path);
  } else if (S_ISREG(entry.mode)) {
    WriteContent(path, entry);
  } else {
    Check(mknod(path.c_str(), (entry.mode & S_IFMT) | 0600, entry.rdev), path);
  }
}

// Owner first: chown(2) clears setuid bits and file capabilities.
void SetAttributes(const std::string& path, const LayerEntry& entry) {
  Check(lchown(path.c_str(), entry.uid, entry.gid), path);
  if (!S_ISLNK(entry.mode)) Check(chmod(path.c_str(), entry.mode & 07777), path);
  for (const auto& [name, value] : entry.xattrs) {
    Check(lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0), path + " " + name);
  }
}

void SetMtime(const std::string& path, const timespec& mtime) {
  const timespec times[2] = {mtime, mtime};
  Check(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), path);
}

void SetMark(const std::string& path, const char* name, const std::string& value) {
  Check(lsetxattr(path.c_str(), name, value.data(), value.size(), 0), path + " " + name);
}

void MakeEmpty(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  Check(fd, path);
  close(fd);
}

void WriteWhiteout(const std::string& path, MarkForm form) {
  const size_t slash = path.rfind('/');
  const std::string parent = path.substr(0, slash);
  if (form == MarkForm::kFuse || form == MarkForm::kOci) {
    MakeEmpty(parent + "/.wh." + path.substr(slash + 1));
  } else if (form == MarkForm::kXattr) {
    MakeEmpty(path);
    SetMark(path, "trusted.overlay.whiteout", "");
    SetMark(parent, "trusted.overlay.opaque", "x");
  } else {
    Check(mknod(path.c_str(), S_IFCHR | 0600, 0), path);
  }
}

void WriteOpaque(const std::string& path, MarkForm form) {
  switch (form) {
    case MarkForm::kOverlayUser:
      return SetMark(path, "user.overlay.opaque", "y");
    case MarkForm::kFuse:
      return SetMark(path, "user.fuseoverlayfs.opaque", "y");
    case MarkForm::kOci:
      return MakeEmpty(path + "/.wh..wh..opq");
    default:
      return SetMark(path, "trusted.overlay.opaque", "y");
  }
}

LayerEntry EntryOf(const std::string& path, const Inode& inode) {
  LayerEntry entry;
  entry.path = path;
  entry.mode = inode.mode;
  entry.uid = inode.uid;
  entry.gid = inode.gid;
  entry.rdev = inode.rdev;
  if (inode.IsLink()) entry.target = inode.data;
  entry.xattrs = inode.xattrs;
  entry.mtime = inode.mtime.value_or(timespec{});
  return entry;
}

}  // namespace

void WriteLayer(const LayerSpec& layer, const std::string& directory) {
  for (const LayerEntry& entry : layer) {
    const std::string path = entry.path.empty() ? directory : directory + "/" + entry.path;
    if (entry.whiteout) {
      WriteWhiteout(path, entry.form);
    } else if (!entry.link_to.empty()) {
      Check(link((directory + "/" + entry.link_to).c_str(), path.c_str()), path);
    } else {
      MakeNode(path, entry);
      SetAttributes(path, entry);
      if (entry.opaque) WriteOpaque(path, entry.form);
    }
  }
  // Children before parents: making a name changes its directory's time.
  for (auto entry = layer.rbegin(); entry != layer.rend(); ++entry) {
    if (entry->whiteout || !entry->link_to.empty()) continue;
    SetMtime(entry->path.empty() ? directory : directory + "/" + entry->path, entry->mtime);
  }
}

void WriteTree(const InodePtr& root, const std::string& directory) {
  std::map<const Inode*, std::string> first_name;
  const std::map<std::string, InodePtr> paths = AllPaths(root);
  for (const auto& [name, inode] : paths) {
    const std::string path = name.empty() ? directory : directory + "/" + name;
    const auto [first, is_new] = first_name.emplace(inode.get(), path);
    if (!is_new) {
      Check(link(first->second.c_str(), path.c_str()), path);
      continue;
    }
    LayerEntry entry = EntryOf(name, *inode);
    MakeNode(path, entry);
    if (inode->IsReg()) {
      const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
      Check(fd, path);
      Check(pwrite(fd, inode->data.data(), inode->data.size(), 0), path);
      close(fd);
    }
    SetAttributes(path, entry);
  }
  for (auto it = paths.rbegin(); it != paths.rend(); ++it) {
    const std::string path = it->first.empty() ? directory : directory + "/" + it->first;
    if (it->second->mtime.has_value()) SetMtime(path, *it->second->mtime);
  }
}

}  // namespace plyfs::model
