// union.h: an Overlay over temporary directories, called as fs/fuse would call it, but without
// FUSE. Not here: what is expected of it (the *_test.cc files). Thread safety: Open and Close
// belong to one thread; the Overlay itself takes calls from any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fs/overlay/overlay.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {

enum class Whiteouts { kDevice, kWhFile };

struct UnionOptions {
  int lowers = 1;
  RedirectDir redirect_dir = RedirectDir::kOn;
  Whiteouts whiteouts = Whiteouts::kDevice;
  bool writable = true;
};

// One entry that READDIR handed out.
struct Listed {
  std::string name;
  uint64_t ino = 0;
  uint8_t type = 0;
  uint64_t cookie = 0;
  NodeId id = NodeId::kNone;  // counted, with kPlus
};

class Union {
 public:
  explicit Union(const UnionOptions& options = {});
  ~Union();

  // Paths of the layers' directories; 0 is the upper, 1 the topmost lower.
  std::string layer(int index) const;
  std::string work() const { return dir_ / "work"; }

  // Opens what has been put into the layers so far.
  void Open();
  void Close() { overlay_.reset(); }
  Overlay& overlay() { return *overlay_; }
  bool is_open() const { return overlay_ != nullptr; }

  // The id of a path ("" is the root), counted once along the way; kNone where it ends in nothing.
  NodeId At(const std::string& path);
  // Drops every reference that At and List have taken since.
  void ForgetAll();

  // All entries after `cookie`, at most `limit`, as one READDIR.
  std::vector<Listed> List(NodeId dir, uint64_t cookie = 0, size_t limit = 1u << 20,
                           ReaddirMode mode = ReaddirMode::kNames);
  // The names of a directory without "." and "..", sorted.
  std::vector<std::string> Names(const std::string& path);
  std::string Content(const std::string& path);

 private:
  test::TempDir dir_;
  const UnionOptions options_;
  std::unique_ptr<Overlay> overlay_;
  std::vector<NodeId> counted_;
};

// Borrows `text`, which must outlive the Name.
Name Component(const std::string& text);
void WriteHostFile(const std::string& path, const std::string& content);

// What of a union is compared.
enum class Compare {
  kLive,     // with inode numbers and link counts
  kRemount,  // what another server must see as well
};
// One line for each object: path, type, mode, owner, size, time, content, attributes. Times and
// link counts of directories are left out: a failed operation may have copied one up.
std::string Snapshot(Union& u, Compare compare);

}  // namespace plyfs::test
