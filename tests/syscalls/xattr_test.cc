// xattr_test.cc: extended attributes of every namespace.
// Not here: the overlay's own names (xattr_escape_test.cc), ACLs (acl_test.cc), capabilities
// (privilege_test.cc).
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct XattrRow {
  const char* name;
  mode_t type;
};

std::vector<XattrRow> AllObjects() {
  std::vector<XattrRow> rows;
  for (const TreeObject& object : kTreeObjects) rows.push_back({object.path, object.type});
  return rows;
}

bool TakesUserXattrs(mode_t type) { return type == S_IFREG || type == S_IFDIR; }

class XattrObjects : public RowTest<XattrRow> {
 protected:
  std::string path() const { return P(row().name); }
};

TEST_P(XattrObjects, TrustedSetGetListRemove) {
  const ino_t ino = Lstat(path()).st_ino;
  ASSERT_EQ(0, SetXattr(path(), "trusted.one", "1"));
  ASSERT_EQ(0, SetXattr(path(), "trusted.empty", ""));
  EXPECT_EQ("1", GetXattr(path(), "trusted.one"));
  EXPECT_EQ("", GetXattr(path(), "trusted.empty"));
  Remount();
  EXPECT_EQ("1", GetXattr(path(), "trusted.one"));
  EXPECT_EQ(ino, Lstat(path()).st_ino);
  EXPECT_EQ(OldTime(), TimeOf(Lstat(path()).st_mtim));
  ASSERT_EQ(0, RemoveXattr(path(), "trusted.one"));
  ASSERT_EQ(0, RemoveXattr(path(), "trusted.empty"));
  EXPECT_EQ(ENODATA, RemoveXattr(path(), "trusted.one"));
  EXPECT_EQ(std::nullopt, GetXattr(path(), "trusted.one"));
}

TEST_P(XattrObjects, UserNamespaceIsForFilesAndDirectories) {
  if (!TakesUserXattrs(row().type)) {
    EXPECT_EQ(EPERM, SetXattr(path(), "user.x", "y"));
    EXPECT_EQ(std::vector<std::string>{}, ListXattrs(path()));
    return;
  }
  ASSERT_EQ(0, SetXattr(path(), "user.x", "y"));
  EXPECT_EQ("y", GetXattr(path(), "user.x"));
  const std::vector<std::string> names = ListXattrs(path());
  EXPECT_NE(names.end(), std::find(names.begin(), names.end(), "user.x"));
  Remount();
  EXPECT_EQ("y", GetXattr(path(), "user.x"));
}

TEST_P(XattrObjects, CopyUpAddsNoneThatUsersSee) {
  const std::vector<std::string> before = ListXattrs(path());
  ASSERT_EQ(0, lchown(path().c_str(), kAlice, kAlice));
  EXPECT_EQ(before, ListXattrs(path()));
  Remount();
  EXPECT_EQ(before, ListXattrs(path()));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, XattrObjects,
                         testing::Combine(AllTargets(), testing::ValuesIn(AllObjects())),
                         NameRow());

class XattrTest : public SyscallTest {
 protected:
  void BuildLayers(LayerSet& layers) override {
    BuildStandardTree(layers);
    layers.middle.File("lowmany", "x");
    for (int i = 0; i < 20; ++i)
      layers.middle.Xattr("lowmany", "user.n" + std::to_string(i), "v" + std::to_string(i));
    layers.middle.Xattr("lowmany", "trusted.t", std::string("\0binary\xff", 8));
    layers.middle.Xattr("lowmany", "user.empty", "");
    layers.middle.Xattr("lowmany", "user.\xff\xfe bytes", "not UTF-8");
    layers.middle.Xattr("lowmany", "security.plyfs-test", "s");
    layers.middle.Xattr("lowdir", "user.dir", "d");
    layers.middle.Xattr("merged", "user.from", "middle");
    layers.upper.Xattr("merged", "user.from", "upper");
  }
};

TEST_P(XattrTest, AllNamespacesSurviveCopyUp) {
  const std::vector<std::string> before = ListXattrs(P("lowmany"));
  EXPECT_EQ(24u, before.size());
  AppendFile(P("lowmany"), "y");
  Remount();
  EXPECT_EQ(before, ListXattrs(P("lowmany")));
  EXPECT_EQ("v13", GetXattr(P("lowmany"), "user.n13"));
  EXPECT_EQ(std::string("\0binary\xff", 8), GetXattr(P("lowmany"), "trusted.t"));
  EXPECT_EQ("", GetXattr(P("lowmany"), "user.empty"));
  EXPECT_EQ("not UTF-8", GetXattr(P("lowmany"), "user.\xff\xfe bytes"));
  EXPECT_EQ("s", GetXattr(P("lowmany"), "security.plyfs-test"));
}

TEST_P(XattrTest, DirectoryXattrsSurviveCopyUpAndTheUpperOnesWin) {
  WriteFile(P("lowdir/new"), "");
  EXPECT_EQ("d", GetXattr(P("lowdir"), "user.dir"));
  EXPECT_EQ("upper", GetXattr(P("merged"), "user.from"));
}

TEST_P(XattrTest, CreateAndReplaceFlags) {
  for (const char* name : {"lowfile", "upfile"}) {
    EXPECT_EQ(ENODATA, SetXattr(P(name), "user.new", "1", XATTR_REPLACE));
    EXPECT_EQ(0, SetXattr(P(name), "user.new", "1", XATTR_CREATE));
    EXPECT_EQ(EEXIST, SetXattr(P(name), "user.new", "2", XATTR_CREATE));
    EXPECT_EQ(0, SetXattr(P(name), "user.new", "3", XATTR_REPLACE));
    EXPECT_EQ("3", GetXattr(P(name), "user.new"));
  }
  EXPECT_EQ(EEXIST, SetXattr(P("lowmany"), "user.n1", "x", XATTR_CREATE));
  EXPECT_EQ(0, SetXattr(P("lowmany"), "user.n1", "x", XATTR_REPLACE));
}

TEST_P(XattrTest, SizeQueriesAndShortBuffers) {
  char buffer[64];
  const std::string path = P("lowmany");
  EXPECT_EQ(3, lgetxattr(path.c_str(), "user.n10", nullptr, 0));
  EXPECT_EQ(3, lgetxattr(path.c_str(), "user.n10", buffer, 3));
  EXPECT_EQ(ERANGE, ErrnoOf(lgetxattr(path.c_str(), "user.n10", buffer, 2)));
  EXPECT_EQ(ENODATA, ErrnoOf(lgetxattr(path.c_str(), "user.none", buffer, 64)));
  const ssize_t length = llistxattr(path.c_str(), nullptr, 0);
  EXPECT_GT(length, 64);
  EXPECT_EQ(ERANGE, ErrnoOf(llistxattr(path.c_str(), buffer, sizeof buffer)));
  std::string list(static_cast<size_t>(length), '\0');
  EXPECT_EQ(length, llistxattr(path.c_str(), list.data(), list.size()));
  EXPECT_EQ(0, llistxattr(P("upfile").c_str(), nullptr, 0));
}

TEST_P(XattrTest, ListDoesNotNameWhatWasRemoved) {
  const size_t before = ListXattrs(P("lowmany")).size();
  ASSERT_EQ(0, RemoveXattr(P("lowmany"), "user.n5"));
  ASSERT_EQ(0, RemoveXattr(P("lowmany"), "user.n6"));
  EXPECT_EQ(before - 2, ListXattrs(P("lowmany")).size());
  Remount();
  EXPECT_EQ(before - 2, ListXattrs(P("lowmany")).size());
  EXPECT_EQ(std::nullopt, GetXattr(P("lowmany"), "user.n5"));
}

TEST_P(XattrTest, RemovalOfAMissingOneDoesNotCopyUp) {
  EXPECT_EQ(ENODATA, RemoveXattr(P("lowfile"), "user.none"));
  if (is_union()) {
    EXPECT_FALSE(Exists(InUpper("lowfile")));
  }
}

TEST_P(XattrTest, NamesAndNamespacesAreChecked) {
  EXPECT_EQ(EOPNOTSUPP, SetXattr(P("lowfile"), "nonsense", "x"));
  EXPECT_EQ(EOPNOTSUPP, SetXattr(P("lowfile"), "strange.x", "x"));
  EXPECT_EQ(ERANGE, SetXattr(P("lowfile"), "user." + std::string(251, 'n'), "x"));
  EXPECT_EQ(0, SetXattr(P("lowfile"), "user." + std::string(250, 'n'), "x"));
  EXPECT_EQ(ERANGE, SetXattr(P("lowfile"), "", "x"));
  EXPECT_EQ(E2BIG, SetXattr(P("lowfile"), "user.big", std::string(65537, 'x')));
}

TEST_P(XattrTest, LargeValuesAsFarAsExt4Takes) {
  const std::string value(3000, 'v');
  for (const char* name : {"lowfile", "upfile"}) {
    ASSERT_EQ(0, SetXattr(P(name), "user.large", value)) << name;
    EXPECT_EQ(value, GetXattr(P(name), "user.large"));
  }
  Remount();
  EXPECT_EQ(value, GetXattr(P("lowfile"), "user.large"));
  EXPECT_EQ(ENOSPC, SetXattr(P("upfile"), "user.huge", std::string(60000, 'x')));
}

TEST_P(XattrTest, PermissionsOfTheNamespaces) {
  const std::string own = P("alice/file"), foreign = P("lowfile");
  const Credentials alice{.uid = kAlice, .gid = kAlice};
  EXPECT_EQ(0, RunAs(alice, [&] { return SetXattr(own, "user.x", "y"); }));
  EXPECT_EQ(EACCES, RunAs(alice, [&] { return SetXattr(foreign, "user.x", "y"); }));
  EXPECT_EQ(EPERM, RunAs(alice, [&] { return SetXattr(own, "trusted.x", "y"); }));
  ASSERT_EQ(0, SetXattr(own, "trusted.x", "y"));
  EXPECT_EQ(ENODATA, RunAs(alice, [&] {
              char byte;
              return ErrnoOf(lgetxattr(own.c_str(), "trusted.x", &byte, 1));
            }));
  EXPECT_EQ(EPERM, RunAs(alice, [&] { return SetXattr(own, "security.x", "y"); }));
  EXPECT_EQ(EACCES, RunAs(alice, [&] {
              char byte;
              if (setgroups(0, nullptr) == 0) return 99;
              return ErrnoOf(lgetxattr(P("private/file").c_str(), "user.x", &byte, 1));
            }));
}

TEST_P(XattrTest, UsersDoNotSeeTrustedNamesInLists) {
  ASSERT_EQ(0, SetXattr(P("alice/file"), "trusted.secret", "y"));
  ASSERT_EQ(0, SetXattr(P("alice/file"), "user.public", "y"));
  const std::string path = P("alice/file");
  EXPECT_EQ(0, RunAs({.uid = kAlice, .gid = kAlice}, [&] {
              return ListXattrs(path) == std::vector<std::string>{"user.public"} ? 0 : 1;
            }));
}

TEST_P(XattrTest, DescriptorCalls) {
  OpenFile file(P("lowfile"), O_RDONLY), dir(P("lowdir"), O_RDONLY);
  for (const int fd : {file.fd(), dir.fd()}) {
    EXPECT_EQ(0, fsetxattr(fd, "user.fd", "v", 1, 0));
    char value[2];
    EXPECT_EQ(1, fgetxattr(fd, "user.fd", value, 2));
    EXPECT_GT(flistxattr(fd, nullptr, 0), 0);
    EXPECT_EQ(0, fremovexattr(fd, "user.fd"));
  }
}

TEST_P(XattrTest, SetxattrChangesCtimeOnly) {
  const std::string before = TimeOf(Lstat(P("lowfile")).st_ctim);
  ASSERT_EQ(0, SetXattr(P("lowfile"), "user.x", "y"));
  EXPECT_NE(before, TimeOf(Lstat(P("lowfile")).st_ctim));
  EXPECT_EQ(OldTime(), TimeOf(Lstat(P("lowfile")).st_mtim));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, XattrTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
