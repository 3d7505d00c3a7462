// union.cc: see union.h.
#include "tests/overlay/union.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>

#include "fs/layer/layer.h"
#include "fs/layer/upper_layer.h"
#include "fs/layer/work_dir.h"

namespace plyfs::test {
namespace {

class Collector : public DirSink {
 public:
  explicit Collector(size_t limit) : limit_(limit) {}
  bool Fits(size_t) const override { return entries.size() < limit_; }
  void Add(std::string_view name, Ino ino, uint8_t type, uint64_t cookie,
           const Entry* entry) override {
    entries.push_back(
        {std::string(name), ino.value, type, cookie, entry != nullptr ? entry->id : NodeId::kNone});
  }
  std::vector<Listed> entries;

 private:
  const size_t limit_;
};

std::string ContentOf(Overlay& overlay, NodeId id, const Attr& attr) {
  if (S_ISLNK(attr.mode)) {
    const Result<std::string> target = overlay.ReadLink(id);
    return target.ok() ? *target : "errno " + std::to_string(target.error().value());
  }
  if (!S_ISREG(attr.mode)) return "";
  std::string data(attr.size + 1, '\0');
  const Result<size_t> got = overlay.Read(id, data, 0);
  if (!got.ok()) return "errno " + std::to_string(got.error().value());
  data.resize(*got);
  if (data.size() <= 64) return data;
  return std::to_string(data.size()) + " bytes, hash " +
         std::to_string(std::hash<std::string>()(data));
}

std::string XattrsOf(Overlay& overlay, NodeId id) {
  const Result<std::string> list = overlay.ListXattr(id);
  if (!list.ok()) return "errno " + std::to_string(list.error().value());
  std::vector<std::string> lines;
  for (size_t at = 0; at < list->size(); at += lines.back().size() + 1) {
    lines.emplace_back(list->c_str() + at);
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& name : lines) {
    const Result<std::string> value = overlay.GetXattr(id, name);
    text +=
        " " + name + "=" + (value.ok() ? *value : "errno " + std::to_string(value.error().value()));
  }
  return text;
}

void AddTree(Union& u, NodeId dir, const std::string& path, Compare compare,
             std::vector<std::string>* lines) {
  for (const Listed& listed : u.List(dir)) {
    if (listed.name == "." || listed.name == "..") continue;
    const std::string full = path.empty() ? listed.name : path + "/" + listed.name;
    const Result<Entry> entry = u.overlay().Lookup(dir, Component(listed.name));
    if (!entry.ok() || entry->id == NodeId::kNone) {
      lines->push_back(full + " is listed, but looking it up says errno " +
                       std::to_string(entry.error().value()));
      continue;
    }
    const Attr& a = entry->attr;
    if (listed.ino != a.ino.value) lines->push_back(full + ": d_ino differs from st_ino");
    if (listed.type != IFTODT(a.mode)) lines->push_back(full + ": d_type differs from st_mode");
    char text[256];
    std::snprintf(text, sizeof text, " %06o %u:%u rdev %lx", a.mode, a.uid, a.gid, a.rdev);
    std::string line = full + text;
    const bool is_directory = S_ISDIR(a.mode);
    if (!is_directory)
      line += " size " + std::to_string(a.size) + " mtime " + std::to_string(a.mtime.tv_sec);
    if (compare == Compare::kLive) line += " ino " + std::to_string(a.ino.value);
    if (compare == Compare::kLive && !is_directory) line += " nlink " + std::to_string(a.nlink);
    line += " [" + ContentOf(u.overlay(), entry->id, a) + "]" + XattrsOf(u.overlay(), entry->id);
    lines->push_back(std::move(line));
    if (is_directory) AddTree(u, entry->id, full, compare, lines);
    u.overlay().Forget(entry->id, 1);
  }
}

}  // namespace

Name Component(const std::string& text) { return Name::Trusted(text); }

void WriteHostFile(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out << content;
  out.close();
  ASSERT_TRUE(out.good()) << path;
}

Union::Union(const UnionOptions& options) : options_(options) {
  ::umask(0);  // as the server does: the umask of a caller comes with the request
  for (int i = 0; i <= options_.lowers; ++i) dir_.MakeDir("layer" + std::to_string(i));
  dir_.MakeDir("work");
}

Union::~Union() {
  Close();
  ::umask(022);
}

std::string Union::layer(int index) const { return dir_ / ("layer" + std::to_string(index)); }

void Union::Open() {
  ForgetAll();
  Close();
  OverlayConfig config;
  config.redirect_dir = options_.redirect_dir;
  config.fsync = false;
  LayerStackOptions options;
  for (int i = 1; i <= options_.lowers; ++i) options.lowers.push_back(layer(i));
  if (options_.writable) {
    options.upper = layer(0);
    options.work = work();
  }
  options.force_wh_whiteouts = options_.whiteouts == Whiteouts::kWhFile;
  MountError error;
  ASSERT_TRUE(OpenLayerStack(options, &config.layers, &error)) << error.message;
  overlay_ = std::make_unique<Overlay>(std::move(config));
}

NodeId Union::At(const std::string& path) {
  NodeId id = NodeId::kRoot;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, slash - at);
    const Result<Entry> entry = overlay_->Lookup(id, Component(name));
    EXPECT_EQ(entry.error().value(), 0) << path;
    if (!entry.ok() || entry->id == NodeId::kNone) return NodeId::kNone;
    counted_.push_back(entry->id);
    id = entry->id;
    at = slash + 1;
  }
  return id;
}

void Union::ForgetAll() {
  if (overlay_) {
    for (const NodeId id : counted_) overlay_->Forget(id, 1);
  }
  counted_.clear();
}

std::vector<Listed> Union::List(NodeId dir, uint64_t cookie, size_t limit, ReaddirMode mode) {
  Collector sink(limit);
  EXPECT_EQ(overlay_->Readdir(dir, cookie, mode, sink).value(), 0);
  for (const Listed& listed : sink.entries) {
    if (listed.id != NodeId::kNone) counted_.push_back(listed.id);
  }
  return std::move(sink.entries);
}

std::vector<std::string> Union::Names(const std::string& path) {
  std::vector<std::string> names;
  for (Listed& listed : List(At(path))) {
    if (listed.name != "." && listed.name != "..") names.push_back(std::move(listed.name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Union::Content(const std::string& path) {
  const NodeId id = At(path);
  if (id == NodeId::kNone) return "(absent)";
  const Result<Attr> attr = overlay_->GetAttr(id);
  return attr.ok() ? ContentOf(*overlay_, id, *attr)
                   : "errno " + std::to_string(attr.error().value());
}

std::string Snapshot(Union& u, Compare compare) {
  std::vector<std::string> lines;
  AddTree(u, NodeId::kRoot, "", compare, &lines);
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace plyfs::test
