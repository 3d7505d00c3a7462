// layer_fixture.cc: see layer_fixture.h.
#include "tests/oci/layer_fixture.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "fs/base/unique_fd.h"
#include "fs/oci/tar_reader.h"
#include "tests/harness/file_ops.h"

namespace plyfs::test {
namespace {

UniqueFd Memory(const std::string& bytes) {
  UniqueFd fd(::memfd_create("layer", MFD_CLOEXEC));
  EXPECT_TRUE(fd.valid());
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (put <= 0) {
      ADD_FAILURE() << "write to memory";
      break;
    }
    done += put;
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string AllOf(int fd) {
  std::string bytes(::lseek(fd, 0, SEEK_END), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, done);
    if (got <= 0) break;
    done += got;
  }
  EXPECT_EQ(done, bytes.size());
  return bytes;
}

bool IsDirectory(const std::string& path) {
  return LstatErrno(path) == 0 && S_ISDIR(Lstat(path).st_mode);
}

void AddChanges(const std::string& upper, const std::string& lower, const std::string& path,
                std::vector<Change>* changes) {
  for (const std::string& name : ListDir(upper + path)) {
    const std::string full = path + "/" + name;
    const struct stat stat = Lstat(upper + full);
    const bool below = !lower.empty() && Exists(lower + full);
    Change change{.kind = below ? ChangeKind::kChanged : ChangeKind::kAdded, .path = full, .type = stat.st_mode & S_IFMT};
    if (S_ISCHR(stat.st_mode) && stat.st_rdev == 0) {
      change.kind = ChangeKind::kDeleted;
      change.type = 0;
    }
    const bool is_directory = S_ISDIR(stat.st_mode);
    change.replaced = is_directory && below &&
                      (!IsDirectory(lower + full) || GetXattr(upper + full, "trusted.overlay.opaque") == "y");
    const bool whole = change.replaced;
    changes->push_back(std::move(change));
    if (is_directory && !whole) AddChanges(upper, below ? lower : "", full, changes);
  }
}

}  // namespace

std::unique_ptr<Overlay> OpenUnion(const std::vector<std::string>& layers) {
  OverlayConfig config;
  MountError error;
  EXPECT_TRUE(OpenLayerStack({.lowers = layers}, &config.layers, &error)) << error.message;
  return std::make_unique<Overlay>(std::move(config));
}

std::vector<Change> ChangesOf(const std::string& upper, const std::string& lower) {
  std::vector<Change> changes{{.kind = ChangeKind::kChanged, .path = "/", .type = S_IFDIR}};
  AddChanges(upper, lower, "", &changes);
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.path < b.path; });
  return changes;
}

Written Write(Overlay& content, const std::vector<Change>& changes, LayerWriterOptions options) {
  Written written;
  const UniqueFd out = Memory("");
  options.warning = [&](const std::string& text) { written.warnings.push_back(text); };
  LayerError error;
  written.ok = WriteLayer(content, changes, out.get(), options, &written.summary, &error);
  written.error = error.message;
  written.bytes = AllOf(out.get());
  return written;
}

Written WriteUpper(const std::string& upper, const std::string& lower, LayerWriterOptions options) {
  const std::unique_ptr<Overlay> content =
      lower.empty() ? OpenUnion({upper}) : OpenUnion({upper, lower});
  Written written = Write(*content, ChangesOf(upper, lower), std::move(options));
  EXPECT_TRUE(written.ok) << written.error;
  return written;
}

Applied Apply(const std::string& tar, const std::string& directory, WhiteoutChoice whiteouts) {
  Applied applied;
  const UniqueFd layer = Memory(tar);
  const UniqueFd target(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(target.valid()) << directory;
  LayerError error;
  const ApplyOptions options{.whiteouts = whiteouts,
                             .warning = [&](const std::string& text) { applied.warnings.push_back(text); }};
  applied.ok = ApplyLayer(layer.get(), target.get(), options, &applied.summary, &error);
  applied.error = error.message;
  EXPECT_EQ(applied.ok, applied.error.empty());
  return applied;
}

std::vector<std::string> EntriesOf(const std::string& tar) {
  const UniqueFd layer = Memory(tar);
  TarReader reader(layer.get());
  std::vector<std::string> entries;
  TarEntry entry;
  TarReader::Status status;
  while ((status = reader.Next(&entry)) == TarReader::Status::kSome) {
    static const std::pair<mode_t, const char*> kTypes[] = {{S_IFREG, "file"}, {S_IFDIR, "directory"}, {S_IFLNK, "symlink"},
                                                            {S_IFCHR, "char"}, {S_IFBLK, "block"},     {S_IFIFO, "fifo"}};
    std::string line = entry.path + " ";
    for (const auto& [type, name] : kTypes) {
      if (!entry.is_hard_link && (entry.mode & S_IFMT) == type) line += name;
    }
    if (entry.is_hard_link) line += "link";
    if (!entry.link.empty()) line += " -> " + entry.link;
    entries.push_back(line);
  }
  EXPECT_EQ(status, TarReader::Status::kEnd) << reader.error();
  return entries;
}

void SetTimes(const std::string& path, int64_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}
void SetOwner(const std::string& path, uid_t uid, gid_t gid) {
  EXPECT_EQ(::lchown(path.c_str(), uid, gid), 0) << path;
}
void SetMode(const std::string& path, mode_t mode) { EXPECT_EQ(::chmod(path.c_str(), mode), 0) << path; }

}  // namespace plyfs::test
