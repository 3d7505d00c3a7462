// passthrough_test.cc: io=passthrough: data of upper files goes past the server, and every pair of opens of one file works and shows one
// content.
// Not here: that calls give the same results as ever; all of tests/syscalls runs with it too (PLYFS_TEST_OPTIONS).
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/harness/file_ops.h"
#include "tests/mount/program_fixture.h"

namespace plyfs::test {
namespace {

constexpr char kOption[] = "io=passthrough";

class Fd {
 public:
  Fd(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) { EXPECT_GE(fd_, 0) << path << ": errno " << errno; }
  ~Fd() { Close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

void WriteAt(const Fd& fd, off_t offset, const std::string& text) {
  EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), offset), static_cast<ssize_t>(text.size())) << "errno " << errno;
}

std::string ReadAt(const Fd& fd, off_t offset, size_t length) {
  std::string text(length, '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), length, offset);
  EXPECT_GE(got, 0) << "errno " << errno;
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

class PassthroughTest : public ProgramTest {
 protected:
  void Start() {
    for (const char* name : {"a", "b", "c"}) WriteFile(lower_ + "/" + name, "lower " + std::string(10'000, name[0]));
    WriteFile(upper_ + "/up", "upper " + std::string(10'000, 'u'));
    ASSERT_EQ(Mount(kOption).exit_code, 0);
    if (Count("OPEN") != 0) return;
    ReadFile(In("up"));
    if (Count("OPEN") == 0 || Count("READ") != 0) GTEST_SKIP() << "this kernel, or this machine, has no passthrough";
  }
  std::string In(const std::string& name) const { return mnt_ + "/" + name; }
  // Requests of an opcode so far.
  uint64_t Count(const std::string& opcode) const {
    const ProgramResult result = Run({"stats", "--json", mnt_});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const nlohmann::json stats = nlohmann::json::parse(result.out);
    for (const nlohmann::json& operation : stats["operations"]) {
      if (operation["name"] == opcode) return operation["count"];
    }
    return 0;
  }
};

TEST_F(PassthroughTest, DataOfUpperFilesGoesPastTheServer) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const uint64_t writes = Count("WRITE");
  WriteFile(In("new"), std::string(3'000'000, 'n'));
  AppendFile(In("a"), "more");
  EXPECT_EQ(ReadFile(In("new")), std::string(3'000'000, 'n'));
  EXPECT_EQ(ReadFile(In("a")), "lower " + std::string(10'000, 'a') + "more");
  EXPECT_EQ(Count("WRITE"), writes);
  EXPECT_EQ(Count("READ"), 0u);
  EXPECT_EQ(ReadFile(upper_ + "/new").size(), 3'000'000u);
  EXPECT_EQ(ReadFile(In("b")).size(), 10'006u);
  EXPECT_GT(Count("READ"), 0u) << "a lower's file comes by way of the server";
}

// Each way to have a file open, then each other way beside it.
TEST_F(PassthroughTest, AllPairsOfOpensWorkAndShowOneContent) {
  ASSERT_NO_FATAL_FAILURE(Start());
  int round = 0;
  for (const bool in_upper : {false, true}) {
    for (const int first : {O_RDONLY, O_WRONLY, O_RDWR}) {
      for (const int second : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC}) {
        const std::string name = "pair" + std::to_string(round++);
        SCOPED_TRACE(name + (in_upper ? " upper " : " lower ") + std::to_string(first) + " then " + std::to_string(second));
        const std::string path = In(name);
        // Made behind the server's back, before it has looked.
        WriteFile((in_upper ? upper_ : lower_) + "/" + name, "0123456789");
        const Fd one(path, first);
        if (first != O_WRONLY) {
          EXPECT_EQ(ReadAt(one, 0, 4), "0123");
        }
        const Fd two(path, second);
        std::string expected = (second & O_TRUNC) != 0 ? "" : "0123456789";
        if (first != O_RDONLY) {
          expected.resize(std::max<size_t>(expected.size(), 2));
          expected.replace(0, 2, "AB");
          WriteAt(one, 0, "AB");
        }
        if ((second & O_ACCMODE) != O_RDONLY) {
          expected.resize(std::max<size_t>(expected.size(), 6));
          expected.replace(4, 2, "CD");
          WriteAt(two, 4, "CD");
        }
        if (first != O_WRONLY) {
          EXPECT_EQ(ReadAt(one, 0, 100), expected);
        }
        if ((second & O_ACCMODE) != O_WRONLY) {
          EXPECT_EQ(ReadAt(two, 0, 100), expected);
        }
        EXPECT_EQ(static_cast<size_t>(Lstat(path).st_size), expected.size());
        EXPECT_EQ(ReadFile(path), expected) << "a third one";
      }
    }
  }
}

TEST_F(PassthroughTest, AFileChangesItsWayWhenItIsClosed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    const std::string text = "round " + std::to_string(round);
    {
      const Fd reader(In("a"), O_RDONLY);  // the first time cached: it is a lower's
      ReadAt(reader, 0, 10);
      const Fd writer(In("a"), O_RDWR);
      WriteAt(writer, 0, text);
      EXPECT_EQ(ReadAt(reader, 0, text.size()), text);
    }
    EXPECT_EQ(ReadFile(In("a")).substr(0, text.size()), text);
    EXPECT_EQ(ReadFile(upper_ + "/a").substr(0, text.size()), text);
  }
}

TEST_F(PassthroughTest, WritesThroughAMappingShowInStat) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const struct stat before = Lstat(In("up"));
  const Fd fd(In("up"), O_RDWR);
  auto* memory = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  ::usleep(20'000);
  memory[0] = 'U';
  EXPECT_EQ(ReadAt(fd, 0, 5), "Upper");
  EXPECT_EQ(ReadFile(In("up")).substr(0, 5), "Upper");
  const struct stat after = Lstat(In("up"));
  EXPECT_TRUE(after.st_mtim.tv_sec > before.st_mtim.tv_sec || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec);
  ::munmap(memory, 4096);
}

TEST_F(PassthroughTest, SizeAndTimesFollowEachWrite) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Fd one(In("up"), O_WRONLY | O_APPEND);
  const Fd two(In("up"), O_WRONLY);
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(::write(one.get(), "0123456789", 10), 10);
    EXPECT_EQ(Lstat(In("up")).st_size, 10'006 + 10 * i);
  }
  ASSERT_EQ(::ftruncate(two.get(), 7), 0);
  EXPECT_EQ(::write(one.get(), "end", 3), 3);
  EXPECT_EQ(ReadFile(In("up")), "upper uend");
  ASSERT_EQ(::fallocate(two.get(), 0, 0, 50), 0);
  EXPECT_EQ(Lstat(In("up")).st_size, 50);
}

// Whoever the file was opened by, and whether the bits were there by then.
TEST_F(PassthroughTest, AWriteTakesSetuidAwayUnlessItIsRoots) {
  ASSERT_NO_FATAL_FAILURE(Start());
  constexpr uid_t kNobody = 65534;
  const auto mode = [&] { return Lstat(In("up")).st_mode & 07777; };
  ASSERT_EQ(::chmod(mnt_.c_str(), 0755), 0);
  ASSERT_EQ(::chown(In("up").c_str(), kNobody, kNobody), 0);
  for (const bool before : {true, false}) {
    SCOPED_TRACE(before);
    if (before) {
      ASSERT_EQ(::chmod(In("up").c_str(), 06755), 0);
    }
    const Fd fd(In("up"), O_WRONLY);
    if (!before) {
      ASSERT_EQ(::chmod(In("up").c_str(), 06755), 0);
    }
    // Without CAP_FSETID, which goes with the effective id.
    ASSERT_EQ(::seteuid(kNobody), 0);
    WriteAt(fd, 0, "x");
    ASSERT_EQ(::seteuid(0), 0);
    EXPECT_EQ(mode(), 0755u);
    EXPECT_EQ(Lstat(upper_ + "/up").st_mode & 07777, 0755u);
  }
  ASSERT_EQ(::chmod(In("up").c_str(), 06755), 0);
  AppendFile(In("up"), "root");
  EXPECT_EQ(mode(), 06755u);
}

TEST_F(PassthroughTest, AFileThatMayNotBeWrittenIsNotWrittenPastTheServer) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const char* flag : {"a", "i"}) {
    ASSERT_EQ(RunProgram({"chattr", std::string("+") + flag, In("up")}).exit_code, 0);
    {
      const Fd fd(In("up"), O_WRONLY);
      EXPECT_EQ(::pwrite(fd.get(), "x", 1, 0), -1) << flag;
      EXPECT_EQ(errno, EPERM) << flag;
    }
    EXPECT_EQ(RunProgram({"chattr", std::string("-") + flag, In("up")}).exit_code, 0);
  }
  EXPECT_EQ(ReadFile(In("up")).substr(0, 5), "upper");
}

TEST_F(PassthroughTest, WhatIsWrittenAfterACheckpointIsListed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Fd writer(In("up"), O_RDWR);
  const Fd reader(In("a"), O_RDONLY);
  ASSERT_EQ(Run({"checkpoint", "create", "one", mnt_}).exit_code, 0);
  WriteAt(writer, 0, "later");
  const ProgramResult changes = Run({"changes", "--since", "one", mnt_});
  EXPECT_EQ(changes.out, "C /up\n") << changes.err;
}

TEST_F(PassthroughTest, AFileWithoutANameIsReadAndWritten) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Fd temp(mnt_, O_TMPFILE | O_RDWR);
  WriteAt(temp, 0, "temporary");
  const std::string self = "/proc/self/fd/" + std::to_string(temp.get());
  {
    const Fd again(self, O_RDWR);
    EXPECT_EQ(ReadAt(again, 0, 20), "temporary");
    WriteAt(again, 0, "T");
  }
  EXPECT_EQ(ReadAt(temp, 0, 20), "Temporary");
  ASSERT_EQ(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, In("named").c_str(), AT_SYMLINK_FOLLOW), 0);
  EXPECT_EQ(ReadFile(In("named")), "Temporary");
}

TEST_F(PassthroughTest, AnOpenFileOutlivesItsNameAndARename) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const Fd up(In("up"), O_RDWR);
  const Fd copy(In("a"), O_RDWR);
  ASSERT_EQ(::unlink(In("up").c_str()), 0);
  ASSERT_EQ(::rename(In("b").c_str(), In("a").c_str()), 0);
  WriteAt(up, 0, "still");
  WriteAt(copy, 0, "there");
  EXPECT_EQ(ReadAt(up, 0, 5), "still");
  EXPECT_EQ(ReadAt(copy, 0, 5), "there");
  // And are opened again.
  const Fd again("/proc/self/fd/" + std::to_string(up.get()), O_RDWR);
  WriteAt(again, 0, "S");
  EXPECT_EQ(ReadAt(up, 0, 5), "Still");
  EXPECT_EQ(ReadFile(In("a")).substr(0, 7), "lower b");
}

// The kernel says EIO where an open does not fit those that there are.
TEST_F(PassthroughTest, ManyOpensAtOnceNeverFail) {
  ASSERT_NO_FATAL_FAILURE(Start());
  std::atomic<int> wrong = 0;
  std::atomic<int> last = 0;
  const auto work = [&](unsigned seed) {
    for (int i = 0; i < 1500; ++i) {
      const std::string path = In(std::string(1, "abc"[::rand_r(&seed) % 3]));
      const unsigned what = ::rand_r(&seed) % 8;
      if (what == 0) {
        const std::string other = path + std::to_string(seed % 100);
        if (::link(path.c_str(), other.c_str()) == 0) ::unlink(other.c_str());
        continue;
      }
      if (what == 1) {
        if (::truncate(path.c_str(), 5000) != 0) last = errno, ++wrong;
        continue;
      }
      const int fd = ::open(path.c_str(), (what < 5 ? O_RDONLY : O_RDWR) | O_CLOEXEC);
      char bytes[16] = {};
      const bool fine = fd >= 0 && ::pread(fd, bytes, sizeof bytes, 0) >= 0 && (what < 5 || ::pwrite(fd, bytes, sizeof bytes, 0) == sizeof bytes);
      if (!fine) last = errno, ++wrong;
      if (fd >= 0) ::close(fd);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 6; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0) << "errno " << last;
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(ReadFile(In(name)).substr(0, 6), "lower ");
}

TEST_F(PassthroughTest, WithoutTheCapabilityTheMountIsRefused) {
  const ProgramResult result = Mount(kOption, {.before_exec = [] { ::unshare(CLONE_NEWUSER); }});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("io=passthrough"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("io=auto"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace plyfs::test
