// full_walk.cc: see full_walk.h.
#include "tests/crash/full_walk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "tests/harness/child.h"
#include "tests/harness/file_ops.h"
#include "tests/harness/union_mount.h"

namespace plyfs::crash {
namespace {

using test::ListDir;

std::optional<struct stat> StatOf(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return std::nullopt;
  return st;
}

bool IsWhiteout(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == 0; }

bool IsOpaque(const std::string& path) {
  return test::GetXattr(path, "trusted.overlay.opaque") == "y";
}

class Walker {
 public:
  explicit Walker(const Layers& layers) : layers_(layers) {}

  std::set<std::string> Run() {
    Visit("", layers_.lowers);
    AddHardLinks();
    return std::move(lines_);
  }

 private:
  // `below`: the directories of the lowers that show through here, topmost first.
  void Visit(const std::string& path, const std::vector<std::string>& below) {
    for (const std::string& name : ListDir(layers_.upper + path)) {
      const std::string child = path + "/" + name;
      const std::optional<struct stat> st = StatOf(layers_.upper + child);
      if (st) VisitName(child, name, *st, below);
    }
  }

  void VisitName(const std::string& path, const std::string& name, const struct stat& st,
                 const std::vector<std::string>& below) {
    std::vector<std::string> merged;
    std::optional<struct stat> shown;  // what the lowers alone show
    for (const std::string& dir : below) {
      const std::optional<struct stat> there = StatOf(dir + "/" + name);
      if (!there) continue;
      if (!shown) shown = there;
      if (!S_ISDIR(there->st_mode)) break;
      merged.push_back(dir + "/" + name);
    }
    if (IsWhiteout(st)) {
      if (shown) Add('D', path);
      return;
    }
    if (!S_ISDIR(st.st_mode)) {
      Add(shown ? 'C' : 'A', path);
      if (st.st_nlink > 1) linked_.insert(st.st_ino);
      return;
    }
    if (IsOpaque(layers_.upper + path)) merged.clear();
    const bool same = !merged.empty() && shown && st.st_mode == shown->st_mode &&
                      st.st_uid == shown->st_uid && st.st_gid == shown->st_gid;
    if (!same) Add(shown ? 'C' : 'A', path);
    Visit(path, merged);
  }

  void Add(char kind, const std::string& path) {
    lines_.insert(std::string(1, kind) + " " + path);
    for (size_t slash = path.rfind('/'); slash != 0; slash = path.rfind('/', slash - 1)) {
      const std::string parent = path.substr(0, slash);
      if (!lines_.contains("A " + parent)) lines_.insert("C " + parent);
    }
  }

  // A changed file of the lowers has changed under all names that the union still shows.
  void AddHardLinks() {
    for (const std::string& entry : ListDir(layers_.work + "/plyfs/index")) {
      const std::optional<struct stat> copy = StatOf(layers_.work + "/plyfs/index/" + entry);
      if (entry.find('.') != std::string::npos) continue;  // a count
      // One without a name in the upper is shown by those in the lowers alone.
      if (!copy || (copy->st_nlink > 1 && !linked_.contains(copy->st_ino))) continue;
      const ino_t lower_ino = std::stoull(entry.substr(entry.find('-') + 1), nullptr, 16);
      for (const std::string& lower : layers_.lowers) AddNamesOf(lower, "", lower_ino);
    }
  }

  void AddNamesOf(const std::string& lower, const std::string& path, ino_t ino) {
    for (const std::string& name : ListDir(lower + path)) {
      const std::string child = path + "/" + name;
      const std::optional<struct stat> st = StatOf(lower + child);
      if (!st) continue;
      if (S_ISDIR(st->st_mode)) AddNamesOf(lower, child, ino);
      else if (st->st_ino == ino && ShowsThrough(child)) Add('C', child);
    }
  }

  // Nothing of the upper hides this name of a lower.
  bool ShowsThrough(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const std::string part = layers_.upper + path.substr(0, slash);
      const std::optional<struct stat> st = StatOf(part);
      if (!st) return true;
      if (slash == std::string::npos || !S_ISDIR(st->st_mode) || IsOpaque(part)) return false;
    }
  }

  const Layers& layers_;
  std::set<std::string> lines_;
  std::set<ino_t> linked_;  // upper inodes with several names
};

}  // namespace

std::set<std::string> FullWalk(const Layers& layers) { return Walker(layers).Run(); }

std::set<std::string> ToolChanges(const Layers& layers, const std::string& mountpoint,
                                  const std::set<std::string>& walk) {
  const test::ProgramResult result =
      test::RunProgram({test::PlyfsBinary(), "changes", mountpoint});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::set<std::string> lines;
  std::istringstream in(result.out);
  for (std::string line; std::getline(in, line);) {
    const std::string path = line.substr(2);
    const std::optional<struct stat> upper = StatOf(layers.upper + path);
    const std::optional<struct stat> lower = StatOf(layers.lowers.front() + path);
    const bool merged = line[0] == 'C' && upper && S_ISDIR(upper->st_mode) && lower &&
                        S_ISDIR(lower->st_mode) && !IsOpaque(layers.upper + path);
    if (!merged || walk.contains(line)) lines.insert(line);
  }
  return lines;
}

std::string Difference(const std::set<std::string>& tool, const std::set<std::string>& walk) {
  std::string text;
  for (const std::string& line : tool) text += walk.contains(line) ? "" : "not in the walk: " + line + "\n";
  for (const std::string& line : walk) text += tool.contains(line) ? "" : "not in the list: " + line + "\n";
  return text;
}

}  // namespace plyfs::crash
