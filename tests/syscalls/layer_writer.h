// layer_writer.h: building one layer of a union, or the same visible tree without a union.
// Not here: the tree that most cases use (fixture.h).
// Thread safety: one owner.
#pragma once

#include <sys/types.h>

#include <string>

namespace plyfs::test {

/// What every object of the built trees has as its mtime and atime: old, and with nanoseconds, so
/// that a copy-up which loses or rounds it is seen.
inline constexpr time_t kOldSeconds = 1000000000;
inline constexpr long kOldNanoseconds = 123456789;

class LayerWriter {
 public:
  enum class Kind {
    kLayer,  // writes whiteouts and opaque marks
    kPlain,  // lower layers were already written to the same root: a mark removes what it hides
  };
  LayerWriter(std::string root, Kind kind) : root_(std::move(root)), kind_(kind) {}

  /// Parents are created as needed (0755, root). An object of another type at the path is
  /// replaced: in a layer there is none, in a plain tree it is what this layer hides.
  void File(const std::string& path, const std::string& content, mode_t mode = 0644);
  void Dir(const std::string& path, mode_t mode = 0755);
  void Symlink(const std::string& path, const std::string& target);
  void Link(const std::string& path, const std::string& existing);
  void Node(const std::string& path, mode_t type_and_mode, dev_t device = 0);
  void Own(const std::string& path, uid_t uid, gid_t gid, mode_t mode);
  void Xattr(const std::string& path, const std::string& name, const std::string& value);

  void Whiteout(const std::string& path);
  /// Creates the directory; nothing of the layers below is visible in it.
  void OpaqueDir(const std::string& path);

  const std::string& root() const { return root_; }

 private:
  void MakeParents(const std::string& path);
  std::string Prepare(const std::string& path);

  std::string root_;
  Kind kind_;
};

/// Sets the old times on everything at and below `root`.
void AgeTree(const std::string& root);

}  // namespace plyfs::test
