// workload.cc: see workload.h.
#include "tests/crash/workload.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>

#include "tests/harness/file_ops.h"

namespace plyfs::crash {
namespace {

constexpr size_t kPage = 4096;
constexpr int kPages = 4;
constexpr int kFiles = 24;
constexpr const char* kMark = "lower file ";

using Page = std::array<char, kPage>;

Page Uniform(int byte) {
  Page page;
  page.fill(static_cast<char>(byte));
  return page;
}

std::string NameOf(int number) { return "l" + std::to_string(number); }
std::string DirOf(int number) { return "/d" + std::to_string(number % 3) + (number % 2 == 0 ? "" : "/e"); }

// The number that the first page tells; nullopt-like -1: not a lower file.
int NumberIn(const std::string& content) {
  int number = -1;
  if (!content.starts_with(kMark)) return -1;
  std::sscanf(content.c_str() + std::strlen(kMark), "%d", &number);
  return number;
}

class Worker {
 public:
  Worker(const std::string& mount, uint64_t seed) : mount_(mount), random_(seed) {}

  // False when the server is gone.
  bool Step() {
    const int error = Do(Pick(16));
    return error != ENOTCONN && error != ECONNABORTED && error != EIO;
  }

 private:
  int Pick(int below) { return static_cast<int>(random_() % below); }

  std::string Dir() {
    switch (Pick(6)) {
      case 0: return mount_;
      case 1: return mount_ + "/n" + std::to_string(Pick(3));
      case 2: return mount_ + "/d" + std::to_string(Pick(3)) + "/n" + std::to_string(Pick(2));
      default: return mount_ + DirOf(Pick(kFiles));
    }
  }
  std::string File() {
    return Pick(3) == 0 ? Dir() + "/f" + std::to_string(Pick(6)) : Dir() + "/" + NameOf(Pick(kFiles));
  }

  int Do(int what) {
    switch (what) {
      case 0:
      case 1: return Create();
      case 2:
      case 3:
      case 4:
      case 5: return Write();
      case 6:
      case 7: return Of(::unlink(File().c_str()));
      case 8:
      case 9: return Of(::rename(File().c_str(), File().c_str()));
      case 10: return Of(::mkdir(Dir().append("/n" + std::to_string(Pick(3))).c_str(), 0755));
      case 11: return Of(::rmdir(Dir().append("/n" + std::to_string(Pick(3))).c_str()));
      case 12: return Of(::link(File().c_str(), File().c_str()));
      case 13: return Of(::symlink("target", (Dir() + "/s" + std::to_string(Pick(3))).c_str()));
      case 14: return Of(::chmod(File().c_str(), 0600 + Pick(64)));
      default:
        return Of(::renameat2(AT_FDCWD, File().c_str(), AT_FDCWD, File().c_str(), RENAME_EXCHANGE));
    }
  }

  static int Of(int result) { return result == 0 ? 0 : errno; }

  int Create() {
    const std::string path = Dir() + "/f" + std::to_string(Pick(6));
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) return errno;
    return WritePages(fd, 0, 1 + Pick(3));
  }

  int Write() {
    const int fd = ::open(File().c_str(), O_WRONLY);
    if (fd < 0) return errno;
    return WritePages(fd, 1 + Pick(kPages - 1), 1);
  }

  int WritePages(int fd, int first, int count) {
    int error = 0;
    for (int i = 0; i < count && error == 0; ++i) {
      const Page page = Uniform(128 + Pick(100));
      if (first + i >= kPages) break;
      if (::pwrite(fd, page.data(), kPage, (first + i) * kPage) < 0) error = errno;
    }
    ::close(fd);
    return error;
  }

  const std::string mount_;
  std::mt19937_64 random_;
};

void ForEachFile(const std::string& dir, const std::function<void(const std::string&, const struct stat&)>& visit) {
  for (const std::string& name : test::ListDir(dir)) {
    const std::string path = dir + "/" + name;
    const struct stat st = test::Lstat(path);
    if (S_ISDIR(st.st_mode)) ForEachFile(path, visit);
    else visit(path, st);
  }
}

std::string ContentProblem(const std::string& content, int number) {
  if (content.size() % kPage != 0) return "a size of " + std::to_string(content.size());
  if (number >= 0 && content.size() != kPages * kPage) return "a lower file of " + std::to_string(content.size()) + " bytes";
  for (size_t at = number >= 0 ? kPage : 0; at < content.size(); at += kPage) {
    if (content.find_first_not_of(content[at], at) < at + kPage) return "a page of two writes at " + std::to_string(at);
  }
  return "";
}

}  // namespace

void MakeLower(const std::string& lower) {
  for (int i = 0; i < 3; ++i) test::MakeDirs(lower + "/d" + std::to_string(i) + "/e");
  for (int number = 0; number < kFiles; ++number) {
    Page first = Uniform(' ');
    const std::string mark = kMark + std::to_string(number) + "\n";
    std::copy(mark.begin(), mark.end(), first.begin());
    std::string content(first.begin(), first.end());
    for (int page = 1; page < kPages; ++page) content.append(kPage, static_cast<char>(number));
    const std::string path = lower + DirOf(number) + "/" + NameOf(number);
    test::WriteFile(path, content);
    if (number % 3 != 0) continue;
    // Names in the places of other numbers that have no file there.
    test::MakeHardLink(path, lower + DirOf(number + 1) + "/" + NameOf(number));
    test::MakeHardLink(path, lower + DirOf(number + 2) + "/" + NameOf(number));
  }
}

uint64_t RunThread(const std::string& mount, uint64_t seed, const std::atomic<bool>& stop) {
  Worker worker(mount, seed);
  uint64_t operations = 0;
  while (!stop.load() && worker.Step()) ++operations;
  return operations;
}

std::map<int, ino_t> Numbers(const std::string& mount) {
  std::map<int, ino_t> numbers;
  ForEachFile(mount, [&](const std::string& path, const struct stat& st) {
    if (S_ISREG(st.st_mode)) numbers[NumberIn(test::ReadFile(path))] = st.st_ino;
  });
  numbers.erase(-1);
  return numbers;
}

std::vector<std::string> CheckTree(const std::string& mount, const std::map<int, ino_t>& numbers) {
  std::vector<std::string> problems = WrongLinkCounts(mount);
  ForEachFile(mount, [&](const std::string& path, const struct stat& st) {
    if (!S_ISREG(st.st_mode)) return;
    const std::string content = test::ReadFile(path);
    const int number = NumberIn(content);
    if (const std::string problem = ContentProblem(content, number); !problem.empty()) {
      problems.push_back(path + ": " + problem);
    }
    const auto expected = numbers.find(number);
    if (expected != numbers.end() && expected->second != st.st_ino) {
      problems.push_back(path + ": st_ino was " + std::to_string(expected->second) + " and is " + std::to_string(st.st_ino));
    }
  });
  return problems;
}

std::vector<std::string> WrongLinkCounts(const std::string& mount) {
  std::map<ino_t, std::map<std::string, nlink_t>> files;
  ForEachFile(mount, [&](const std::string& path, const struct stat& st) { files[st.st_ino][path] = st.st_nlink; });
  std::vector<std::string> wrong;
  for (const auto& [ino, names] : files) {
    for (const auto& [path, nlink] : names) {
      if (nlink == names.size()) continue;
      wrong.push_back(path + ": st_nlink " + std::to_string(nlink) + ", names " + std::to_string(names.size()));
    }
  }
  return wrong;
}

}  // namespace plyfs::crash
