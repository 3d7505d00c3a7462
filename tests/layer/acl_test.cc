// acl_test.cc: inheritance of default ACLs as the kernel does it on ext4, and ids within ACLs.
// Not here: ACLs through a mount (tests/syscalls/acl_test.cc).
#include "fs/layer/acl.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/harness/temp_dir.h"

namespace plyfs {
namespace {

struct Ace {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = ACL_UNDEFINED_ID;
};

std::string Acl(const std::vector<Ace>& entries, uint32_t version = POSIX_ACL_XATTR_VERSION) {
  std::string text(reinterpret_cast<const char*>(&version), sizeof version);
  for (const Ace& ace : entries) {
    const posix_acl_xattr_entry raw{ace.tag, ace.permissions, ace.id};
    text.append(reinterpret_cast<const char*>(&raw), sizeof raw);
  }
  return text;
}

struct AclCase {
  const char* name;
  std::vector<Ace> acl;
};
const AclCase kAclCases[] = {
    {"OnlyWhatAModeSays", {{ACL_USER_OBJ, 7}, {ACL_GROUP_OBJ, 5}, {ACL_OTHER, 4}}},
    {"NothingForTheGroup", {{ACL_USER_OBJ, 6}, {ACL_GROUP_OBJ, 0}, {ACL_OTHER, 0}}},
    {"ANamedUser",
     {{ACL_USER_OBJ, 7}, {ACL_USER, 6, 1234}, {ACL_GROUP_OBJ, 5}, {ACL_MASK, 7}, {ACL_OTHER, 0}}},
    {"ANarrowMask",
     {{ACL_USER_OBJ, 7}, {ACL_USER, 7, 1234}, {ACL_GROUP_OBJ, 7}, {ACL_MASK, 1}, {ACL_OTHER, 7}}},
    {"ANamedGroup",
     {{ACL_USER_OBJ, 5}, {ACL_GROUP_OBJ, 4}, {ACL_GROUP, 7, 77}, {ACL_MASK, 7}, {ACL_OTHER, 2}}},
    {"AMaskAlone", {{ACL_USER_OBJ, 7}, {ACL_GROUP_OBJ, 7}, {ACL_MASK, 3}, {ACL_OTHER, 7}}},
};
constexpr mode_t kModes[] = {0, 0600, 0644, 0666, 0640, 0777, 0751, 0070, 0007, 04755, 02755};

class AclTest : public testing::TestWithParam<AclCase> {};

TEST_P(AclTest, ANewFileInheritsWhatTheKernelGivesIt) {
  const test::TempDir temp;
  const std::string dir = temp.MakeDir("d");
  const std::string acl = Acl(GetParam().acl);
  ASSERT_EQ(::setxattr(dir.c_str(), kAclDefault, acl.data(), acl.size(), 0), 0)
      << "the filesystem has no ACLs";
  for (const mode_t mode : kModes) {
    SCOPED_TRACE(mode);
    const std::string path = dir + "/f" + std::to_string(mode);
    const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    ASSERT_GE(fd, 0);
    ::close(fd);
    struct stat stat;
    ASSERT_EQ(::stat(path.c_str(), &stat), 0);
    char value[1024];
    const ssize_t length = ::getxattr(path.c_str(), kAclAccess, value, sizeof value);

    const Result<InheritedAcl> inherited = InheritAcl(acl, mode);
    ASSERT_TRUE(inherited.ok());
    EXPECT_EQ(inherited->mode & 0777u, stat.st_mode & 0777u);
    ASSERT_EQ(inherited->access.has_value(), length >= 0);
    if (length >= 0) {
      EXPECT_EQ(*inherited->access, std::string(value, length));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(OnExt4, AclTest, testing::ValuesIn(kAclCases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(AclFormTest, AMalformedAclIsRefused) {
  const std::string whole = Acl(kAclCases[0].acl);
  const std::string malformed[] = {"",
                                   "x",
                                   whole.substr(0, 6),
                                   whole.substr(0, 4),
                                   Acl(kAclCases[0].acl, 1),
                                   whole + "x",
                                   Acl({{0x40, 7}})};
  for (const std::string& acl : malformed)
    EXPECT_EQ(InheritAcl(acl, 0644).error().value(), EIO) << acl.size();
  const auto same = [](uint32_t id) { return std::optional<uint32_t>(id); };
  EXPECT_EQ(MapAclIds("x", same, same).error().value(), EINVAL);
  EXPECT_EQ(MapAclIds(whole + "x", same, same).error().value(), EINVAL);
}

TEST(AclFormTest, OnlyTheIdsOfNamedEntriesAreMapped) {
  const std::string acl = Acl({{ACL_USER_OBJ, 7},
                               {ACL_USER, 6, 1},
                               {ACL_GROUP_OBJ, 5},
                               {ACL_GROUP, 5, 2},
                               {ACL_MASK, 7},
                               {ACL_OTHER, 0}});
  const auto add = [](uint32_t by) {
    return [by](uint32_t id) { return std::optional<uint32_t>(id + by); };
  };
  const Result<std::string> mapped = MapAclIds(acl, add(1000), add(2000));
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(*mapped, Acl({{ACL_USER_OBJ, 7},
                          {ACL_USER, 6, 1001},
                          {ACL_GROUP_OBJ, 5},
                          {ACL_GROUP, 5, 2002},
                          {ACL_MASK, 7},
                          {ACL_OTHER, 0}}));
  EXPECT_EQ(
      MapAclIds(acl, add(1), [](uint32_t) { return std::optional<uint32_t>(); }).error().value(),
      EINVAL);
}

}  // namespace
}  // namespace plyfs
