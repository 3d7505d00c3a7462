// caller_scope.cc: see caller_scope.h.
#include "fs/layer/caller_scope.h"

#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/thread_capabilities.h"

namespace plyfs {
namespace {

// glibc's setfsuid() hides failure and, like setuid(), is not specified to act on one thread only.
void SetFsIds(uid_t uid, gid_t gid) {
  ::syscall(SYS_setfsgid, gid);
  ::syscall(SYS_setfsuid, uid);
}

struct ThreadIds {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  bool keeps_capabilities = false;

  ThreadIds() {
    // The umask belongs to fs_struct; a thread needs its own. Without it umask(2) would race with other threads.
    const bool own_umask = ::unshare(CLONE_FS) == 0;
    // Else leaving fsuid 0 would drop CAP_DAC_OVERRIDE, and the caller's supplementary groups, by which it may write
    // to the parent, are not ours.
    const bool no_fixup = ::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0;
    keeps_capabilities = own_umask && no_fixup;
  }
};

ThreadIds& CurrentThread() {
  static thread_local ThreadIds ids;
  return ids;
}

}  // namespace

CallerScope::CallerScope(const CreateAs& as) {
  ThreadIds& thread = CurrentThread();
  ::umask(as.umask);
  if (as.uid == thread.uid && as.gid == thread.gid) return;
  if (thread.keeps_capabilities) {
    SetFsIds(as.uid, as.gid);
    switched_ = true;
    // The call returns the previous value; a second call with an invalid id is the only way to see whether it worked.
    owner_taken_ = ::syscall(SYS_setfsuid, -1) == static_cast<long>(as.uid) &&
                   ::syscall(SYS_setfsgid, -1) == static_cast<long>(as.gid);
  } else {
    owner_taken_ = false;
  }
  if (!owner_taken_ && switched_) {
    SetFsIds(thread.uid, thread.gid);
    switched_ = false;
  }
}

CallerScope::~CallerScope() {
  if (switched_) SetFsIds(CurrentThread().uid, CurrentThread().gid);
  ::umask(0);
}

WithoutFsetid::WithoutFsetid() {
  ThreadCapabilities held;
  if (!held.Read().ok() || !held.has(CAP_FSETID)) return;
  held.Set(CAP_FSETID, false);
  dropped_ = held.Write().ok();
}

WithoutFsetid::~WithoutFsetid() {
  ThreadCapabilities held;
  if (!dropped_ || !held.Read().ok()) return;
  held.Set(CAP_FSETID, true);
  held.Write().Ignore("it was held before");
}

}  // namespace plyfs
