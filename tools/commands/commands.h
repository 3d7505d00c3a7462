// commands.h: the subcommands of plyfs, one function each; what they print and return is described in their man pages.
// Not here: the command line (command_line.cc).
// Thread safety: for main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace plyfs {

enum ToolStatus : int {
  kToolOk = 0,
  kToolFailed = 1,
  kToolUsage = 2,
};

// As fsck(8) has them; those of plyfs fsck.
enum FsckStatus : int {
  kFsckClean = 0,
  kFsckRepaired = 1,
  kFsckDamaged = 4,
  kFsckFailed = 8,
  kFsckUsage = 16,
};

// The union to work on: one that is mounted, or the layers of one that is not.
struct TargetOptions {
  std::string mountpoint;
  std::string upper;
  std::string work;
  std::vector<std::string> lowers;

  // What is wrong with the combination; empty if nothing.
  std::string Check() const;
};

struct ChangesOptions {
  TargetOptions target;
  std::string since;
  bool json = false;
};
int RunChanges(const ChangesOptions& options);

struct DiffOptions {
  TargetOptions target;
  std::string since;
  std::string output;  // empty or "-": standard output
  std::string compression = "none";
};
int RunDiff(const DiffOptions& options);

struct ApplyCommandOptions {
  std::string layer;  // "-": standard input
  std::string directory;
};
int RunApply(const ApplyCommandOptions& options);

struct CheckpointOptions {
  TargetOptions target;
  std::string name;
  bool json = false;
};
int RunCheckpointCreate(const CheckpointOptions& options);
int RunCheckpointDelete(const CheckpointOptions& options);
int RunCheckpointList(const CheckpointOptions& options);

struct WatchOptions {
  std::string mountpoint;
  std::optional<uint64_t> since;
  bool json = false;
};
int RunWatch(const WatchOptions& options);

struct FsckOptions {
  TargetOptions target;
  bool repair = false;
  bool json = false;
};
int RunFsck(const FsckOptions& options);

struct StatsOptions {
  std::string mountpoint;
  bool json = false;
  bool prometheus = false;
};
int RunStats(const StatsOptions& options);

}  // namespace plyfs
