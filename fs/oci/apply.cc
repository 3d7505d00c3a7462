// apply.cc: see apply.h.
#include "fs/oci/apply.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fs/layer/whiteout.h"
#include "fs/oci/apply_attributes.h"
#include "fs/oci/apply_target.h"
#include "fs/oci/layer_path.h"
#include "fs/oci/tar_reader.h"

namespace plyfs {
namespace {

constexpr size_t kHoleBytes = 4096;

bool IsZero(std::span<const char> bytes) {
  return bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Errno WriteAll(int fd, std::span<const char> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (const Errno error = Errno::Of(put); !error.ok()) {
      if (error == EINTR) continue;
      return error;
    }
    bytes = bytes.subspan(put);
    offset += put;
  }
  return kOk;
}

// All but the blocks of zeros, which are holes already; the first and last piece may be parts of blocks.
// `end` is moved behind what was written.
Errno WriteWithHoles(int fd, std::span<const char> bytes, uint64_t offset, uint64_t* end) {
  size_t data = 0;  // not yet written
  for (size_t at = 0; at < bytes.size();) {
    const size_t block = std::min(kHoleBytes - (offset + at) % kHoleBytes, bytes.size() - at);
    if (IsZero(bytes.subspan(at, block))) {
      RETURN_IF_ERROR(WriteAll(fd, bytes.subspan(data, at - data), offset + data));
      data = at + block;
    }
    at += block;
  }
  if (data == bytes.size()) return kOk;
  *end = offset + bytes.size();
  return WriteAll(fd, bytes.subspan(data), offset + data);
}

class Unpacker {
 public:
  Unpacker(int layer, ApplyTarget& target, const ApplyOptions& options, ApplySummary* summary)
      : reader_(layer), target_(target), attributes_(target, options.warning), options_(options), summary_(summary) {}

  bool Run(LayerError* error);

 private:
  // For what has a better text than its errno.
  Errno Refuse(std::string why);
  std::string Explain(Errno error) const;

  Errno Unpack(const TarEntry& entry);
  Errno UnpackObject(const TarEntry& entry, const LayerPath& path);
  Errno UnpackRoot(const TarEntry& entry);
  Errno UnpackDirectory(const TarEntry& entry, const LayerPath& path);
  Errno UnpackHardLink(const TarEntry& entry, const LayerPath& path);
  Errno Make(const ObjectRef& at, const TarEntry& entry);
  Errno MakeUserDevice(const ObjectRef& at);
  Errno MakeFile(const ObjectRef& at, const TarEntry& entry);
  Errno Hide(const LayerPath& path);
  Errno HideAll(const std::string& directory);
  Errno SetOpaque(const std::string& directory);

  const UpperLayer& layer() const { return target_.layer(); }

  TarReader reader_;
  ApplyTarget& target_;
  ApplyAttributes attributes_;
  const ApplyOptions& options_;
  ApplySummary* const summary_;
  std::string refused_;           // the better text
  std::vector<TarXattr> xattrs_;  // of the entry, as they are stored
};

bool Unpacker::Run(LayerError* error) {
  TarEntry entry;
  for (;;) {
    const TarReader::Status status = reader_.Next(&entry);
    if (status == TarReader::Status::kEnd) break;
    if (status == TarReader::Status::kFailed) {
      error->message = "reading the layer after " + std::to_string(summary_->entries) + " entries: " + reader_.error();
      if (summary_->entries == 0) error->message += "; a layer is a tar, plain or compressed by gzip or zstd";
      return false;
    }
    if (const Errno failed = Unpack(entry); !failed.ok()) {
      error->message = "entry '" + Printable(entry.path) + "': " + Explain(failed);
      return false;
    }
    ++summary_->entries;
    if (options_.progress) options_.progress({.entries = summary_->entries, .bytes = summary_->bytes});
  }
  if (const Errno failed = attributes_.FinishDirectories(); !failed.ok()) {
    error->message = std::string("attributes of directories: ") + std::strerror(failed.value());
    return false;
  }
  return true;
}

Errno Unpacker::Refuse(std::string why) {
  refused_ = "refused: " + std::move(why);
  return EPERM;
}

std::string Unpacker::Explain(Errno error) const {
  if (!refused_.empty()) return refused_;
  if (error == ELOOP) return "refused: its path leads through a symlink";
  if (error == ENOTDIR) return "refused: its path leads through something that is no directory";
  return std::strerror(error.value());
}

Errno Unpacker::Unpack(const TarEntry& entry) {
  LayerPath path;
  if (std::string why = ParseLayerPath(entry.path, &path); !why.empty()) return Refuse(std::move(why));
  if (path.kind == LayerPath::kWhiteout || path.kind == LayerPath::kOpaque) {
    if (!entry.is_hard_link && !S_ISREG(entry.mode)) return Refuse("a whiteout that is no regular file");
    ++summary_->whiteouts;
    return path.kind == LayerPath::kWhiteout ? Hide(path) : HideAll(path.parent);
  }
  if (std::string why = attributes_.Translate(entry, &xattrs_); !why.empty()) return Refuse(std::move(why));
  if (reader_.has_text_acl()) {
    attributes_.Warn("acl", "ACLs in the form of text (SCHILY.acl) are left out, first of " + Printable(entry.path));
  }
  return path.kind == LayerPath::kRoot ? UnpackRoot(entry) : UnpackObject(entry, path);
}

Errno Unpacker::UnpackRoot(const TarEntry& entry) {
  if (entry.is_hard_link || !S_ISDIR(entry.mode)) return Refuse("the root must be a directory");
  return attributes_.SetDirectory({.dir = target_.root()}, "", entry, xattrs_);
}

Errno Unpacker::UnpackObject(const TarEntry& entry, const LayerPath& path) {
  if (entry.is_hard_link) return UnpackHardLink(entry, path);
  if (S_ISDIR(entry.mode)) return UnpackDirectory(entry, path);
  ASSIGN_OR_RETURN(int dir, target_.Directory(path.parent));
  if (StatObject({.dir = dir, .name = path.name.c_str()}).ok()) {
    RETURN_IF_ERROR(target_.Remove(JoinPath(path.parent, path.name)));
    ASSIGN_OR_RETURN(dir, target_.Directory(path.parent));
  }
  const ObjectRef at{.dir = dir, .name = path.name.c_str()};
  const Errno made = Make(at, entry);
  if (made == EPERM && refused_.empty() && (S_ISCHR(entry.mode) || S_ISBLK(entry.mode))) {
    attributes_.Warn("device", "devices cannot be made here and are left out, first " + Printable(entry.path));
    return kOk;
  }
  RETURN_IF_ERROR(made);
  RETURN_IF_ERROR(target_.NoteMade(at));
  return attributes_.Set(at, entry, xattrs_, target_.directory_has_default_acl());
}

Errno Unpacker::Make(const ObjectRef& at, const TarEntry& entry) {
  switch (entry.mode & S_IFMT) {
    case S_IFREG:
      return MakeFile(at, entry);
    case S_IFLNK:
      if (entry.link.empty() || entry.link.size() >= PATH_MAX) return Refuse("a symlink to nothing or to a name that is too long");
      return layer().MakeSymlink(at, entry.link);
    case S_IFCHR:
      if (entry.rdev == 0) return MakeUserDevice(at);
      [[fallthrough]];
    case S_IFBLK:
    case S_IFIFO:
      return layer().MakeNode(at, (entry.mode & S_IFMT) | 0600, entry.rdev);
    default:
      return Refuse("a type that is not known");
  }
}

// A device 0:0 would hide the name; the layer means an object (docs/on-disk.md, "Own marks").
Errno Unpacker::MakeUserDevice(const ObjectRef& at) {
  ASSIGN_OR_RETURN(const UniqueFd fd, layer().MakeFile(at, 0));
  RETURN_IF_ERROR(layer().SetMark(at, kDeviceMark, "0:0"));
  return layer().SetMark({.dir = at.dir}, kHoldsDevicesMark, "y");
}

Errno Unpacker::MakeFile(const ObjectRef& at, const TarEntry& entry) {
  ASSIGN_OR_RETURN(const UniqueFd fd, layer().MakeFile(at, 0600));
  uint64_t end = 0;  // of the file so far
  uint64_t size = entry.size;
  for (;;) {
    std::span<const char> bytes;
    uint64_t offset = 0;
    const TarReader::Status status = reader_.Data(&bytes, &offset);
    if (status == TarReader::Status::kEnd) break;
    if (status == TarReader::Status::kFailed) {
      refused_ = reader_.error();
      return EIO;
    }
    RETURN_IF_ERROR(WriteWithHoles(fd.get(), bytes, offset, &end));
    size = std::max(size, offset + bytes.size());
    summary_->bytes += bytes.size();
    if (options_.progress) options_.progress({.entries = summary_->entries, .bytes = summary_->bytes});
  }
  if (end == size) return kOk;
  return Errno::Of(::ftruncate(fd.get(), static_cast<off_t>(size)));  // its last blocks are a hole
}

Errno Unpacker::UnpackDirectory(const TarEntry& entry, const LayerPath& path) {
  const std::string full = JoinPath(path.parent, path.name);
  ASSIGN_OR_RETURN(int dir, target_.Directory(path.parent));
  const Result<struct statx> found = StatObject({.dir = dir, .name = path.name.c_str()});
  if (!found.ok() || !S_ISDIR(found->stx_mode)) {
    // Asked before it goes: its inode number may be the next one's. A file or whiteout from before hides the layers below.
    const bool was_hiding = found.ok() && !target_.IsMade(*found);
    if (found.ok()) {
      RETURN_IF_ERROR(target_.Remove(full));
      ASSIGN_OR_RETURN(dir, target_.Directory(path.parent));
    }
    RETURN_IF_ERROR(target_.MakeDirectory({.dir = dir, .name = path.name.c_str()}, entry.mode & 0777));
    if (was_hiding) RETURN_IF_ERROR(SetOpaque(full));
  }
  ASSIGN_OR_RETURN(const int opened, target_.Directory(full));
  return attributes_.SetDirectory({.dir = opened}, full, entry, xattrs_);
}

Errno Unpacker::UnpackHardLink(const TarEntry& entry, const LayerPath& path) {
  LayerPath target;
  if (std::string why = ParseLayerPath(entry.link, &target); !why.empty()) return Refuse("a hard link to " + why);
  if (target.kind != LayerPath::kObject) return Refuse("a hard link to a directory or a whiteout");
  const Result<UniqueFd> from_dir = OpenDirectoryBeneath(target_.root(), target.parent.empty() ? "." : target.parent);
  if (from_dir.error() == ELOOP) return Refuse("a hard link through a symlink");
  if (!from_dir.ok() && !MeansAbsent(from_dir.error())) return from_dir.error();
  const std::string missing = "a hard link to '" + Printable(entry.link) + "', which has not been in the layer before";
  if (!from_dir.ok()) return Refuse(missing);
  const ObjectRef from{.dir = from_dir->get(), .name = target.name.c_str()};
  const Result<struct statx> stat = StatObject(from);
  if (!stat.ok() || IsWhiteoutDevice(*stat)) return Refuse(missing);
  if (S_ISDIR(stat->stx_mode)) return Refuse("a hard link to a directory");

  ASSIGN_OR_RETURN(int dir, target_.Directory(path.parent));
  const Result<struct statx> there = StatObject({.dir = dir, .name = path.name.c_str()});
  if (there.ok() && DiskInodeOf(*there) == DiskInodeOf(*stat)) return kOk;
  if (there.ok()) {
    RETURN_IF_ERROR(target_.Remove(JoinPath(path.parent, path.name)));
    ASSIGN_OR_RETURN(dir, target_.Directory(path.parent));
  }
  if (ReadMark(from, kDeviceMark).ok()) RETURN_IF_ERROR(layer().SetMark({.dir = dir}, kHoldsDevicesMark, "y"));
  // Attributes are the inode's: those of the first name count.
  const ObjectRef at{.dir = dir, .name = path.name.c_str()};
  RETURN_IF_ERROR(layer().Link(from, at));
  return target_.NoteMade(at);
}

// The name is hidden in the layers below; what this layer has brought under it stays.
Errno Unpacker::Hide(const LayerPath& path) {
  const std::string full = JoinPath(path.parent, path.name);
  ASSIGN_OR_RETURN(int dir, target_.Directory(path.parent));
  const Result<struct statx> found = StatObject({.dir = dir, .name = path.name.c_str()});
  if (!found.ok() && !(found.error() == ENOENT)) return found.error();
  if (found.ok() && IsWhiteoutDevice(*found)) return kOk;
  if (found.ok() && target_.IsMade(*found)) {
    // A file hides all by itself.
    return S_ISDIR(found->stx_mode) ? SetOpaque(full) : kOk;
  }
  if (found.ok() && S_ISDIR(found->stx_mode)) {
    bool emptied = false;
    RETURN_IF_ERROR(target_.RemoveOlder(full, &emptied));
    if (!emptied) return SetOpaque(full);
  }
  if (found.ok()) {
    RETURN_IF_ERROR(target_.Remove(full));
    ASSIGN_OR_RETURN(dir, target_.Directory(path.parent));
  }
  return layer().PlaceWhiteout({.dir = dir, .name = path.name.c_str()});
}

Errno Unpacker::HideAll(const std::string& directory) {
  RETURN_IF_ERROR(target_.Directory(directory).error());
  bool emptied = false;
  RETURN_IF_ERROR(target_.RemoveOlder(directory, &emptied));
  return SetOpaque(directory);
}

Errno Unpacker::SetOpaque(const std::string& directory) {
  ASSIGN_OR_RETURN(const int fd, target_.Directory(directory));
  const Errno error = layer().SetOpaque(fd);
  return error == EEXIST ? kOk : error;
}

}  // namespace

bool ApplyLayer(int layer, int directory, const ApplyOptions& options, ApplySummary* summary, LayerError* error) {
  *summary = {};
  const std::unique_ptr<ApplyTarget> target = ApplyTarget::Open(directory, options.whiteouts, error);
  return target != nullptr && Unpacker(layer, *target, options, summary).Run(error);
}

}  // namespace plyfs
