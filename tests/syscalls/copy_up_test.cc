// copy_up_test.cc: everything that triggers a copy-up, and what must not.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/harness/tree_snapshot.h"
#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct Trigger {
  const char* name;
  int (*act)(const std::string& path);
  bool changes_content;
};

int WithFile(const std::string& path, int flags, long (*body)(int fd)) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ErrnoOf(body(fd));
  close(fd);
  return error;
}

const Trigger kTriggers[] = {
    {"Chmod", [](const std::string& path) { return ErrnoOf(chmod(path.c_str(), 0600)); }, false},
    {"Fchmod",
     [](const std::string& path) {
       return WithFile(path, O_RDONLY, [](int fd) -> long { return fchmod(fd, 0600); });
     },
     false},
    {"Chown", [](const std::string& path) { return ErrnoOf(chown(path.c_str(), 7, 7)); }, false},
    {"Utimens",
     [](const std::string& path) {
       const timespec times[2] = {{1, 1}, {kOldSeconds, kOldNanoseconds}};
       return ErrnoOf(utimensat(AT_FDCWD, path.c_str(), times, 0));
     },
     false},
    {"SetXattr", [](const std::string& path) { return SetXattr(path, "user.x", "y"); }, false},
    {"RemoveXattr", [](const std::string& path) { return RemoveXattr(path, "user.color"); }, false},
    {"Link",
     [](const std::string& path) { return ErrnoOf(link(path.c_str(), (path + "2").c_str())); },
     false},
    {"Truncate", [](const std::string& path) { return ErrnoOf(truncate(path.c_str(), 3)); }, true},
    {"OpenTrunc",
     [](const std::string& path) {
       return WithFile(path, O_RDONLY | O_TRUNC, [](int) -> long { return 0; });
     },
     true},
    {"Write",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY, [](int fd) -> long { return write(fd, "x", 1); });
     },
     true},
    {"Append",
     [](const std::string& path) {
       return WithFile(path, O_WRONLY | O_APPEND, [](int fd) -> long { return write(fd, "x", 1); });
     },
     true},
    {"Fallocate",
     [](const std::string& path) {
       return WithFile(path, O_RDWR, [](int fd) -> long { return fallocate(fd, 0, 0, 9000); });
     },
     true},
    {"CopyFileRange",
     [](const std::string& path) {
       return WithFile(path, O_RDWR, [](int fd) -> long {
         loff_t from = 0, to = 100;
         return copy_file_range(fd, &from, fd, &to, 2, 0);
       });
     },
     true},
    {"SharedMapping",
     [](const std::string& path) {
       return WithFile(path, O_RDWR, [](int fd) -> long {
         void* map = mmap(nullptr, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
         if (map == MAP_FAILED) return -1;
         *static_cast<char*>(map) = 'X';
         const int result = msync(map, 4, MS_SYNC);
         munmap(map, 4);
         return result;
       });
     },
     true},
};

class CopyUpTest : public RowTest<Trigger> {
 protected:
  void BuildLayers(LayerSet& layers) override {
    layers.middle.File("a/b/c/file", "content\n", 0751);
    layers.middle.Xattr("a/b/c/file", "user.color", "blue");
    layers.middle.Xattr("a/b/c/file", "trusted.t", "t");
    layers.middle.Own("a/b/c/file", kAlice, kStaff, 0751);
    for (const std::string path : {"a", "a/b", "a/b/c"}) {
      layers.middle.Own(path, kBob, kStaff, path.size() == 3 ? 02750 : 01711);
      layers.middle.Xattr(path, "user.dir", path);
    }
  }
};

TEST_P(CopyUpTest, TakesParentsAlongWithTheirAttributes) {
  const std::string before = SnapshotOf(P("a"), {.inode_numbers = true});
  ASSERT_EQ(0, row().act(P("a/b/c/file")));
  unlink(P("a/b/c/file2").c_str());
  Remount();
  for (const std::string path : {"a", "a/b", "a/b/c"}) {
    const struct stat st = Lstat(P(path));
    EXPECT_EQ(kBob, st.st_uid);
    EXPECT_EQ(kStaff, st.st_gid);
    EXPECT_EQ(path.size() == 3 ? 02750u : 01711u, st.st_mode & 07777) << path;
    EXPECT_EQ(path, GetXattr(P(path), "user.dir"));
    if (path != "a/b/c") {
      EXPECT_EQ(OldTime(), TimeOf(st.st_mtim)) << path;
    }
  }
}

TEST_P(CopyUpTest, KeepsWhatTheCallDoesNotChange) {
  const std::string path = P("a/b/c/file");
  const struct stat before = Lstat(path);
  ASSERT_EQ(0, row().act(path));
  Remount();
  const struct stat after = Lstat(path);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ("t", GetXattr(path, "trusted.t"));
  if (!row().changes_content) {
    EXPECT_EQ("content\n", ReadFile(path));
    EXPECT_EQ(OldTime(), TimeOf(after.st_mtim));
  } else {
    EXPECT_NE(OldTime(), TimeOf(after.st_mtim));
    EXPECT_EQ(0751u, after.st_mode & 07777);
    EXPECT_EQ(kAlice, after.st_uid);
  }
  if (is_union()) {
    EXPECT_EQ("content\n", ReadFile(InMiddle("a/b/c/file")));
    EXPECT_TRUE(Exists(InUpper("a/b/c/file")));
  }
}

TEST_P(CopyUpTest, LeavesNothingInTheUpperBesides) {
  if (!is_union()) return;
  ASSERT_EQ(0, row().act(P("a/b/c/file")));
  unlink(P("a/b/c/file2").c_str());
  mount().Unmount();
  EXPECT_EQ(std::vector<std::string>{"a"}, ListDir(InUpper("")));
  EXPECT_EQ(std::vector<std::string>{"file"}, ListDir(InUpper("a/b/c")));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, CopyUpTest,
                         testing::Combine(AllTargets(), testing::ValuesIn(kTriggers)), NameRow());

using CopyUpDetails = SyscallTest;

TEST_P(CopyUpDetails, ReadingNeverCopiesUp) {
  if (!is_union()) return;
  const std::string upper = SnapshotOf(InUpper(""));
  ReadFile(P("lowfile"));
  ReadFile(P("lowdir/sub/c"));
  ListDir(P("lowdir"));
  ReadLink(P("lowlink"));
  ListXattrs(P("lowfile"));
  OpenFile(P("deepfile"), O_RDONLY | O_NOATIME);
  EXPECT_EQ(0, access(P("lowfile").c_str(), W_OK));
  EXPECT_EQ(EEXIST, ErrnoOf(mkdir(P("lowdir").c_str(), 0755)));
  EXPECT_EQ(ENOENT, ErrnoOf(unlink(P("lowdir/missing").c_str())));
  EXPECT_EQ(ENOTEMPTY, ErrnoOf(rmdir(P("lowdir").c_str())));
  {
    OpenFile fifo(P("lowfifo"), O_RDWR), null(P("lowchr"), O_RDWR);
    EXPECT_EQ(1, write(fifo.fd(), "x", 1));
    EXPECT_EQ(1, write(null.fd(), "x", 1));
  }
  mount().Unmount();
  EXPECT_EQ(upper, SnapshotOf(InUpper("")));
}

TEST_P(CopyUpDetails, RefusedCallsDoNotCopyUp) {
  if (!is_union()) return;
  const std::string path = P("lowfile");
  const Credentials alice{.uid = kAlice, .gid = kAlice};
  EXPECT_EQ(EPERM, RunAs(alice, [&] { return ErrnoOf(chmod(path.c_str(), 0777)); }));
  EXPECT_EQ(EACCES, RunAs(alice, [&] { return ErrnoOf(truncate(path.c_str(), 0)); }));
  EXPECT_EQ(EPERM, RunAs(alice, [&] { return ErrnoOf(chown(path.c_str(), kAlice, kAlice)); }));
  EXPECT_FALSE(Exists(InUpper("lowfile")));
}

TEST_P(CopyUpDetails, OfADirectoryDoesNotWidenItsMode) {
  mount().Unmount();
  ASSERT_EQ(0, chmod(InMiddle("lowdir").c_str(), 0700));
  ASSERT_EQ(0, chmod(InMiddle("lowdir/sub").c_str(), 0500));
  mount().Mount();
  WriteFile(P("lowdir/sub/new"), "x");
  EXPECT_EQ(0700u, Lstat(P("lowdir")).st_mode & 07777);
  EXPECT_EQ(0500u, Lstat(P("lowdir/sub")).st_mode & 07777);
  if (is_union()) {
    EXPECT_EQ(0700u, Lstat(InUpper("lowdir")).st_mode & 07777);
    EXPECT_EQ(0500u, Lstat(InUpper("lowdir/sub")).st_mode & 07777);
  }
}

TEST_P(CopyUpDetails, OfAnEmptyFile) {
  mount().Unmount();
  WriteFile(InMiddle("empty"), "");
  mount().Mount();
  ASSERT_EQ(0, chmod(P("empty").c_str(), 0600));
  AppendFile(P("empty"), "x");
  EXPECT_EQ("x", ReadFile(P("empty")));
}

TEST_P(CopyUpDetails, ManyFilesAtOnceFromManyProcesses) {
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c) {
    const pid_t pid = fork();
    if (pid == 0) {
      int failures = 0;
      for (const char* name : {"lowfile", "deepfile", "both", "lowdir/a", "lowdir/sub/c",
                               "merged/low", "merged/mid", "merged/sub/low"}) {
        failures += SetXattr(P(name), "user.p" + std::to_string(c), "1") != 0;
      }
      _exit(failures);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, WEXITSTATUS(status));
  }
  for (const char* name : {"lowfile", "lowdir/sub/c", "merged/sub/low"}) {
    for (int c = 0; c < 4; ++c)
      EXPECT_EQ("1", GetXattr(P(name), "user.p" + std::to_string(c))) << name << c;
  }
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, CopyUpDetails, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
