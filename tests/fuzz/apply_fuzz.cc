// apply_fuzz.cc: a libFuzzer target: any layer, unpacked by ApplyLayer; what is beside the directory must stay as it is.
// Not here: the hostile layers that every test run tries (tests/oci/hostile_test.cc).
// Thread safety: one thread.
//
// An input is a program that makes a tar, because hardly any random bytes are one. Its first byte says how: 0 changes bytes of a
// good tar (checksums are put right again), 1 lists entries, 2 takes the rest as it is.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "fs/base/unique_fd.h"
#include "fs/layer/layer.h"
#include "fs/layer/work_dir.h"
#include "fs/oci/apply.h"
#include "tests/fuzz/program.h"
#include "tests/oci/raw_tar.h"

namespace plyfs::test {
namespace {

// root/target, and beside it what must not be reached.
class Place {
 public:
  Place() {
    if (::mkdtemp(path_) == nullptr) Stop("no directory in /dev/shm");
    root_ = UniqueFd(::open(path_, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (::mkdirat(root_.get(), "secrets", 0755) != 0) Stop("mkdir");
    const UniqueFd key(::openat(root_.get(), "secrets/key", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (::write(key.get(), "secret", 6) != 6) Stop("write");
    before_ = State();
  }
  ~Place() { RemoveTree({.dir = AT_FDCWD, .name = path_}).Ignore("the system's temporary files are swept by others"); }

  UniqueFd NewTarget() {
    RemoveTree({.dir = root_.get(), .name = "target"}).Ignore("mkdir says it");
    if (::mkdirat(root_.get(), "target", 0755) != 0) Stop("the target cannot be emptied");
    return UniqueFd(::openat(root_.get(), "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void Check() const {
    if (State() != before_) Stop("something outside of the directory has changed");
  }

 private:
  // Names beside the target, and all attributes of what is there.
  std::string State() const {
    std::string state;
    for (const char* name : {".", "secrets", "secrets/key"}) {
      struct stat stat;
      if (::fstatat(root_.get(), name, &stat, AT_SYMLINK_NOFOLLOW) != 0) Stop("something outside of the directory is gone");
      const bool is_root = name[0] == '.';  // its time changes with the target
      char text[200];
      std::snprintf(text, sizeof text, "%o %u:%u %ld %ld %lld.%09ld;", stat.st_mode, stat.st_uid, stat.st_gid,
                    is_root ? 0 : static_cast<long>(stat.st_nlink), is_root ? 0 : static_cast<long>(stat.st_size),
                    is_root ? 0LL : static_cast<long long>(stat.st_ctim.tv_sec), is_root ? 0L : stat.st_ctim.tv_nsec);
      state += text;
    }
    for (const char* directory : {".", "secrets"}) {
      const Result<UniqueFd> fd = OpenDirectory({.dir = root_.get(), .name = directory});
      if (!fd.ok()) Stop("something outside of the directory is gone");
      const Errno listed = ListDirectory(fd->get(), [&](const RawDirEntry& entry) -> Errno {
        if (std::string_view(entry.name) != "target") state += std::string(entry.name) + ";";
        return kOk;
      });
      if (!listed.ok()) Stop("something outside of the directory is gone");
    }
    return state;
  }

  char path_[40] = "/dev/shm/plyfs-fuzz-XXXXXX";
  UniqueFd root_;
  std::string before_;
};

// Few names, so that entries meet.
std::string Component(Program& program) {
  static const char* const kNames[] = {"a", "b", "s", ".", "..", "", ".wh.", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh..", ".wh..wh.x"};
  const uint8_t pick = program.Byte();
  return pick < 200 ? kNames[pick % std::size(kNames)] : program.Text(pick - 200);
}

std::string Path(Program& program) {
  std::string path = Component(program);
  for (int more = program.Byte() % 4; more > 0; --more) path += "/" + Component(program);
  // Never from the root of the machine that runs this, should there be a mistake.
  while (path.starts_with('/')) path.erase(0, 1);
  return path;
}

std::string EntryTar(Program& program) {
  static const char* const kKeys[] = {"path", "linkpath", "uid", "size", "mtime", "SCHILY.xattr.user.a", "SCHILY.xattr.trusted.overlay.opaque",
                                      "SCHILY.xattr.user.overlay.redirect", "SCHILY.xattr.user.containers.override_stat",
                                      "SCHILY.xattr.system.posix_acl_default", "GNU.sparse.map", "GNU.sparse.realsize", "hdrcharset"};
  static const char kTypes[] = "0123456705gxLKS";
  RawTar tar;
  while (!program.done()) {
    RawTarOptions options;
    options.type = kTypes[program.Byte() % (sizeof kTypes - 1)];
    const std::string name = Path(program);
    if (options.type == '1' || options.type == '2') options.link = Path(program);
    const uint8_t extra = program.Byte();
    if (extra & 1) options.content = program.Text(program.Byte());
    if (extra & 2) options.pax.emplace_back(kKeys[program.Byte() % std::size(kKeys)], Path(program));
    if (extra & 4) options.mode = program.Byte() * 16;
    tar.Add(name, options);
  }
  return tar.End();
}

std::string DamagedTar(Program& program) {
  RawTar tar;
  tar.Dir("d").File("d/f", "content").Symlink("s", "../secrets").HardLink("h", "d/f").File("d/.wh.x").File("d/.wh..wh..opq");
  tar.Xattr("y", "user.a", "b").Xattr("d/", "trusted.t", "v", '5').Add("p", {.type = '6'}).Add("c", {.type = '3', .device_major = 1});
  std::string bytes = tar.End();
  while (!program.done()) {
    const size_t at = (program.Byte() << 8 | program.Byte()) % bytes.size();
    bytes[at] = static_cast<char>(program.Byte());
  }
  // Each block that may be a header gets its checksum.
  for (size_t block = 0; block + 512 <= bytes.size(); block += 512) {
    if (bytes.compare(block + 257, 5, "ustar") != 0) continue;
    std::fill_n(bytes.begin() + block + 148, 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(bytes[block + i]);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    bytes.replace(block + 148, 7, text, 7);
  }
  return bytes;
}

std::string TarOf(Program& program) {
  switch (program.Byte() % 3) {
    case 0:
      return DamagedTar(program);
    case 1:
      return EntryTar(program);
    default:
      return program.Rest();
  }
}

}  // namespace
}  // namespace plyfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace plyfs;
  static test::Place place;
  test::Program program(data, size);
  const std::string tar = test::TarOf(program);
  const UniqueFd layer(::memfd_create("layer", MFD_CLOEXEC));
  if (::write(layer.get(), tar.data(), tar.size()) != static_cast<ssize_t>(tar.size())) return 0;
  ::lseek(layer.get(), 0, SEEK_SET);
  const UniqueFd target = place.NewTarget();
  ApplySummary summary;
  LayerError error;
  const bool ok = ApplyLayer(layer.get(), target.get(), {}, &summary, &error);
  if (ok != error.message.empty()) test::Stop("an error without a message, or the reverse");
  place.Check();
  return 0;
}
