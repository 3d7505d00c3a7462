// child.h: running a function or a program in a child process, with other credentials, bounded in
// time.
// Not here: mount programs that stay (union_mount.h).
// Thread safety: callable from any thread; a child function runs in a forked copy of the caller and
// must not use gtest assertions (their result would be lost): it returns an errno.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace plyfs::test {

/// 0 when a system call's result says success, errno otherwise. Call it around the call itself.
int ErrnoOf(long result);

struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};  // supplementary
};

/// Runs `body` in a forked child and returns what it returned (an errno, 0..254). A child that is
/// killed or does not end within `timeout_seconds` is a test failure, and -1.
int RunInChild(const std::function<int()>& body, int timeout_seconds = 60);

/// RunInChild with the child's credentials set first (no capabilities unless uid is 0), umask 0.
int RunAs(const Credentials& who, const std::function<int()>& body, int timeout_seconds = 60);

struct ProgramResult {
  int exit_code = -1;  // 128 + signal when killed; 124 after the timeout
  std::string out;
  std::string err;
};

struct ProgramOptions {
  int timeout_seconds = 60;
  std::vector<std::string> environment = {};    // "NAME=value", added to ours
  std::function<void()> before_exec = nullptr;  // in the child: limits, credentials, cwd
};

/// Runs argv[0] (found on PATH) with stdin from /dev/null and collects its output. A grandchild
/// that keeps the output open past the program's end is waited for up to the timeout too: a mount
/// program that does not close its stderr is seen as the timeout (124).
ProgramResult RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options = {});

}  // namespace plyfs::test
