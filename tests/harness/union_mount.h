// union_mount.h: a union mounted by the kernel, by plyfs or by fuse-overlayfs, for as long as its
// object lives.
// Not here: what is in the layers (the test builds them), temp directories (temp_dir.h).
// Thread safety: one owner.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/harness/child.h"

namespace plyfs::test {

enum class Target {
  kExt4,           // no union: the test builds the visible tree in `upper`, and that is used
  kKernelOverlay,  // mount -t overlay
  kPlyfs,
  kFuseOverlayfs,
};

const char* NameOf(Target target);

struct UnionOptions {
  Target target = Target::kPlyfs;
  std::vector<std::string> lowers = {};  // topmost first, as in lowerdir=
  std::string upper = {};                // empty: read-only union
  std::string work = {};
  std::string mountpoint = {};                // created when missing; unused for kExt4
  std::string extra = {};                     // more -o options, comma separated: "redirect_dir=on"
  std::vector<std::string> environment = {};  // "NAME=value" for the mount program
  std::function<void()> before_exec = nullptr;  // in the mount program's process: limits, uid
};

/// The value of $PLYFS, or the program that the same build made.
std::string PlyfsBinary();

/// The -o argument for these options. `:`, `,` and `\` in layer paths are escaped.
std::string MountOptionString(const UnionOptions& options);

/// Runs the mount program once and returns what it said. For mounts that must fail; a mount that
/// succeeded is the caller's to unmount.
ProgramResult TryMount(const UnionOptions& options);

/// Unmounts what is mounted at `mountpoint`. When that takes more than `timeout_seconds`, aborts
/// the FUSE connection, detaches the mount and reports a gtest failure.
void Unmount(const std::string& mountpoint, int timeout_seconds = 30);

class UnionMount {
 public:
  /// Mounts. Failure is a gtest failure with what the program printed; ok() tells.
  explicit UnionMount(UnionOptions options);
  /// Unmounts and waits until no process of the mount is left.
  ~UnionMount();
  UnionMount(const UnionMount&) = delete;
  UnionMount& operator=(const UnionMount&) = delete;

  bool ok() const { return mounted_; }
  const UnionOptions& options() const { return options_; }

  /// Where the union is seen: the mountpoint, or `upper` for kExt4.
  const std::string& path() const;
  std::string operator/(const std::string& name) const { return path() + "/" + name; }

  void Unmount();
  void Mount();
  /// Unmount, then Mount: the new server knows only what is on disk.
  void Remount();
  /// Remount with other -o options.
  void RemountWith(const std::string& extra);
  /// Drops the kernel's dentries and inodes of this mount as far as they are unused.
  void DropCaches() const;

  /// The process that serves the mount; 0 for kExt4 and kKernelOverlay.
  pid_t ServerPid() const;
  /// All processes that the mount program left (a supervisor and its server).
  std::vector<pid_t> ServerPids() const;

 private:
  UnionOptions options_;
  std::string marker_;  // in the environment of the mount program and so of its daemons
  bool mounted_ = false;
  dev_t device_ = 0;
};

}  // namespace plyfs::test
