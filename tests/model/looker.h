// looker.h: find(1) with stat of everything, in a tree that others change.
// Not here: comparing (check_tree.cc).
// Thread safety: one thread at a time.
#pragma once

#include <string>

namespace plyfs::model {

class Looker {
 public:
  explicit Looker(std::string mount) : mount_(std::move(mount)) {}

  /// Walks the tree once. Names may vanish meanwhile; any errno but ENOENT and ENOTDIR is a
  /// problem.
  void LookOnce();

  /// Empty, or the first problem that was met.
  const std::string& problem() const { return problem_; }

 private:
  void LookInto(int fd, int depth);
  void Note(const std::string& call, int error);

  const std::string mount_;
  std::string problem_;
};

}  // namespace plyfs::model
