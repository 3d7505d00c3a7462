// stress_test.cc: many requests at once, forgotten nodes, bounded memory.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/regress/plyfs_test.h"

namespace plyfs::test {
namespace {

using Stress = PlyfsTest;

constexpr size_t kPage = 4096;

// Every page carries its own number and generation, so a stale or foreign page is recognised.
void FillPage(char* page, uint32_t number, uint32_t generation) {
  for (size_t i = 0; i < kPage; i += 8) {
    memcpy(page + i, &number, 4);
    memcpy(page + i + 4, &generation, 4);
  }
}

TEST_F(Stress, OldAndNewDescriptorsSeeOneFileWhileItIsCopiedUp) {
  // A database opened for reading, then for writing, whose caches are dropped half-way.
  constexpr uint32_t kPages = 6000;  // 24 MiB
  {
    const int fd = open(Lower("db").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    char page[kPage];
    for (uint32_t i = 0; i < kPages; ++i) {
      FillPage(page, i, 0);
      ASSERT_EQ(static_cast<ssize_t>(kPage), write(fd, page, kPage));
    }
    close(fd);
  }
  Mount();
  const int old_fd = open(P("db").c_str(), O_RDONLY | O_CLOEXEC);
  const int new_fd = open(P("db").c_str(), O_RDWR | O_CLOEXEC);
  std::vector<uint32_t> generations(kPages, 0);
  uint32_t random = 1;
  auto check = [&](int fd, uint32_t number) {
    char got[kPage], want[kPage];
    FillPage(want, number, generations[number]);
    if (pread(fd, got, kPage, static_cast<off_t>(number) * static_cast<off_t>(kPage)) !=
        static_cast<ssize_t>(kPage)) {
      return false;
    }
    return memcmp(got, want, kPage) == 0;
  };
  for (uint32_t i = 0; i < kPages; i += 3) ASSERT_TRUE(check(old_fd, i));
  for (int step = 0; step < 20000; ++step) {
    random = random * 1664525 + 1013904223;
    const uint32_t number = (random >> 8) % kPages;
    if (step % 3 == 0) {
      char page[kPage];
      FillPage(page, number, ++generations[number]);
      ASSERT_EQ(
          static_cast<ssize_t>(kPage),
          pwrite(new_fd, page, kPage, static_cast<off_t>(number) * static_cast<off_t>(kPage)));
    } else {
      ASSERT_TRUE(check(step % 2 == 0 ? old_fd : new_fd, number)) << step << " page " << number;
    }
    if (step == 10000) {
      for (const int fd : {old_fd, new_fd}) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      mount().DropCaches();
    }
  }
  close(old_fd);
  close(new_fd);
  Remount();
  const int fd = open(P("db").c_str(), O_RDONLY | O_CLOEXEC);
  for (uint32_t i = 0; i < kPages; ++i) ASSERT_TRUE(check(fd, i)) << i;
  close(fd);
}

TEST_F(Stress, NamesSurviveWhileTheKernelForgets) {
  // What memory pressure does: all unused dentries are evicted again and again.
  MakeDirs(Lower("d/sub"));
  for (int i = 0; i < 50; ++i) WriteFile(Lower("d/sub/low" + std::to_string(i)), "x");
  Mount();
  std::atomic<bool> stop{false};
  const std::string root = mount().path();
  std::thread evictor([&] {
    while (!stop) {
      ::mount(nullptr, root.c_str(), nullptr, MS_REMOUNT, nullptr);
      usleep(5000);
    }
  });
  int wrong = 0;
  for (int round = 0; round < 400; ++round) {
    const std::string name = root + "/d/sub/new" + std::to_string(round);
    const int fd = open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    wrong += fd < 0 || write(fd, "1", 1) != 1;
    if (fd >= 0) close(fd);
    wrong += LstatErrno(name) != 0;
    wrong += link(name.c_str(), (name + "b").c_str()) != 0;
    wrong += Lstat(name).st_nlink != 2;
    wrong += rename(name.c_str(), (name + "c").c_str()) != 0;
    wrong += LstatErrno(name + "c") != 0 || LstatErrno(name) != ENOENT;
    wrong += unlink((name + "b").c_str()) != 0;
    wrong += Lstat(name + "c").st_nlink != 1;
    const std::string low = root + "/d/sub/low" + std::to_string(round % 50);
    wrong += chmod(low.c_str(), 0600 + static_cast<mode_t>(round % 8)) != 0;
    wrong += (Lstat(low).st_mode & 07) != static_cast<mode_t>(round % 8);
    wrong += mkdir((name + "d").c_str(), 0755) != 0;
    wrong += rmdir((name + "d").c_str()) != 0;
  }
  stop = true;
  evictor.join();
  EXPECT_EQ(0, wrong);
  EXPECT_EQ(450u, ListDir(P("d/sub")).size());
  ExpectServerLives();
}

// AddressSanitizer keeps freed memory for a while, so that the server's resident memory says nothing. Whoever runs the tests
// with such a server sets its options.
bool ServerKeepsFreedMemory() { return getenv("ASAN_OPTIONS") != nullptr; }

TEST_F(Stress, MemoryDoesNotGrowWithTheNamesVisited) {
  if (ServerKeepsFreedMemory()) GTEST_SKIP() << "AddressSanitizer keeps freed memory; run in the release build";
  constexpr int kDirs = 200, kFiles = 100;
  for (int d = 0; d < kDirs; ++d) {
    MakeDirs(Lower(std::to_string(d)));
    for (int f = 0; f < kFiles; ++f)
      WriteFile(Lower(std::to_string(d) + "/" + std::to_string(f)), "");
  }
  Mount();
  auto resident_kib = [&] {
    const std::string status = ReadFile("/proc/" + std::to_string(mount().ServerPid()) + "/status");
    return atol(status.c_str() + status.find("VmRSS:") + 6);
  };
  auto walk = [&] {
    for (int d = 0; d < kDirs; ++d)
      for (int f = 0; f < kFiles; ++f) LstatErrno(P(std::to_string(d) + "/" + std::to_string(f)));
  };
  walk();
  mount().DropCaches();
  const long once = resident_kib();
  for (int round = 0; round < 5; ++round) {
    walk();
    mount().DropCaches();
  }
  // 20,000 names visited six times: what was forgotten must have been reused.
  EXPECT_LT(resident_kib(), once + 4096);
}

TEST_F(Stress, ParallelWorkInOneDirectory) {
  MakeDirs(Lower("d"));
  for (int i = 0; i < 400; ++i) WriteFile(Lower("d/low" + std::to_string(i)), "x");
  Mount();
  const std::string root = mount().path();
  std::vector<std::thread> workers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    workers.emplace_back([&, t] {
      for (int i = t; i < 400; i += 4) {
        const std::string low = root + "/d/low" + std::to_string(i);
        const std::string mine = root + "/d/t" + std::to_string(t) + "-" + std::to_string(i);
        wrong += truncate(low.c_str(), 2) != 0;
        wrong += rename(low.c_str(), mine.c_str()) != 0;
        wrong += LstatErrno(low) != ENOENT;
        wrong += mkdir(low.c_str(), 0755) != 0;
        wrong += rmdir(low.c_str()) != 0;
        wrong += i % 2 == 0 && unlink(mine.c_str()) != 0;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(0, wrong);
  EXPECT_EQ(200u, ListDir(P("d")).size());
  Remount();
  EXPECT_EQ(200u, ListDir(P("d")).size());
  ExpectServerLives();
}

TEST_F(Stress, ParallelCopyUpOfOneFileHappensOnce) {
  WriteFile(Lower("file"), std::string(8 << 20, 'x'));
  Mount();
  const ino_t ino = Lstat(P("file")).st_ino;
  std::vector<std::thread> workers;
  for (int t = 0; t < 8; ++t) {
    workers.emplace_back([&, t] {
      const int fd = open(P("file").c_str(), O_RDWR | O_CLOEXEC);
      const char letter = static_cast<char>('0' + t);
      if (fd < 0 || pwrite(fd, &letter, 1, t * 1000) != 1) {
        ADD_FAILURE() << t;
      }
      close(fd);
    });
  }
  for (std::thread& worker : workers) worker.join();
  const std::string content = ReadFile(P("file"));
  ASSERT_EQ(8u << 20, content.size());
  for (int t = 0; t < 8; ++t) EXPECT_EQ('0' + t, content[static_cast<size_t>(t) * 1000]);
  EXPECT_EQ(ino, Lstat(P("file")).st_ino);
}

TEST_F(Stress, UnmountWithTheUpperInUseByNobodyLeavesNoServer) {
  for (int i = 0; i < 20; ++i) {
    Mount();
    WriteFile(P("file"), std::to_string(i));
    Unmount();  // fails the case when the server stays
    EXPECT_EQ(std::to_string(i), ReadFile(Upper("file")));
  }
}

}  // namespace
}  // namespace plyfs::test
