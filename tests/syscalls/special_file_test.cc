// special_file_test.cc: fifos, sockets and devices do what their type does, from every layer.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/syscalls/fixture.h"

namespace plyfs::test {
namespace {

using SpecialFile = SyscallTest;

TEST_P(SpecialFile, FifoCarriesDataBetweenProcesses) {
  for (const char* name : {"lowfifo", "upfifo"}) {
    const std::string path = P(name);
    OpenFile reader(path, O_RDONLY | O_NONBLOCK);
    EXPECT_EQ(0, RunInChild([&] {
                const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
                return fd < 0 ? errno : write(fd, "ping", 4) == 4 ? 0 : errno;
              }));
    char data[8];
    EXPECT_EQ(4, read(reader.fd(), data, sizeof data)) << name;
    EXPECT_EQ(0, read(reader.fd(), data, sizeof data)) << name;
  }
}

TEST_P(SpecialFile, FifoKeepsItsReaderThroughChmod) {
  OpenFile reader(P("lowfifo"), O_RDONLY | O_NONBLOCK);
  ASSERT_EQ(0, chmod(P("lowfifo").c_str(), 0600));
  EXPECT_EQ(0600u, Lstat(P("lowfifo")).st_mode & 07777);
  EXPECT_TRUE(S_ISFIFO(Lstat(P("lowfifo")).st_mode));
}

TEST_P(SpecialFile, DevicesAreOpenedByTheKernel) {
  OpenFile null(P("lowchr"), O_RDWR);  // 1:3
  char byte;
  EXPECT_EQ(0, read(null.fd(), &byte, 1));
  EXPECT_EQ(1, write(null.fd(), "x", 1));
  OpenFile zero(P("upchr"), O_RDONLY);  // 1:5
  EXPECT_EQ(1, read(zero.fd(), &byte, 1));
  EXPECT_EQ(0, byte);
}

class BoundSocket {
 public:
  // sun_path holds 107 bytes: the socket is reached relative to its directory.
  BoundSocket(const std::string& dir, const std::string& name) : dir_(dir, O_PATH | O_DIRECTORY) {
    address_.sun_family = AF_UNIX;
    snprintf(address_.sun_path, sizeof address_.sun_path, "/proc/self/fd/%d/%s", dir_.fd(),
             name.c_str());
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  }
  ~BoundSocket() { close(fd_); }
  int Bind() { return ErrnoOf(bind(fd_, reinterpret_cast<sockaddr*>(&address_), sizeof address_)); }
  int Connect() {
    return ErrnoOf(connect(fd_, reinterpret_cast<sockaddr*>(&address_), sizeof address_));
  }
  int fd() const { return fd_; }

 private:
  OpenFile dir_;
  sockaddr_un address_ = {};
  int fd_;
};

TEST_P(SpecialFile, SocketCanBeBoundAndConnected) {
  for (const char* dir : {"lowdir", "updir", "merged"}) {
    BoundSocket server(P(dir), "socket"), client(P(dir), "socket");
    ASSERT_EQ(0, server.Bind()) << dir;
    EXPECT_TRUE(S_ISSOCK(Lstat(P(std::string(dir) + "/socket")).st_mode));
    ASSERT_EQ(0, listen(server.fd(), 1));
    EXPECT_EQ(0, client.Connect()) << dir;
    EXPECT_EQ(2, write(client.fd(), "hi", 2));
    const int accepted = accept4(server.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    char data[4];
    EXPECT_EQ(2, read(accepted, data, sizeof data));
    close(accepted);
  }
}

TEST_P(SpecialFile, SocketIsReachedAfterChmodAndRename) {
  BoundSocket server(P("merged"), "socket");
  ASSERT_EQ(0, server.Bind());
  ASSERT_EQ(0, listen(server.fd(), 2));
  ASSERT_EQ(0, chmod(P("merged/socket").c_str(), 0666));
  ASSERT_EQ(0, rename(P("merged/socket").c_str(), P("lowdir/moved").c_str()));
  BoundSocket client(P("lowdir"), "moved");
  EXPECT_EQ(0, client.Connect());
}

TEST_P(SpecialFile, BindNeedsAFreeNameAndConnectAListener) {
  BoundSocket server(P("lowdir"), "a");
  EXPECT_EQ(EADDRINUSE, server.Bind());
  BoundSocket dead(Root(), "lowsock"), file(Root(), "lowfile"), missing(Root(), "gone");
  EXPECT_EQ(ECONNREFUSED, dead.Connect());
  EXPECT_EQ(ECONNREFUSED, file.Connect());
  EXPECT_EQ(ENOENT, missing.Connect());
}

TEST_P(SpecialFile, InotifyReportsChangesAfterCopyUpToo) {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  ASSERT_GE(inotify_add_watch(fd, P("lowdir").c_str(), IN_CREATE | IN_DELETE | IN_MODIFY), 0);
  auto events = [&] {
    alignas(inotify_event) char buffer[4096];
    std::string text;
    const ssize_t got = read(fd, buffer, sizeof buffer);
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      text += std::to_string(event->mask) + event->name + " ";
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return text;
  };
  WriteFile(P("lowdir/new"), "");
  EXPECT_EQ(std::to_string(IN_CREATE) + "new ", events());
  AppendFile(P("lowdir/a"), "x");
  EXPECT_EQ(std::to_string(IN_MODIFY) + "a ", events());
  EXPECT_EQ(0, unlink(P("lowdir/b").c_str()));
  EXPECT_EQ(std::to_string(IN_DELETE) + "b ", events());
  close(fd);
}

TEST_P(SpecialFile, ExecutableRunsFromEveryLayer) {
  mount().Unmount();
  WriteFile(InMiddle("lowprogram"), "#!/bin/sh\nexit 7\n", 0755);
  WriteFile(InUpper("upprogram"), "#!/bin/sh\nexit 8\n", 0755);
  mount().Mount();
  EXPECT_EQ(7, RunProgram({P("lowprogram")}).exit_code);
  EXPECT_EQ(8, RunProgram({P("upprogram")}).exit_code);
  WriteFile(P("lowprogram"), "#!/bin/sh\nexit 9\n");
  EXPECT_EQ(9, RunProgram({P("lowprogram")}).exit_code);
  ASSERT_EQ(0, chmod(P("lowprogram").c_str(), 0644));
  EXPECT_EQ(127, RunProgram({P("lowprogram")}).exit_code);
}

TEST_P(SpecialFile, RunningProgramCannotBeWritten) {
  // A copy of a real binary: the interpreter of a script is what the kernel protects otherwise.
  mount().Unmount();
  WriteFile(InMiddle("sleeper"), ReadFile("/bin/sleep"), 0755);
  mount().Mount();
  const std::string path = P("sleeper");
  int ready[2];
  ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) {
    execl(path.c_str(), "sleep", "60", nullptr);
    _exit(1);
  }
  close(ready[1]);
  char byte;
  EXPECT_EQ(0, read(ready[0], &byte, 1));  // closed by exec
  close(ready[0]);
  EXPECT_EQ(ETXTBSY, ErrnoOf(open(path.c_str(), O_WRONLY | O_CLOEXEC)));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(0, ErrnoOf(truncate(path.c_str(), 0)));
}

INSTANTIATE_TEST_SUITE_P(OnEachTarget, SpecialFile, AllTargets(), TargetName);

}  // namespace
}  // namespace plyfs::test
