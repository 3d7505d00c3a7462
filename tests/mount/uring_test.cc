// uring_test.cc: transport=uring: what happens where it is not offered, and the ends of all kinds.
// Not here: that calls give the same results as ever; all of tests/syscalls runs with it too
// (PLYFS_TEST_OPTIONS).
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <vector>

#include "tests/harness/file_ops.h"
#include "tests/harness/hang_guard.h"
#include "tests/harness/union_mount.h"
#include "tests/harness/uring.h"
#include "tests/mount/program_fixture.h"

namespace plyfs::test {
namespace {

constexpr char kOption[] = "transport=uring";

// Requests of many kinds: names, data, attributes.
int CreateWriteReadRemove(int directory, const std::string& name) {
  const int fd = ::openat(directory, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  std::vector<char> data(20'000, 'd');
  const auto size = static_cast<ssize_t>(data.size());
  const bool done = ::write(fd, data.data(), data.size()) == size && ::fchmod(fd, 0640) == 0 &&
                    ::fsync(fd) == 0 && ::pread(fd, data.data(), data.size(), 0) == size;
  const int error = done ? 0 : errno;
  ::close(fd);
  if (error == 0 && ::unlinkat(directory, name.c_str(), 0) != 0) return errno;
  return error;
}

class UringTest : public ProgramTest {
 protected:
  void SetUp() override {
    if (!uring_.why_not().empty()) GTEST_SKIP() << uring_.why_not();
  }
  void MountOverUring() {
    ASSERT_EQ(Mount(kOption).exit_code, 0);
    ASSERT_TRUE(HasIoUring(Server()));
    root_ = ::open(mnt_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(root_, 0);
  }
  void TearDown() override {
    Close();
    ProgramTest::TearDown();
  }
  void Close() {
    if (root_ >= 0) ::close(root_);
    root_ = -1;
  }
  std::string InMount(const std::string& name) const { return mnt_ + "/" + name; }
  void ExpectItWorks() {
    const std::string content(3'000'000, 'x');
    WriteFile(InMount("file"), content);
    EXPECT_EQ(ReadFile(InMount("file")), content);
    EXPECT_EQ(ReadFile(InMount("from-lower")), "lower content");
  }
  // plyfs in the foreground; it must work, without io_uring, and say one line.
  void ExpectFallback(const std::function<void()>& before_exec, const std::string& reason) {
    Foreground server({PlyfsBinary(), "-f", "-o", Options(kOption), mnt_}, before_exec);
    ASSERT_TRUE(Eventually([&] { return Mounted(); }));
    ExpectItWorks();
    EXPECT_FALSE(HasIoUring(server.pid()));
    Unmount(mnt_);
    EXPECT_EQ(server.Wait(), 0);
    EXPECT_EQ(server.Stderr(), "plyfs: transport=uring: " + reason + "; going on with /dev/fuse\n");
  }

  UringEnabled uring_;
  int root_ = -1;  // of the mount
  const std::function<int(int)> work_on_files_ = [this](int client) {
    return CreateWriteReadRemove(root_, "c" + std::to_string(client));
  };
};

// io_uring_setup(2) fails with `error`, as where a container forbids it.
void ForbidIoUring(int error) {
  const sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = const_cast<sock_filter*>(filter)};
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// Calls that are under way when a connection ends fail with whatever the kernel has at hand; seen
// are ECONNABORTED, ECANCELED, EINVAL and ENOENT, and not only with this transport. So a client
// makes some more.
constexpr int kLastTries = 5;

// Processes that do something again and again until it fails for good, and how.
class BusyClients {
 public:
  // `work` returns 0 or an errno.
  BusyClients(int count, const std::function<int(int client)>& work)
      : begun_(static_cast<std::atomic<int>*>(::mmap(nullptr, sizeof(std::atomic<int>),
                                                     PROT_READ | PROT_WRITE,
                                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    for (int i = 0; i < count; ++i) {
      const pid_t pid = ::fork();
      if (pid > 0) pids_.push_back(pid);
      if (pid != 0) continue;
      int failures = 0;
      for (bool first = true;; first = false) {
        const int error = work(i);
        failures = error == 0 ? 0 : failures + 1;
        if (error == ENOTCONN || failures > kLastTries) ::_exit(error);
        if (first) ++*begun_;
      }
    }
  }
  ~BusyClients() {
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL), ::waitpid(pid, nullptr, 0);
    ::munmap(begun_, sizeof *begun_);
  }
  void AwaitAllBegun() {
    EXPECT_TRUE(Eventually([&] { return *begun_ == static_cast<int>(pids_.size()); }));
  }
  // Each must end soon, with this errno.
  void ExpectAllEndWith(int error) {
    std::vector<int> ends;
    EXPECT_TRUE(Eventually([&] {
      int status;
      for (pid_t& pid : pids_) {
        if (pid == 0 || ::waitpid(pid, &status, WNOHANG) != pid) continue;
        pid = 0;
        ends.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
      }
      return std::erase(pids_, 0), pids_.empty();
    })) << pids_.size()
        << " clients hang";
    for (const int end : ends) EXPECT_EQ(end, error);
  }

 private:
  std::atomic<int>* const begun_;
  std::vector<pid_t> pids_;
};

TEST_F(UringTest, ServesRequestsWhereTheKernelOffersIt) {
  MountOverUring();
  ExpectItWorks();
  Close();
  Unmount(mnt_);
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
}

TEST_F(UringTest, WorksWithOneThreadAndWithMany) {
  for (const char* option : {"threads=1", "threads=3", "threads=64"}) {
    ASSERT_EQ(Mount(std::string(kOption) + "," + option).exit_code, 0);
    EXPECT_TRUE(HasIoUring(Server()));
    ExpectItWorks();
    Unmount(mnt_);
    ASSERT_TRUE(Eventually([&] { return Servers().empty(); }));
  }
}

TEST_F(UringTest, FallsBackWhereTheKernelDoesNotOfferIt) {
  ASSERT_TRUE(uring_.Set(false));
  ExpectFallback(nullptr,
                 "not offered by the kernel (fuse.enable_uring is off, or it is older than 6.14)");
}

TEST_F(UringTest, FallsBackWhereIoUringIsForbidden) {
  for (const int error : {EPERM, ENOSYS, ENOMEM}) {
    ExpectFallback([error] { ForbidIoUring(error); },
                   "no io_uring (errno " + std::to_string(error) + ")");
  }
}

TEST_F(UringTest, AThousandProcessesAtOnceAreServed) {
  MountOverUring();
  std::vector<pid_t> children;
  for (int i = 0; i < 1000; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(CreateWriteReadRemove(root_, "p" + std::to_string(i)));
    if (pid > 0) children.push_back(pid);
  }
  EXPECT_EQ(children.size(), 1000u);
  for (const pid_t pid : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(ListDir(mnt_), (std::vector<std::string>{"from-lower"}));
}

TEST_F(UringTest, InterruptedCallsAreAnswered) {
  MountOverUring();
  BusyClients clients(4, [this](int client) {
    struct sigaction ignore {};
    ignore.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &ignore, nullptr);
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 500},
                          .it_value = {.tv_sec = 0, .tv_usec = 500}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    const std::string name = "i" + std::to_string(client);
    for (int round = 0; round < 500; ++round) {
      const int error = CreateWriteReadRemove(root_, name);
      if (error != 0 && error != EINTR) return error;
    }
    return ENOTCONN;  // done
  });
  clients.ExpectAllEndWith(ENOTCONN);
  ExpectItWorks();
}

TEST_F(UringTest, AKilledServerGivesItsClientsENOTCONN) {
  MountOverUring();
  BusyClients clients(8, work_on_files_);
  clients.AwaitAllBegun();
  ASSERT_EQ(::kill(Server(), SIGKILL), 0);
  clients.ExpectAllEndWith(ENOTCONN);
  EXPECT_EQ(LstatErrno(InMount("from-lower")), ENOTCONN);
  Close();
  EXPECT_EQ(::umount2(mnt_.c_str(), 0), 0);
}

TEST_F(UringTest, AnAbortEndsEverything) {
  MountOverUring();
  BusyClients clients(8, work_on_files_);
  clients.AwaitAllBegun();
  ASSERT_TRUE(EnsureFuseControl());
  ASSERT_TRUE(AbortFuseConnection(Lstat(mnt_).st_dev));
  clients.ExpectAllEndWith(ENOTCONN);
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_FALSE(Mounted());
}

TEST_F(UringTest, ATerminatedServerEndsAlthoughItsClientsAreBusy) {
  MountOverUring();
  BusyClients clients(8, work_on_files_);
  clients.AwaitAllBegun();
  ASSERT_EQ(::kill(Server(), SIGTERM), 0);
  clients.ExpectAllEndWith(ENOTCONN);
  EXPECT_TRUE(Eventually([&] { return Servers().empty(); }));
  EXPECT_FALSE(Mounted());
}

}  // namespace
}  // namespace plyfs::test
