// layer_writer.cc: layers on disk, as overlayfs itself would have left them.
#include "tests/syscalls/layer_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/file_ops.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {

void LayerWriter::MakeParents(const std::string& path) {
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = root_ + "/" + path.substr(0, slash);
    if (Exists(parent) && !S_ISDIR(Lstat(parent).st_mode)) unlink(parent.c_str());
    MakeDirs(parent);
  }
}

std::string LayerWriter::Prepare(const std::string& path) {
  MakeParents(path);
  const std::string full = root_ + "/" + path;
  if (Exists(full) && unlink(full.c_str()) != 0) RemoveTree(full);
  return full;
}

void LayerWriter::File(const std::string& path, const std::string& content, mode_t mode) {
  WriteFile(Prepare(path), content, mode);
}

void LayerWriter::Dir(const std::string& path, mode_t mode) {
  MakeParents(path + "/");
  const std::string full = root_ + "/" + path;
  EXPECT_EQ(0, chmod(full.c_str(), mode));
}

void LayerWriter::Symlink(const std::string& path, const std::string& target) {
  MakeSymlink(target, Prepare(path));
}

void LayerWriter::Link(const std::string& path, const std::string& existing) {
  MakeHardLink(root_ + "/" + existing, Prepare(path));
}

void LayerWriter::Node(const std::string& path, mode_t type_and_mode, dev_t device) {
  const std::string full = Prepare(path);
  EXPECT_EQ(0, mknod(full.c_str(), type_and_mode, device)) << full;
  EXPECT_EQ(0, chmod(full.c_str(), type_and_mode & 07777)) << full;
}

void LayerWriter::Own(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
  const std::string full = root_ + "/" + path;
  EXPECT_EQ(0, lchown(full.c_str(), uid, gid)) << full;
  if (!S_ISLNK(Lstat(full).st_mode)) {
    EXPECT_EQ(0, chmod(full.c_str(), mode)) << full;
  }
}

void LayerWriter::Xattr(const std::string& path, const std::string& name,
                        const std::string& value) {
  EXPECT_EQ(0, SetXattr(root_ + "/" + path, name, value)) << path << " " << name;
}

void LayerWriter::Whiteout(const std::string& path) {
  const std::string full = Prepare(path);
  if (kind_ == Kind::kLayer) MakeWhiteout(full);
}

void LayerWriter::OpaqueDir(const std::string& path) {
  if (kind_ == Kind::kPlain) Prepare(path);
  Dir(path);
  if (kind_ == Kind::kLayer) MakeOpaque(root_ + "/" + path);
}

void AgeTree(const std::string& root) {
  // Trees deeper than PATH_MAX keep their times below that.
  if (root.size() > PATH_MAX - 300) return;
  if (S_ISDIR(Lstat(root).st_mode)) {
    for (const std::string& name : ListDir(root)) AgeTree(root + "/" + name);
  }
  const timespec old{kOldSeconds, kOldNanoseconds};
  const timespec times[2] = {old, old};
  EXPECT_EQ(0, utimensat(AT_FDCWD, root.c_str(), times, AT_SYMLINK_NOFOLLOW)) << root;
}

}  // namespace plyfs::test
