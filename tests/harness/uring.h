// uring.h: FUSE over io_uring for the time of a test, which root must have allowed on the machine.
// Thread safety: one owner.
#pragma once

#include <sys/types.h>

#include <string>

namespace plyfs::test {

/// Turns fuse.enable_uring on, and back to what it was at the end. Programs that use it wait for
/// one another.
class UringEnabled {
 public:
  UringEnabled();
  ~UringEnabled();
  UringEnabled(const UringEnabled&) = delete;
  UringEnabled& operator=(const UringEnabled&) = delete;

  /// Empty, or why it cannot be had here: the reason to skip a test.
  const std::string& why_not() const { return why_not_; }
  /// Turns it off in the middle; false when that fails.
  bool Set(bool on);

 private:
  int lock_ = -1;
  bool was_on_ = false;
  std::string why_not_;
};

/// Whether the process has an io_uring, as a server of transport=uring does.
bool HasIoUring(pid_t pid);

/// More -o options for every plyfs mount: $PLYFS_TEST_OPTIONS.
std::string OptionsForAllMounts();

}  // namespace plyfs::test
