// round_trip_test.cc: a layer over its lower is the union again, byte for byte with all attributes: unpacked by us, by umoci, by
// podman and by GNU tar.
// Not here: what single entries look like (layer_writer_test.cc, tar_test.cc).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <random>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/tree_snapshot.h"
#include "tests/harness/union_mount.h"
#include "tests/oci/layer_fixture.h"

namespace plyfs::test {
namespace {

const std::string kCapability("\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);  // cap_net_raw=ep
// user::rw- user:1:r-- group::r-- mask::r-- other::---
const std::string kAcl(
    "\2\0\0\0\1\0\6\0\377\377\377\377\2\0\4\0\1\0\0\0\4\0\4\0\377\377\377\377\20\0\4\0\377\377\377\377\40\0\0\0\377\377\377\377", 44);

// Everything that a filesystem can hold, under `root`.
void BuildTree(const std::string& root, unsigned seed) {
  std::mt19937 random(seed);
  const std::string odd[] = {"plain", "gr\xc3\xbc\xc3\x9f", "e\xcc\x81", "bad\xff\xfe", "new\nline", std::string(255, 'l'), " -x", "a=b"};
  for (const char* top : {"", "/dir", "/dir/sub", "/other"}) {
    const std::string dir = root + top;
    MakeDirs(dir);
    for (const std::string& name : odd) {
      const std::string path = dir + "/" + name;
      WriteFile(path, std::string(random() % 9000, static_cast<char>('a' + random() % 26)), 0600 | (random() & 0177));
      SetOwner(path, random() % 3'000'000, random() % 3'000'000);
      SetMode(path, random() & 07777);
      SetTimes(path, random() % 1'600'000'000, random() % 1'000'000'000);
    }
    MakeSymlink(odd[random() % 8], dir + "/symlink");
    MakeSymlink("/absolute/" + std::string(150, 's'), dir + "/long symlink");
    MakeHardLink(dir + "/plain", dir + "/link");
    MakeHardLink(dir + "/symlink", dir + "/zlink");
    ASSERT_EQ(::mkfifo((dir + "/fifo").c_str(), 0640), 0);
    ASSERT_EQ(::mknod((dir + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    ASSERT_EQ(SetXattr(dir + "/a=b", "user.a", std::string("\0binary\n\xff", 9)), 0);
    ASSERT_EQ(SetXattr(dir + "/a=b", "security.capability", kCapability), 0);
    ASSERT_EQ(SetXattr(dir + "/ -x", "system.posix_acl_access", kAcl), 0);
    ASSERT_EQ(SetXattr(dir, "trusted.mine", "t"), 0);
  }
  MakeDirs(root + "/empty");
  SetMode(root + "/other", 03711);
  for (const char* dir : {"/dir/sub", "/dir", "/other", "/empty"}) SetTimes(root + dir, random() % 1'600'000'000, 123);
}

// What a program that unpacks layers is known to lose is left out for it.
enum class Loses {
  kNothing,
  kMarks,        // umoci: attributes that look like an overlay's
  kDefaultAcls,  // podman: those too, and entries inherit the ACL of a directory that is there before them
};

// Changes of every kind, through the union. Files with several names are left alone or removed.
void ChangeTree(const std::string& root, Loses loses) {
  WriteFile(root + "/dir/plain2", "new");
  MakeHardLink(root + "/dir/plain2", root + "/other/linked");
  AppendFile(root + "/dir/bad\xff\xfe", "more");
  SetMode(root + "/dir/gr\xc3\xbc\xc3\x9f", 0640);
  ASSERT_EQ(::unlink((root + "/dir/e\xcc\x81").c_str()), 0);
  ASSERT_EQ(::unlink((root + "/new\nline").c_str()), 0);
  ASSERT_EQ(::unlink((root + "/dir/" + std::string(255, 'l')).c_str()), 0);
  // A directory removed and made again; a file in the place of one; the reverse.
  ASSERT_EQ(RemoveTree(root + "/dir/sub"), 0);
  BuildTree(root + "/dir/sub/again", 7);
  ASSERT_EQ(::rmdir((root + "/empty").c_str()), 0);
  WriteFile(root + "/empty", "a file now");
  ASSERT_EQ(::unlink((root + "/ -x").c_str()), 0);
  MakeDirs(root + "/ -x/deep");
  WriteFile(root + "/ -x/deep/f", "");
  ASSERT_EQ(::rename((root + "/other/a=b").c_str(), (root + "/moved").c_str()), 0);
  ASSERT_EQ(::unlink((root + "/other/null").c_str()), 0);
  SetOwner(root + "/other", 12, 34);
  SetTimes(root + "/other", 1'234'567'890, 987'654'321);
  BuildTree(root + "/added", 8);
  if (loses == Loses::kNothing) {
    ASSERT_EQ(SetXattr(root + "/added", "trusted.overlay.opaque", "an overlayfs on top of us"), 0);
  }
  if (loses != Loses::kDefaultAcls) {
    ASSERT_EQ(SetXattr(root + "/added/dir", "system.posix_acl_default", kAcl), 0);
  }
  SetTimes(root, 1'500'000'000, 5);
}

bool HasProgram(const char* name) { return RunProgram({"which", name}).exit_code == 0; }

class RoundTrip : public testing::Test {
 protected:
  RoundTrip() {
    for (const char* name : {"lower", "upper", "work", "union"}) dir_.MakeDir(name);
    BuildTree(dir_ / "lower", 1);
    SetTimes(dir_ / "lower", 1'400'000'000, 7);
  }

  UnionOptions Options(const std::string& upper) const {
    return {.target = Target::kPlyfs, .lowers = {dir_ / "lower"}, .upper = upper, .work = dir_ / "work", .mountpoint = dir_ / "union"};
  }
  // Changes the union and writes the layer.
  void Change(Loses loses = Loses::kNothing) {
    UnionMount mount(Options(dir_ / "upper"));
    ASSERT_TRUE(mount.ok());
    ChangeTree(mount.path(), loses);
    expected_ = SnapshotOf(mount.path());
    mount.Unmount();
    layer_ = WriteUpper(dir_ / "upper", dir_ / "lower").bytes;
    WriteFile(dir_ / "layer.tar", layer_);
    WriteFile(dir_ / "base.tar", WriteUpper(dir_ / "lower", "").bytes);
  }
  // An OCI image of the two layers.
  void MakeImage() {
    const std::string image = dir_ / "image";
    for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
             {"umoci", "init", "--layout", image},
             {"umoci", "new", "--image", image + ":t"},
             {"umoci", "raw", "add-layer", "--image", image + ":t", dir_ / "base.tar"},
             {"umoci", "raw", "add-layer", "--image", image + ":t", dir_ / "layer.tar"}}) {
      const ProgramResult result = RunProgram(command);
      ASSERT_EQ(result.exit_code, 0) << command[1] << ": " << result.err;
    }
  }

  TempDir dir_;
  std::string expected_;
  std::string layer_;
};

TEST_F(RoundTrip, ThroughOurApply) {
  Change();
  const std::string upper = dir_.MakeDir("upper2");
  const Applied applied = Apply(layer_, upper);
  ASSERT_TRUE(applied.ok) << applied.error;
  EXPECT_EQ(applied.warnings, std::vector<std::string>{});
  const UnionMount mount(Options(upper));
  EXPECT_EQ(SnapshotOf(mount.path()), expected_);
}

TEST_F(RoundTrip, TheLayerOfAnAppliedLayerIsTheSame) {
  Change();
  const std::string upper = dir_.MakeDir("upper2");
  ASSERT_TRUE(Apply(layer_, upper).ok);
  EXPECT_TRUE(WriteUpper(upper, dir_ / "lower").bytes == layer_);
}

// A bottom layer is a directory of its own.
TEST_F(RoundTrip, ThroughOurApplyAndTheKernelsOverlayfs) {
  Change();
  const std::string base = dir_.MakeDir("base");
  const std::string upper = dir_.MakeDir("upper2");
  ASSERT_TRUE(Apply(ReadFile(dir_ / "base.tar"), base).ok);
  ASSERT_TRUE(Apply(layer_, upper).ok);
  UnionOptions options = Options("");
  options.target = Target::kKernelOverlay;
  options.lowers = {upper, base};
  options.work = "";
  const UnionMount mount(options);
  if (!mount.ok()) GTEST_SKIP() << "no overlayfs in this kernel";
  EXPECT_EQ(SnapshotOf(mount.path()), expected_);
}

TEST_F(RoundTrip, ThroughUmoci) {
  if (!HasProgram("umoci")) GTEST_SKIP() << "umoci is missing (tools/setup --test)";
  Change(Loses::kMarks);
  MakeImage();
  const ProgramResult result = RunProgram({"umoci", "raw", "unpack", "--image", (dir_ / "image") + ":t", dir_ / "rootfs"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(SnapshotOf(dir_ / "rootfs"), expected_);
}

TEST_F(RoundTrip, ThroughPodman) {
  if (!HasProgram("umoci") || !HasProgram("podman")) GTEST_SKIP() << "umoci or podman is missing (tools/setup --test)";
  Change(Loses::kDefaultAcls);
  MakeImage();
  const std::vector<std::string> podman = {"podman", "--root", dir_ / "root", "--runroot", dir_ / "runroot", "--storage-driver", "overlay"};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), podman.begin(), podman.end());
    return RunProgram(arguments);
  };
  ASSERT_EQ(RunProgram({"tar", "-C", dir_ / "image", "-cf", dir_ / "image.tar", "."}).exit_code, 0);
  const ProgramResult loaded = run({"load", "-q", "-i", dir_ / "image.tar"});
  ASSERT_EQ(loaded.exit_code, 0) << loaded.err;
  const ProgramResult images = run({"images", "-q", "--no-trunc"});
  const std::string id = images.out.substr(0, images.out.find('\n'));
  const ProgramResult mounted = run({"image", "mount", id});
  ASSERT_EQ(mounted.exit_code, 0) << mounted.err;
  // But for the root, whose time is that of podman's copy.
  const auto below_root = [](const std::string& snapshot) { return snapshot.substr(snapshot.find('\n')); };
  EXPECT_EQ(below_root(SnapshotOf(mounted.out.substr(0, mounted.out.find('\n')))), below_root(expected_));
  run({"image", "umount", id});
}

// It knows no whiteouts: a layer that only adds.
TEST_F(RoundTrip, ThroughGnuTar) {
  const std::string layer = dir_ / "base.tar";
  WriteFile(layer, WriteUpper(dir_ / "lower", "").bytes);
  const std::string out = dir_.MakeDir("out");
  const ProgramResult result = RunProgram(
      {"tar", "-C", out, "--numeric-owner", "-p", "--same-owner", "--xattrs", "--xattrs-include=*", "-xf", layer});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "") << "nothing in it that it does not know";
  EXPECT_EQ(SnapshotOf(out), SnapshotOf(dir_ / "lower"));
}

}  // namespace
}  // namespace plyfs::test
