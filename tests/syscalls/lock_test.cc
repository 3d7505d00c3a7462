// lock_test.cc: flock, POSIX record locks, open file description locks, leases.
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

struct flock WholeFile(short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

using LockTest = SyscallTest;

TEST_P(LockTest, FlockExcludesOtherOpensOfTheSameFile) {
  for (const char* name : {"lowfile", "upfile", "lowdir", "merged"}) {
    OpenFile one(P(name), O_RDONLY), two(P(name), O_RDONLY);
    EXPECT_EQ(0, flock(one.fd(), LOCK_EX | LOCK_NB)) << name;
    EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(two.fd(), LOCK_EX | LOCK_NB))) << name;
    EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(two.fd(), LOCK_SH | LOCK_NB))) << name;
    EXPECT_EQ(0, flock(one.fd(), LOCK_UN));
    EXPECT_EQ(0, flock(two.fd(), LOCK_SH | LOCK_NB)) << name;
    EXPECT_EQ(0, flock(one.fd(), LOCK_SH | LOCK_NB)) << name;
    EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(one.fd(), LOCK_EX | LOCK_NB))) << name;
  }
}

TEST_P(LockTest, FlockIsReleasedByClose) {
  OpenFile waiter(P("lowfile"), O_RDONLY);
  {
    OpenFile holder(P("lowfile"), O_RDONLY);
    EXPECT_EQ(0, flock(holder.fd(), LOCK_EX));
    EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(waiter.fd(), LOCK_EX | LOCK_NB)));
  }
  EXPECT_EQ(0, flock(waiter.fd(), LOCK_EX | LOCK_NB));
}

TEST_P(LockTest, FlockHoldsAcrossCopyUp) {
  OpenFile holder(P("lowfile"), O_RDONLY);
  EXPECT_EQ(0, flock(holder.fd(), LOCK_EX));
  AppendFile(P("lowfile"), "x");
  OpenFile other(P("lowfile"), O_RDWR);
  EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(other.fd(), LOCK_EX | LOCK_NB)));
}

TEST_P(LockTest, HardLinksShareLocks) {
  OpenFile one(P("uphard1"), O_RDWR), two(P("uphard2"), O_RDWR);
  EXPECT_EQ(0, flock(one.fd(), LOCK_EX));
  EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(two.fd(), LOCK_EX | LOCK_NB)));
  OpenFile low_one(P("lowhard1"), O_RDWR), low_two(P("lowhard2"), O_RDWR);
  EXPECT_EQ(0, flock(low_one.fd(), LOCK_EX));
  EXPECT_EQ(EWOULDBLOCK, ErrnoOf(flock(low_two.fd(), LOCK_EX | LOCK_NB)));
}

TEST_P(LockTest, RecordLocksExcludeOtherProcesses) {
  for (const char* name : {"lowfile", "upfile"}) {
    const std::string path = P(name);
    OpenFile file(path, O_RDWR);
    struct flock lock = WholeFile(F_WRLCK);
    lock.l_len = 2;
    ASSERT_EQ(0, fcntl(file.fd(), F_SETLK, &lock));
    EXPECT_EQ(EAGAIN, RunInChild([&] {
                const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
                struct flock mine = WholeFile(F_WRLCK);
                mine.l_start = 1;
                return ErrnoOf(fcntl(fd, F_SETLK, &mine));
              }));
    EXPECT_EQ(0, RunInChild([&] {
                const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
                struct flock mine = WholeFile(F_WRLCK);
                mine.l_start = 2;
                return ErrnoOf(fcntl(fd, F_SETLK, &mine));
              }));
    const pid_t holder = getpid();
    EXPECT_EQ(0, RunInChild([&] {
                const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
                struct flock asked = WholeFile(F_WRLCK);
                if (fcntl(fd, F_GETLK, &asked) != 0) return errno;
                return asked.l_type == F_WRLCK && asked.l_pid == holder && asked.l_len == 2 ? 0
                                                                                            : 99;
              }));
  }
}

TEST_P(LockTest, RecordLockOfALowerFileHoldsForWritersAfterCopyUp) {
  const std::string path = P("lowfile");
  OpenFile file(path, O_RDWR);
  struct flock lock = WholeFile(F_WRLCK);
  ASSERT_EQ(0, fcntl(file.fd(), F_SETLK, &lock));
  EXPECT_EQ(1, write(file.fd(), "x", 1));
  EXPECT_EQ(EAGAIN, RunInChild([&] {
              const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
              struct flock mine = WholeFile(F_RDLCK);
              return ErrnoOf(fcntl(fd, F_SETLK, &mine));
            }));
}

TEST_P(LockTest, ReadLockNeedsAReadableDescriptor) {
  OpenFile reader(P("lowfile"), O_RDONLY), writer(P("upfile"), O_WRONLY);
  struct flock write_lock = WholeFile(F_WRLCK), read_lock = WholeFile(F_RDLCK);
  EXPECT_EQ(EBADF, ErrnoOf(fcntl(reader.fd(), F_SETLK, &write_lock)));
  EXPECT_EQ(EBADF, ErrnoOf(fcntl(writer.fd(), F_SETLK, &read_lock)));
}

TEST_P(LockTest, OpenFileDescriptionLocksExcludeWithinOneProcess) {
  OpenFile one(P("lowfile"), O_RDWR), two(P("lowfile"), O_RDWR);
  struct flock lock = WholeFile(F_WRLCK);
  EXPECT_EQ(0, fcntl(one.fd(), F_OFD_SETLK, &lock));
  lock = WholeFile(F_WRLCK);
  EXPECT_EQ(EAGAIN, ErrnoOf(fcntl(two.fd(), F_OFD_SETLK, &lock)));
}

TEST_P(LockTest, DeadlockOfRecordLocksIsFound) {
  // The child holds byte 1 and waits for byte 0; our request for byte 1 would close the circle.
  const std::string path = P("upfile");
  OpenFile file(path, O_RDWR);
  struct flock lock = WholeFile(F_WRLCK);
  lock.l_len = 1;
  ASSERT_EQ(0, fcntl(file.fd(), F_SETLK, &lock));
  int ready[2];
  ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock mine = WholeFile(F_WRLCK);
    mine.l_start = 1;
    mine.l_len = 1;
    fcntl(fd, F_SETLK, &mine);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    mine.l_start = 0;
    _exit(ErrnoOf(fcntl(fd, F_SETLKW, &mine)));
  }
  char byte;
  ASSERT_EQ(1, read(ready[0], &byte, 1));
  lock.l_start = 1;
  int error = EAGAIN;
  // Until the child waits, F_SETLKW could only block; ask without waiting first.
  for (int i = 0; i < 500 && error == EAGAIN; ++i) {
    const std::string waiting = "-> POSIX  ADVISORY  WRITE " + std::to_string(pid);
    if (ReadFile("/proc/locks").find(waiting) != std::string::npos) {
      error = ErrnoOf(fcntl(file.fd(), F_SETLKW, &lock));
    } else {
      usleep(10000);
    }
  }
  EXPECT_EQ(EDEADLK, error);
  lock.l_start = 0;
  lock.l_type = F_UNLCK;
  EXPECT_EQ(0, fcntl(file.fd(), F_SETLK, &lock));
  int status = 0;
  ASSERT_EQ(pid, waitpid(pid, &status, 0));
  EXPECT_EQ(0, WEXITSTATUS(status));
  close(ready[0]);
  close(ready[1]);
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, LockTest, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
