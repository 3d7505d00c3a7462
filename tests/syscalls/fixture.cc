// fixture.cc: the standard tree, and mounting it.
#include "tests/syscalls/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/harness/temp_dir.h"

namespace plyfs::test {

// path            bottom          middle          upper           seen as
// lowfile                         file            -               file "low\n"
// deepfile        file            -               -               file "deep\n"
// upfile          -               -               file            file "up\n"
// covered         file            file            file            file "covered up\n"
// both            file            file            -               file "both middle\n"
// lowdir/         a               b, sub/c        -               directory
// lowempty/                       empty           -               empty directory
// updir/          -               -               a, sub/c        directory
// upempty/        -               -               empty           empty directory
// merged/         low, gone       mid, both, sub/ up, both, sub/  directory; gone is whited out
// mergedempty/    -               x               whiteout of x   empty directory
// opaque/         -               hidden          opaque, shown   directory with shown only
// gone, gonedir/  -               file, directory whiteouts       nothing
// filedir/        -               file            directory       directory with a
// dirfile         -               directory       file            file "up\n"
// lowlink uplink  -               symlink         symlink         symlinks to lowfile, upfile
// lowdirlink      -               symlink         -               symlink to lowdir
// dangling        -               symlink         -               symlink to nothing
// loop1 loop2     -               symlinks        -               symlinks to each other
// *fifo *sock *chr *blk           "low"           "up"            special files
// lowhard1..3     -               links           -               one file, nlink 3
// uphard1, 2      -               -               links           one file, nlink 2
// private/        -               file            -               0700 of root
// alice/          -               file, dir, sub  -               owned by kAlice
void BuildStandardTree(LayerSet& layers) {
  LayerWriter& bottom = layers.bottom;
  LayerWriter& middle = layers.middle;
  LayerWriter& upper = layers.upper;
  bottom.File("deepfile", "deep\n");
  bottom.File("covered", "covered bottom\n");
  bottom.File("both", "both bottom\n");
  bottom.File("lowdir/a", "lowdir a\n");
  bottom.File("merged/low", "merged low\n");
  bottom.File("merged/gone", "merged gone\n");

  middle.File("lowfile", "low\n");
  middle.Xattr("lowfile", "user.color", "blue");
  middle.File("covered", "covered middle\n");
  middle.File("both", "both middle\n");
  middle.File("lowdir/b", "lowdir b\n");
  middle.File("lowdir/sub/c", "lowdir c\n");
  middle.Dir("lowempty");
  middle.File("merged/mid", "merged mid\n");
  middle.File("merged/both", "merged both middle\n");
  middle.File("merged/sub/low", "merged sub low\n");
  middle.File("mergedempty/x", "x\n");
  middle.File("opaque/hidden", "hidden\n");
  middle.File("gone", "gone\n");
  middle.File("gonedir/x", "x\n");
  middle.File("filedir", "file below a directory\n");
  middle.File("dirfile/x", "x\n");
  middle.Symlink("lowlink", "lowfile");
  middle.Symlink("lowdirlink", "lowdir");
  middle.Symlink("dangling", "nothing-here");
  middle.Symlink("loop1", "loop2");
  middle.Symlink("loop2", "loop1");
  middle.Node("lowfifo", S_IFIFO | 0640);
  middle.Node("lowsock", S_IFSOCK | 0640);
  middle.Node("lowchr", S_IFCHR | 0640, makedev(1, 3));
  middle.Node("lowblk", S_IFBLK | 0640, makedev(240, 300));
  middle.File("lowhard1", "low hard\n");
  middle.Link("lowhard2", "lowhard1");
  middle.Link("lowhard3", "lowhard1");
  middle.Dir("private");
  middle.File("private/file", "private\n");
  middle.Own("private", 0, 0, 0700);
  middle.File("alice/file", "alice\n");
  middle.File("alice/dir/x", "x\n");
  for (const char* path : {"alice", "alice/dir"}) middle.Own(path, kAlice, kAlice, 0755);
  for (const char* path : {"alice/file", "alice/dir/x"}) middle.Own(path, kAlice, kAlice, 0644);

  upper.File("upfile", "up\n");
  upper.File("covered", "covered up\n");
  upper.File("updir/a", "updir a\n");
  upper.File("updir/sub/c", "updir c\n");
  upper.Dir("upempty");
  upper.File("merged/up", "merged up\n");
  upper.File("merged/both", "merged both up\n");
  upper.File("merged/sub/up", "merged sub up\n");
  upper.Whiteout("merged/gone");
  upper.Whiteout("mergedempty/x");
  upper.OpaqueDir("opaque");
  upper.File("opaque/shown", "shown\n");
  upper.Whiteout("gone");
  upper.Whiteout("gonedir");
  upper.File("filedir/a", "filedir a\n");
  upper.File("dirfile", "up\n");
  upper.Symlink("uplink", "upfile");
  upper.Node("upfifo", S_IFIFO | 0640);
  upper.Node("upsock", S_IFSOCK | 0640);
  upper.Node("upchr", S_IFCHR | 0640, makedev(1, 5));
  upper.Node("upblk", S_IFBLK | 0640, makedev(240, 301));
  upper.File("uphard1", "up hard\n");
  upper.Link("uphard2", "uphard1");
}

const std::vector<TreeObject> kTreeObjects = {
    {"lowfile", S_IFREG, false},      {"deepfile", S_IFREG, false}, {"both", S_IFREG, false},
    {"upfile", S_IFREG, true},        {"covered", S_IFREG, true},   {"merged/low", S_IFREG, false},
    {"merged/up", S_IFREG, true},     {"lowdir", S_IFDIR, false},   {"lowdir/sub", S_IFDIR, false},
    {"updir", S_IFDIR, true},         {"merged", S_IFDIR, true},    {"merged/sub", S_IFDIR, true},
    {"opaque", S_IFDIR, true},        {"lowfifo", S_IFIFO, false},  {"upfifo", S_IFIFO, true},
    {"lowsock", S_IFSOCK, false},     {"upsock", S_IFSOCK, true},   {"lowchr", S_IFCHR, false},
    {"upchr", S_IFCHR, true},         {"lowblk", S_IFBLK, false},   {"lowhard2", S_IFREG, false},
    {"uphard2", S_IFREG, true},       {"lowlink", S_IFLNK, false},  {"uplink", S_IFLNK, true},
    {"lowdir/sub/c", S_IFREG, false},
};

std::string IdentifierOf(const std::string& path) {
  std::string text;
  bool start_of_word = true;
  for (const char c : path) {
    if (isalnum(static_cast<unsigned char>(c)) == 0) {
      start_of_word = true;
      continue;
    }
    text += start_of_word ? static_cast<char>(toupper(c)) : c;
    start_of_word = false;
  }
  return text;
}

void UnionTest::Start(Target target, const std::string& extra) {
  target_ = target;
  const bool plain = target == Target::kExt4;
  const auto kind = plain ? LayerWriter::Kind::kPlain : LayerWriter::Kind::kLayer;
  const std::string upper_path = dir_.MakeDir("upper");
  const std::string middle_path = plain ? upper_path : dir_.MakeDir("middle");
  const std::string bottom_path = plain ? upper_path : dir_.MakeDir("bottom");
  LayerWriter bottom(bottom_path, kind), middle(middle_path, kind), upper(upper_path, kind);
  LayerSet layers{bottom, middle, upper};
  BuildLayers(layers);
  for (const std::string& path : {bottom_path, middle_path, upper_path}) AgeTree(path);
  // index=on: the kernel keeps hard links through copy-up only then.
  // dev: a FUSE mount has nodev unless asked, as fuse-overlayfs.
  std::string options = target == Target::kKernelOverlay ? "index=on" : "dev";
  if (!extra.empty()) options += (options.empty() ? "" : ",") + extra;
  mount_ = std::make_unique<UnionMount>(UnionOptions{.target = target,
                                                     .lowers = {middle_path, bottom_path},
                                                     .upper = upper_path,
                                                     .work = dir_.MakeDir("work"),
                                                     .mountpoint = dir_ / "union",
                                                     .extra = options});
  ASSERT_TRUE(mount_->ok());
}

void UnionTest::TearDown() { mount_.reset(); }

long UnionTest::Expected(const Difference& difference) const {
  switch (target_) {
    case Target::kExt4:
      return difference.ext4;
    case Target::kKernelOverlay:
      return difference.kernel_overlay;
    default:
      return difference.plyfs;
  }
}

std::string UnionTest::InMiddle(const std::string& name) const {
  return dir_ / ((is_union() ? "middle/" : "upper/") + name);
}

testing::internal::ParamGenerator<Target> AllTargets() {
  return testing::Values(Target::kExt4, Target::kKernelOverlay, Target::kPlyfs);
}

testing::internal::ParamGenerator<Target> UnionTargets() {
  return testing::Values(Target::kKernelOverlay, Target::kPlyfs);
}

std::string TargetName(const testing::TestParamInfo<Target>& info) { return NameOf(info.param); }

struct stat Fstat(int fd) {
  struct stat st = {};
  if (fstat(fd, &st) != 0) {
    ADD_FAILURE() << "fstat: " << strerror(errno);
  }
  return st;
}

OpenFile::OpenFile(const std::string& path, int flags, mode_t mode)
    : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {
  if (fd_ < 0) {
    ADD_FAILURE() << "open " << path << ": " << strerror(errno);
  }
}

OpenFile::~OpenFile() { Close(); }

void OpenFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

std::string OpenFile::Content() const {
  std::string content;
  char buffer[65536];
  ssize_t got;
  while ((got = pread(fd_, buffer, sizeof buffer, static_cast<off_t>(content.size()))) > 0)
    content.append(buffer, static_cast<size_t>(got));
  if (got < 0) {
    ADD_FAILURE() << "pread: " << strerror(errno);
  }
  return content;
}

std::string TimeOf(const timespec& time) {
  char text[40];
  snprintf(text, sizeof text, "%lld.%09ld", static_cast<long long>(time.tv_sec), time.tv_nsec);
  return text;
}

std::string OldTime() { return TimeOf({kOldSeconds, kOldNanoseconds}); }

}  // namespace plyfs::test
