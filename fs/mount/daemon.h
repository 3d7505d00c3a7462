// daemon.h: going into the background, and telling whoever waits that the mount is live.
// Not here: signals (signal_thread.h), what the daemon does (mount_main.h).
// Thread safety: for one thread; Fork must be called before there is a second one.
#pragma once

#include <optional>

#include "fs/base/unique_fd.h"

namespace plyfs {

// Descriptors that this process has inherited and that a daemon must not keep: somebody may read
// the other end of a pipe to its end, or wait for a lock. Only numbers below 256 are looked at.
class InheritedFds {
 public:
  // To be made before the process opens anything of its own. Also opens /dev/null in place of a
  // closed standard stream, or a layer's descriptor would get that number and be taken for stderr.
  InheritedFds();
  // Closes them. The standard streams stay.
  void Close() const;

 private:
  static constexpr int kEnd = 256;
  bool open_[kEnd] = {};
};

// The server's side of the promise "exit status 0 means that the mount is live".
class Readiness {
 public:
  // In the foreground nobody waits: Announce does nothing.
  Readiness() = default;

  // Forks. In the parent: waits until the child is ready or gone, and returns the exit status for
  // this process (which should then end by _exit(2), having opened nothing). In the child, which is
  // the leader of a session of its own: returns nullopt.
  std::optional<int> Fork();

  // The mount is live. In a daemon: the log goes to syslog, the standard streams become /dev/null,
  // the current directory becomes /, inherited descriptors are closed, and the parent exits with 0.
  // False if the parent is gone, so that nobody knows of the mount.
  bool Announce(const InheritedFds& inherited);

 private:
  UniqueFd pipe_;
};

}  // namespace plyfs
