// program_fixture.h: layers for one union and the program plyfs run on them, in the background or
// not. Not here: command lines that only a parser sees (mount_options_test.cc). Thread safety: none
// needed, one owner.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/harness/child.h"
#include "tests/harness/temp_dir.h"

namespace plyfs::test {

/// Polls `condition` until it holds; false after 20 seconds, which only a defect takes.
bool Eventually(const std::function<bool()>& condition);

/// The filesystem that is seen at `path` is a FUSE one (statfs says 0x65735546).
bool IsFuse(const std::string& path);

/// plyfs -f, or anything else that stays, with its stderr collected.
class Foreground {
 public:
  /// `before_exec` runs in the child.
  explicit Foreground(const std::vector<std::string>& argv,
                      const std::function<void()>& before_exec = nullptr);
  ~Foreground();
  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  /// Waits for the end: the exit status, 128 + signal if killed, 124 if it does not end.
  int Wait();
  /// What it has printed, after Wait.
  std::string Stderr() const;

 private:
  pid_t pid_ = -1;
  int status_ = -1;
  TempDir output_;
};

/// Directories lower (with the file `from-lower`), upper, work and mnt in a directory of their own.
/// What a test mounts at mnt is unmounted after it, and no process that has the directory's path in
/// its arguments may be left.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest();
  void TearDown() override;

  /// "lowerdir=…,upperdir=…,workdir=…" and `extra`.
  std::string Options(const std::string& extra = "") const;
  /// Runs plyfs with these arguments.
  ProgramResult Run(const std::vector<std::string>& arguments,
                    const ProgramOptions& how = {}) const;
  /// Mounts lower, upper and work at mnt.
  ProgramResult Mount(const std::string& extra = "", const ProgramOptions& how = {}) const;
  /// Processes that have the directory's path in their arguments.
  std::vector<pid_t> Servers() const;
  /// The only one of them; a failure if there are others.
  pid_t Server() const;
  bool Mounted() const { return IsFuse(mnt_); }

  const TempDir temp_;
  const std::string lower_, upper_, work_, mnt_;
};

}  // namespace plyfs::test
