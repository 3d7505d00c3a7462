// caller_scope.h: makes the calling thread create objects with another owner and umask, so that a new object has its final
// owner and mode, and the parent's default ACL, from its first moment under its final name.
// Not here: permission checks (the kernel has made them: default_permissions).
// Thread safety: changes only the calling thread.
#pragma once

#include <sys/types.h>

#include "fs/base/result.h"

namespace plyfs {

// Owner on disk and umask for what the scope creates.
struct CreateAs {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t umask = 0;
};

class CallerScope {
 public:
  explicit CallerScope(const CreateAs& as);
  ~CallerScope();
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

  // False if this process cannot take on that owner; then nothing has been changed but the umask.
  bool owner_taken() const { return owner_taken_; }

 private:
  bool owner_taken_ = true;
  bool switched_ = false;
};

// The calling thread does not hold CAP_FSETID meanwhile, if it does otherwise.
class WithoutFsetid {
 public:
  WithoutFsetid();
  ~WithoutFsetid();
  WithoutFsetid(const WithoutFsetid&) = delete;
  WithoutFsetid& operator=(const WithoutFsetid&) = delete;

 private:
  bool dropped_ = false;
};

}  // namespace plyfs
