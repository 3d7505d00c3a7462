// open_unlinked_test.cc: files without a name that are still open.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct OriginRow {
  const char* name;
  bool born_in_upper = false;
};

const OriginRow kFiles[] = {{"lowfile"}, {"deepfile"},   {"upfile", true},   {"covered", true},
                            {"both"},    {"merged/low"}, {"merged/up", true}};

class OpenUnlinked : public RowTest<OriginRow> {
 protected:
  std::string path() const { return P(row().name); }
};

TEST_P(OpenUnlinked, ReadsWritesAndStats) {
  const std::string content = ReadFile(path());
  OpenFile file(path(), O_RDWR);
  const ino_t ino = Fstat(file.fd()).st_ino;
  ASSERT_EQ(0, unlink(path().c_str()));
  EXPECT_EQ(0u, Fstat(file.fd()).st_nlink);
  EXPECT_EQ(ino, Fstat(file.fd()).st_ino);
  EXPECT_EQ(content, file.Content());
  EXPECT_EQ(4, pwrite(file.fd(), "more", 4, static_cast<off_t>(content.size())));
  EXPECT_EQ(content + "more", file.Content());
  EXPECT_EQ(static_cast<off_t>(content.size()) + 4, Fstat(file.fd()).st_size);
  EXPECT_EQ(ENOENT, LstatErrno(path()));
}

TEST_P(OpenUnlinked, TakesMetadataChanges) {
  OpenFile file(path(), O_RDWR);
  ASSERT_EQ(0, unlink(path().c_str()));
  EXPECT_EQ(0, fchmod(file.fd(), 0612));
  EXPECT_EQ(0, fchown(file.fd(), kAlice, kBob));
  const timespec times[2] = {{5, 5}, {6, 6}};
  EXPECT_EQ(0, futimens(file.fd(), times));
  EXPECT_EQ(0, ftruncate(file.fd(), 1));
  EXPECT_EQ(0, fsync(file.fd()));
  const struct stat st = Fstat(file.fd());
  EXPECT_EQ(0612u, st.st_mode & 07777);
  EXPECT_EQ(kAlice, st.st_uid);
  EXPECT_EQ(1, st.st_size);
  EXPECT_EQ(0u, st.st_nlink);
}

TEST_P(OpenUnlinked, TakesXattrs) {
  OpenFile file(path(), O_RDWR);
  ASSERT_EQ(0, unlink(path().c_str()));
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  EXPECT_EQ(0, fsetxattr(file.fd(), "user.late", "v", 1, 0));
  char value[4];
  EXPECT_EQ(1, fgetxattr(file.fd(), "user.late", value, sizeof value));
  EXPECT_EQ('v', value[0]);
}

TEST_P(OpenUnlinked, ANewFileOfTheSameNameIsAnother) {
  const std::string content = ReadFile(path());
  OpenFile old(path(), O_RDWR);
  ASSERT_EQ(0, unlink(path().c_str()));
  WriteFile(path(), "another\n");
  EXPECT_EQ(content, old.Content());
  EXPECT_EQ(1, pwrite(old.fd(), "X", 1, 0));
  EXPECT_EQ("another\n", ReadFile(path()));
  EXPECT_NE(Fstat(old.fd()).st_ino, Lstat(path()).st_ino);
  AppendFile(path(), "more\n");
  EXPECT_EQ("X" + content.substr(1), old.Content());
}

TEST_P(OpenUnlinked, ReadOnlyDescriptorKeepsTheContent) {
  const std::string content = ReadFile(path());
  OpenFile file(path(), O_RDONLY);
  ASSERT_EQ(0, unlink(path().c_str()));
  mount().DropCaches();
  EXPECT_EQ(content, file.Content());
  EXPECT_EQ(row().born_in_upper ? 0 : Expected(kLinksOfOpenUnlinkedLower),
            static_cast<long>(Fstat(file.fd()).st_nlink));
}

TEST_P(OpenUnlinked, ReplacedByRenameKeepsTheContent) {
  const std::string content = ReadFile(path());
  OpenFile file(path(), O_RDWR);
  WriteFile(P("replacement"), "replacement\n");
  ASSERT_EQ(0, rename(P("replacement").c_str(), path().c_str()));
  EXPECT_EQ(content, file.Content());
  EXPECT_EQ(0u, Fstat(file.fd()).st_nlink);
  EXPECT_EQ(1, pwrite(file.fd(), "X", 1, 0));
  EXPECT_EQ("X" + content.substr(1), file.Content());
  EXPECT_EQ("replacement\n", ReadFile(path()));
}

TEST_P(OpenUnlinked, CannotBeLinkedBackByProc) {
  OpenFile file(path(), O_RDWR);
  ASSERT_EQ(0, unlink(path().c_str()));
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  EXPECT_EQ(ENOENT, ErrnoOf(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, P("back").c_str(),
                                   AT_SYMLINK_FOLLOW)));
}

TEST_P(OpenUnlinked, CanBeReopenedThroughProc) {
  const std::string content = ReadFile(path());
  OpenFile file(path(), O_RDONLY);
  ASSERT_EQ(0, unlink(path().c_str()));
  const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
  if (!row().born_in_upper && Expected(kReopenOfUnlinkedLower) != 0) {
    EXPECT_EQ(Expected(kReopenOfUnlinkedLower), ErrnoOf(open(self.c_str(), O_RDWR | O_CLOEXEC)));
    return;
  }
  OpenFile again(self, O_RDWR);
  EXPECT_EQ(1, pwrite(again.fd(), "X", 1, 0));
  EXPECT_EQ("X" + content.substr(1), again.Content());
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, OpenUnlinked,
                         testing::Combine(AllTargets(), testing::ValuesIn(kFiles)), NameRow());

using OpenUnlinkedDetails = SyscallTest;

TEST_P(OpenUnlinkedDetails, CreatedFileLivesUntilItsClose) {
  OpenFile file(P("lowdir/new"), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_EQ(0, unlink(P("lowdir/new").c_str()));
  const std::string big(1 << 20, 'b');
  EXPECT_EQ(1 << 20, pwrite(file.fd(), big.data(), big.size(), 0));
  mount().DropCaches();
  EXPECT_TRUE(big == file.Content());
}

TEST_P(OpenUnlinkedDetails, ManyAtOnce) {
  std::vector<std::unique_ptr<OpenFile>> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(std::make_unique<OpenFile>(P("f"), O_RDWR | O_CREAT | O_EXCL, 0600));
    EXPECT_EQ(4, pwrite(files.back()->fd(), &i, 4, 0));
    ASSERT_EQ(0, unlink(P("f").c_str()));
  }
  for (int i = 0; i < 200; ++i) {
    int value = -1;
    EXPECT_EQ(4, pread(files[static_cast<size_t>(i)]->fd(), &value, 4, 0));
    EXPECT_EQ(i, value);
  }
}

TEST_P(OpenUnlinkedDetails, RemovedDirectoryListsEmpty) {
  for (const std::string name : {"lowempty", "upempty", "mergedempty"}) {
    OpenFile dir(P(name), O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(0, rmdir(P(name).c_str()));
    const bool no_links = name == "upempty" || Expected(kLinksOfRemovedDirectory) == 0;
    EXPECT_EQ(no_links, Fstat(dir.fd()).st_nlink == 0) << name;
    EXPECT_EQ(ENOENT, ErrnoOf(openat(dir.fd(), "new", O_CREAT | O_RDWR, 0600))) << name;
    EXPECT_EQ(ENOENT, ErrnoOf(mkdirat(dir.fd(), "new", 0700))) << name;
  }
}

TEST_P(OpenUnlinkedDetails, NothingIsLeftInTheUpperAfterUnmount) {
  if (!is_union()) return;
  {
    OpenFile file(P("new"), O_RDWR | O_CREAT | O_EXCL, 0600);
    ASSERT_EQ(0, unlink(P("new").c_str()));
  }
  mount().Unmount();
  EXPECT_EQ(ENOENT, LstatErrno(InUpper("new")));
}

TEST_P(OpenUnlinkedDetails, LinkCountGoesDownNameByName) {
  OpenFile file(P("lowhard1"), O_RDONLY);
  EXPECT_EQ(3u, Fstat(file.fd()).st_nlink);
  ASSERT_EQ(0, unlink(P("lowhard1").c_str()));
  EXPECT_EQ(2u, Fstat(file.fd()).st_nlink);
  ASSERT_EQ(0, unlink(P("lowhard2").c_str()));
  EXPECT_EQ(1u, Fstat(file.fd()).st_nlink);
  ASSERT_EQ(0, unlink(P("lowhard3").c_str()));
  EXPECT_EQ(0u, Fstat(file.fd()).st_nlink);
  EXPECT_EQ("low hard\n", file.Content());
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, OpenUnlinkedDetails, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
