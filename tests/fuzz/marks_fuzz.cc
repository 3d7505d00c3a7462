// marks_fuzz.cc: a libFuzzer target: marks and override_stat attributes of any value on the objects of three small layers, which a
// union of them then shows, changes and lists the changes of. Whatever they say: what is listed can be looked up and the reverse,
// nothing outside of the layers is shown, and no lower is changed.
// Not here: the parsers alone (text_fuzz.cc); requests of the kernel (tests/fuse/request_fuzz.cc).
// Thread safety: one thread.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/layer/layer.h"
#include "fs/layer/work_dir.h"
#include "fs/overlay/overlay.h"
#include "tests/fuzz/program.h"

namespace plyfs::test {
namespace {

constexpr const char* kSecret = "SECRET";
constexpr size_t kLayers = 3;  // 0 is the upper
constexpr off_t kSparseSize = 10'000;

// The same path may be another thing in another layer.
struct Object {
  const char* path;  // "" is the layer's root
  mode_t type;
  unsigned layers;  // bits
};
constexpr unsigned kUpper = 1;
constexpr unsigned kMiddle = 2;
constexpr unsigned kLowest = 4;
constexpr unsigned kLowers = kMiddle | kLowest;
constexpr unsigned kAll = kUpper | kLowers;
constexpr Object kObjects[] = {
    {"", S_IFDIR, kAll},        {"d", S_IFDIR, kAll},       {"d/f", S_IFREG, kAll},      {"d/e", S_IFDIR, kAll},
    {"d/e/g", S_IFREG, kLowers}, {"r", S_IFDIR, kLowers},    {"r/x", S_IFREG, kLowest},   {"f", S_IFREG, kLowers},
    {"m", S_IFREG, kAll},       {"d/w", S_IFREG, kUpper | kMiddle},        {"w", S_IFREG, kUpper},     {"w", S_IFDIR, kLowest},     {"s", S_IFLNK, kLowest},
    {"p", S_IFIFO, kLowest},    {"c", S_IFCHR, kUpper},     {"c", S_IFREG, kLowers},     {".wh.r", S_IFREG, kUpper},
    {"h1", S_IFREG, kLowest},   {"h2", S_IFREG, kLowest}};

// Attributes that mean something to us, with values that do. Others of overlayfs come with values of these.
struct Mark {
  const char* name;  // a mark, or the name of an attribute
  std::array<const char*, 8> values;
};
constexpr Mark kMarks[] = {
    {"opaque", {"y", "x", "n", "y", "x", "x", "", "yy"}},
    {"redirect", {"/d", "/r", "/d/e", "e", "r", "f", "/m", "/../secret"}},
    {"metacopy", {"", "", "y", "", "0:0", "", "", "x"}},
    {"whiteout", {"y", "", "y", "n", "y", "", "y", ""}},
    {"plyfs.index", {"1-2 3", "1-2 ", "../secret 1", "1-2 99999999999", "a 1", " 1", "1-2 -1", "1-2 0"}},
    {"plyfs.literal", {"y", "", "y", "n", "y", "y", "y", "y"}},
    {"plyfs.device", {"0:0", "0:0", "", "8:1", "0:0", "0:0", "0:0", "0:0"}},
    {"plyfs.devices", {"y", "y", "y", "y", "n", "", "y", "y"}},
    {"origin", {"", "y", "U+1", "L-1", "/", "x", "n", "0"}},
    {"user.containers.override_stat",
     {"0:0:755", "1:2:0644:file", "0:0:777:dir", "0:0:755:char-0-0", "0:0:755:block-8-1", "0:0:777:symlink", "5:5:4755:pipe", "-1:0:0"}},
    {"security.fuseoverlayfs.override_stat",
     {"0:0:755", "1:2:0644:file", "0:0:777:dir", "0:0:755:char-0-0", "0:0:755:block-8-1", "0:0:777:symlink", "5:5:4755:socket", ""}},
    {"user.fuseoverlayfs.opaque", {"y", "x", "n", "", "y", "y", "y", "yes"}},
};
constexpr const char* kIgnoredNames[] = {"user.overlay.impure", "trusted.overlay.nlink", "trusted.overlay.upper", "trusted.overlay.uuid",
                                         "trusted.overlay.protattr", "trusted.overlay.verity", "trusted.overlay.overlay.opaque",
                                         "user.containers.override_other"};

void Check(bool ok, const std::string& why) {
  if (!ok) Stop(why);
}

// --- the layers

class Layers {
 public:
  Layers() {
    Check(::mkdtemp(root_) != nullptr, "no directory in /dev/shm");
    Write(Path("secret"), kSecret);
    for (size_t layer = 1; layer < kLayers; ++layer) MakeLayer(layer);
  }
  ~Layers() { RemoveTree({.dir = AT_FDCWD, .name = root_}).Ignore("the system's temporary files are swept by others"); }

  std::string Path(const std::string& name) const { return std::string(root_) + "/" + name; }
  std::string LayerPath(size_t layer) const { return Path(std::to_string(layer)); }

  // An upper and a work directory as they were, and lowers without marks.
  void Reset() {
    for (const auto& [path, name] : marked_) ::lremovexattr(path.c_str(), name.c_str());
    marked_.clear();
    for (const char* name : {"0", "work"}) {
      RemoveTree({.dir = AT_FDCWD, .name = Path(name).c_str()}).Ignore("mkdir says it");
    }
    MakeLayer(0);
    Check(::mkdir(Path("work").c_str(), 0755) == 0, "the work directory cannot be emptied");
  }

  void Mark(size_t layer, const Object& object, const std::string& name, const std::string& value) {
    const std::string path = LayerPath(layer) + "/" + object.path;
    if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0 && layer > 0) marked_.emplace_back(path, name);
  }

  // All that a change of a lower would change.
  std::string StateOfLowers() const {
    std::string state;
    for (const Object& object : kObjects) {
      for (size_t layer = 1; layer < kLayers; ++layer) {
        struct stat stat;
        if (::lstat((LayerPath(layer) + "/" + object.path).c_str(), &stat) != 0) continue;
        state += std::to_string(stat.st_mode) + " " + std::to_string(stat.st_nlink) + " " + std::to_string(stat.st_size) + " " +
                 std::to_string(stat.st_ctim.tv_sec) + "." + std::to_string(stat.st_ctim.tv_nsec) + "\n";
      }
    }
    return state;
  }

 private:
  static void Write(const std::string& path, const std::string& content) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    Check(::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()), "cannot write " + path);
  }

  void MakeLayer(size_t layer) const {
    for (const Object& object : kObjects) {
      if ((object.layers >> layer & 1) != 0) MakeObject(LayerPath(layer) + "/" + object.path, object);
    }
  }

  static void MakeObject(const std::string& path, const Object& object) {
    const std::string name = object.path;
    if (object.type == S_IFDIR) Check(::mkdir(path.c_str(), 0755) == 0, "mkdir " + path);
    else if (object.type == S_IFLNK) Check(::symlink("../secret", path.c_str()) == 0, "symlink " + path);
    else if (object.type != S_IFREG) Check(::mknod(path.c_str(), object.type | 0644, 0) == 0, "mknod " + path);
    else if (name == "h2") Check(::link((path.substr(0, path.size() - 1) + "1").c_str(), path.c_str()) == 0, "link " + path);
    else Write(path, name == "m" || name.ends_with("w") || name == ".wh.r" ? "" : "content");
    if (name == "m") Check(::truncate(path.c_str(), kSparseSize) == 0, "truncate " + path);
  }

  char root_[40] = "/dev/shm/plyfs-fuzz-XXXXXX";
  std::vector<std::pair<std::string, std::string>> marked_;
};

void PutMarks(Program& program, Layers& layers) {
  for (int more = program.Byte() % 8; more >= 0; --more) {
    const Object& object = program.Pick(kObjects);
    size_t layer = program.Byte() % kLayers;
    while ((object.layers >> layer & 1) == 0) layer = (layer + 1) % kLayers;
    const Mark& mark = program.Pick(kMarks);
    const uint8_t how = program.Byte();
    std::string name = mark.name;
    if (name.find("overlayfs") == std::string::npos && name.find("override") == std::string::npos) {
      name.insert(0, how % 4 == 3 ? "user.overlay." : "trusted.overlay.");
    }
    if (how % 16 == 15) name = program.Pick(kIgnoredNames);
    layers.Mark(layer, object, name, how < 224 ? program.Pick(mark.values) : program.Text(program.Byte()));
  }
}

// --- looking at the union

class Names : public DirSink {
 public:
  bool Fits(size_t) const override { return true; }
  void Add(std::string_view name, Ino ino, uint8_t type, uint64_t, const Entry* entry) override {
    if (name == "." || name == "..") return;
    Check(found.try_emplace(std::string(name), Listed{ino.value, type, entry == nullptr ? NodeId::kNone : entry->id}).second,
          "listed twice: " + std::string(name));
  }
  struct Listed {
    uint64_t ino;
    uint8_t type;
    NodeId counted;
  };
  std::map<std::string, Listed> found;
};

class Look {
 public:
  explicit Look(Overlay& overlay) : overlay_(overlay) {}

  void At(NodeId dir, int depth) {
    Names names;
    const Errno listed = overlay_.Readdir(dir, 0, depth % 2 == 0 ? ReaddirMode::kNames : ReaddirMode::kPlus, names);
    if (!listed.ok()) return;
    for (const auto& [name, at] : names.found) {
      Listed(dir, name, at, depth);
      if (at.counted != NodeId::kNone) overlay_.Forget(at.counted, 1);
    }
    for (const Object& object : kObjects) {
      const std::string name = std::string(object.path).substr(std::string(object.path).rfind('/') + 1);
      if (name.empty() || names.found.contains(name)) continue;
      const Result<Entry> entry = overlay_.Lookup(dir, Name::Trusted(name));
      if (!entry.ok() || entry->id == NodeId::kNone) continue;
      Stop("there, but not listed: " + name);
    }
  }

 private:
  void Listed(NodeId dir, const std::string& name, const Names::Listed& listed, int depth) {
    const Result<Entry> entry = overlay_.Lookup(dir, Name::Trusted(name));
    if (!entry.ok()) return;  // corrupt marks are an error of that name
    Check(entry->id != NodeId::kNone, "listed, but not there: " + name);
    const Attr& attr = entry->attr;
    Check(listed.ino == attr.ino.value, "d_ino is not st_ino: " + name);
    Check(listed.type == DT_UNKNOWN || listed.type == IFTODT(attr.mode), "d_type " + std::to_string(listed.type) + " is not that of st_mode " + std::to_string(attr.mode) + ": " + name);
    Content(entry->id, attr);
    Attributes(entry->id);
    if (S_ISDIR(attr.mode) && depth < 5 && ++directories_ < 24) At(entry->id, depth + 1);
    overlay_.Forget(entry->id, 1);
  }

  void Content(NodeId id, const Attr& attr) {
    if (S_ISLNK(attr.mode)) overlay_.ReadLink(id).error().Ignore("any target will do");
    if (!S_ISREG(attr.mode)) return;
    std::array<char, 2 * kSparseSize> data;
    const Result<size_t> got = overlay_.Read(id, data, 0);
    if (got.ok()) Check(std::string_view(data.data(), *got).find(kSecret) == std::string_view::npos, "a file outside is shown");
  }

  void Attributes(NodeId id) {
    const Result<std::string> list = overlay_.ListXattr(id);
    if (!list.ok()) return;
    ForEachXattrName(*list, [&](const char* name) -> Errno {
      Check(overlay_.GetXattr(id, name).ok(), std::string("an attribute is listed, but not there: ") + name);
      Check(!std::string_view(name).starts_with("user.containers.override_"), "a private attribute is shown");
      return kOk;
    }).Ignore("it stops at nothing");
  }

  Overlay& overlay_;
  int directories_ = 0;
};

// --- changing it

struct Place {
  std::string path;
  NodeId dir = NodeId::kNone;
  std::string name;
  NodeId id = NodeId::kNone;
  mode_t mode = 0;

  bool exists() const { return id != NodeId::kNone; }
  bool is_directory() const { return S_ISDIR(mode); }
};

// Asks for what the kernel would let through to a filesystem: it knows which names there are.
class Changes {
 public:
  explicit Changes(Overlay& overlay) : overlay_(overlay) {}
  ~Changes() {
    for (const NodeId id : counted_) overlay_.Forget(id, 1);
  }

  void Make(Program& program) {
    const Place at = Find(program);
    const Place to = Find(program);
    if (at.dir == NodeId::kNone || to.dir == NodeId::kNone || at.name.empty() || to.name.empty()) return;
    const Name name = Name::Trusted(at.name);
    const Name new_name = Name::Trusted(to.name);
    switch (program.Byte() % 10) {
      case 0: return If(!at.exists(), [&] { Counted(overlay_.Mknod(at.dir, name, {.mode = S_IFREG | 0644}, {})); });
      case 1: return If(!at.exists(), [&] { Counted(overlay_.Mkdir(at.dir, name, {.mode = S_IFDIR | 0755}, {})); });
      case 2: return If(at.exists() && !at.is_directory(), [&] { Done(overlay_.Unlink(at.dir, name)); });
      case 3: return If(at.exists() && at.is_directory(), [&] { Done(overlay_.Rmdir(at.dir, name)); });
      case 4: return Rename(at, to, program.Byte() % 3);
      case 5: return If(at.exists() && !at.is_directory() && !to.exists(), [&] { Counted(overlay_.Link(at.id, to.dir, new_name)); });
      case 6: return If(S_ISREG(at.mode), [&] { Done(overlay_.Write(at.id, std::string_view("new"), program.Byte(), {}).error()); });
      case 7: return If(at.exists(), [&] { Done(overlay_.SetAttr(at.id, {.mode = 0700, .uid = 1}, {}).error()); });
      case 8: return If(S_ISREG(at.mode), [&] { Done(overlay_.SetAttr(at.id, {.size = program.Byte()}, {}).error()); });
      default: return If(at.exists(), [&] { Done(overlay_.SetXattr(at.id, "trusted.overlay.opaque", std::string_view("y"), 0, false)); });
    }
  }

 private:
  static void Done(Errno error) { error.Ignore("any answer will do"); }
  void Counted(const Result<Entry>& made) {
    if (made.ok() && made->id != NodeId::kNone) counted_.push_back(made->id);
  }
  template <typename Change>
  static void If(bool sensible, const Change& change) {
    if (sensible) change();
  }

  void Rename(const Place& at, const Place& to, unsigned flags) {
    const bool exchange = flags == RENAME_EXCHANGE;
    const bool below = (to.path + "/").starts_with(at.path + "/") || (at.path + "/").starts_with(to.path + "/");
    const bool fits = exchange ? to.exists() : !to.exists() || (flags == 0 && at.is_directory() == to.is_directory());
    if (at.exists() && !below && fits) Done(overlay_.Rename(at.dir, Name::Trusted(at.name), to.dir, Name::Trusted(to.name), flags));
  }

  // The object of some name of the layers, or of a new one, found name by name.
  Place Find(Program& program) {
    const std::string path = program.Byte() % 8 == 0 ? "d/new" : program.Pick(kObjects).path;
    Place at{.id = NodeId::kRoot, .mode = S_IFDIR};
    for (size_t begin = 0; begin < path.size();) {
      const size_t slash = std::min(path.find('/', begin), path.size());
      if (!at.is_directory()) return {};
      at = {.path = path.substr(0, slash), .dir = at.id, .name = path.substr(begin, slash - begin)};
      begin = slash + 1;
      const Result<Entry> entry = overlay_.Lookup(at.dir, Name::Trusted(at.name));
      if (!entry.ok()) return {};
      Counted(entry);
      at.id = entry->id;
      at.mode = at.exists() ? entry->attr.mode : 0;
    }
    return at;
  }

  Overlay& overlay_;
  std::vector<NodeId> counted_;
};

std::unique_ptr<Overlay> Open(const Layers& layers, uint8_t how) {
  OverlayConfig config;
  config.redirect_dir = (how & 1) != 0 ? RedirectDir::kOn : RedirectDir::kOff;
  // A database costs more than all the rest.
  config.journal = how == 2;
  config.fsync = false;
  MountError error;
  const bool opened = OpenLayerStack({.lowers = {layers.LayerPath(1), layers.LayerPath(2)},
                                      .upper = layers.LayerPath(0),
                                      .work = layers.Path("work"),
                                      .override_stat = static_cast<OverrideStat>(how / 16 % 3)},
                                     &config.layers, &error);
  Check(opened, error.message);
  return std::make_unique<Overlay>(std::move(config));
}

}  // namespace
}  // namespace plyfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace plyfs::test;
  static Layers layers;
  layers.Reset();
  Program program(data, size);
  const uint8_t how = program.Byte();
  PutMarks(program, layers);
  const std::string lowers = layers.StateOfLowers();
  for (int mounts = 0; mounts < 2; ++mounts) {
    const std::unique_ptr<plyfs::Overlay> overlay = Open(layers, how);
    Look(*overlay).At(plyfs::NodeId::kRoot, 0);
    if (mounts == 0) {
      Changes changes(*overlay);
      while (!program.done()) changes.Make(program);
      Look(*overlay).At(plyfs::NodeId::kRoot, 0);
    }
    overlay->Changes().error().Ignore("corrupt marks are an error");
    overlay->CheckJournal(mounts == 1).error().Ignore("corrupt marks are an error");
  }
  Check(layers.StateOfLowers() == lowers, "a lower was changed");
  return 0;
}
