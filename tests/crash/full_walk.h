// full_walk.h: what a union's upper changes, found by walking the whole upper beside the lowers: the
// same lines as `plyfs changes`, from a second, independent source.
// Not here: anything of fs/; redirects and OCI whiteouts (the workloads here make none).
// Thread safety: stateless; the upper must not change meanwhile.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace plyfs::crash {

struct Layers {
  std::vector<std::string> lowers;  // topmost first
  std::string upper;
  std::string work;
};

/// "A /path", "C /path", "D /path": every change and the directories above it.
std::set<std::string> FullWalk(const Layers& layers);

/// What `plyfs changes` says of a mountpoint, but for merged directories of the upper that do not
/// differ from the lowers: an operation on their attributes was recorded and then not done.
std::set<std::string> ToolChanges(const Layers& layers, const std::string& mountpoint,
                                  const std::set<std::string>& walk);

/// What one has and the other has not, one a line; empty when they are equal.
std::string Difference(const std::set<std::string>& tool, const std::set<std::string>& walk);

}  // namespace plyfs::crash
