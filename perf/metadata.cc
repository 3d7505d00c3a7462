// metadata.cc: runs one kind of metadata call many times and prints what it cost, as one JSON
// object. Not here: mounting, repeating, comparing (perf/run does that). Thread rule: one thread,
// unless --threads is given; then each thread owns the files i of i % threads.
//
// A benchmark that starts a process for every call measures fork and exec. This program prepares
// everything first (list of names, open directories), reads the clocks, makes the calls and reads
// the clocks again: the wall clock, its own CPU time, and the CPU time of each --server process, so
// that the work that a FUSE server did for the calls is counted with them.

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

extern char** environ;

namespace {

constexpr size_t kReadBuffer = 64 * 1024;
constexpr size_t kFilesPerDir = 500;

constexpr std::string_view kUsage =
    R"(usage: metadata [--server PID]... [--threads N] PHASE DIR [COUNT [REPEAT]]
       metadata start FIRST_PATH COMMAND [ARG]...

phases that make COUNT new objects under DIR (500 to a directory):
  mkdir create symlink
phases on the first COUNT regular files found under DIR, all already looked up once (0 = all):
  stat openread rename unlink chmod append
phases on all directories under DIR:
  readdir (names only)  list (every entry is stat'ed too, as ls -lR does)
start: runs COMMAND, waits for it, then calls stat(FIRST_PATH): how long a mount takes to be usable.
)";

struct Options {
  std::vector<pid_t> servers;
  size_t threads = 1;
  std::string phase;
  std::string dir;
  size_t count = 0;
  size_t repeat = 1;
};

[[noreturn]] void Die(const std::string& what, const std::string& path) {
  std::fprintf(stderr, "metadata: %s %s: %s\n", what.c_str(), path.c_str(), std::strerror(errno));
  std::exit(1);
}

int64_t Nanoseconds(clockid_t clock) {
  timespec ts{};
  if (clock_gettime(clock, &ts) != 0) return 0;  // a server that has just ended has no clock
  return int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
}

int64_t ServerCpu(const std::vector<pid_t>& servers) {
  int64_t sum = 0;
  for (const pid_t pid : servers) {
    clockid_t clock{};
    if (clock_getcpuclockid(pid, &clock) == 0) sum += Nanoseconds(clock);
  }
  return sum;
}

struct Cost {
  int64_t wall = 0;
  int64_t client = 0;
  int64_t server = 0;
};

Cost Clocks(const Options& options) {
  return {Nanoseconds(CLOCK_MONOTONIC), Nanoseconds(CLOCK_PROCESS_CPUTIME_ID),
          ServerCpu(options.servers)};
}

void RunOnce(const Options& options, const std::function<void(size_t)>& body) {
  if (options.threads == 1) return body(0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < options.threads; ++t) threads.emplace_back(body, t);
  for (std::thread& thread : threads) thread.join();
}

int64_t Median(std::vector<Cost> costs, int64_t Cost::*field) {
  std::sort(costs.begin(), costs.end(),
            [field](const Cost& a, const Cost& b) { return a.*field < b.*field; });
  return costs[costs.size() / 2].*field;
}

// The cost of one phase: the median repetition, so that a disturbance of some milliseconds is not
// the result. `body` must do exactly `ops` operations a time.
void Measure(const Options& options, size_t ops, const std::function<void(size_t)>& body) {
  std::vector<Cost> costs;
  for (size_t r = 0; r < options.repeat; ++r) {
    const Cost before = Clocks(options);
    RunOnce(options, body);
    const Cost after = Clocks(options);
    costs.push_back(
        {after.wall - before.wall, after.client - before.client, after.server - before.server});
  }
  std::printf(R"({"ops": %zu, "wall_ns": %lld, "client_cpu_ns": %lld, "server_cpu_ns": %lld})"
              "\n",
              ops, static_cast<long long>(Median(costs, &Cost::wall)),
              static_cast<long long>(Median(costs, &Cost::client)),
              static_cast<long long>(Median(costs, &Cost::server)));
}

struct Tree {
  std::vector<std::string> files;
  std::vector<std::string> dirs;
};

// Stats every entry too, so that what follows finds warm dentries and attributes.
void Walk(const std::string& dir, Tree* tree) {
  DIR* stream = opendir(dir.c_str());
  if (stream == nullptr) Die("opendir", dir);
  tree->dirs.push_back(dir);
  std::vector<std::string> below;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string path = dir + "/" + entry->d_name;
    struct stat st {};
    if (lstat(path.c_str(), &st) != 0) Die("lstat", path);
    if (S_ISDIR(st.st_mode))
      below.push_back(std::move(path));
    else if (S_ISREG(st.st_mode))
      tree->files.push_back(std::move(path));
  }
  closedir(stream);
  for (const std::string& path : below) Walk(path, tree);
}

Tree Prepare(const Options& options) {
  Tree tree;
  Walk(options.dir, &tree);
  std::sort(tree.files.begin(), tree.files.end());
  if (options.count > tree.files.size()) {
    errno = ERANGE;
    Die("too few files under", options.dir);
  }
  if (options.count > 0) tree.files.resize(options.count);
  return tree;
}

// Directories that hold the new objects are made before the clock starts.
std::vector<std::string> NewNames(const Options& options) {
  std::vector<std::string> names;
  for (size_t i = 0; i < options.count; ++i) {
    const std::string dir = options.dir + "/" + options.phase + std::to_string(i / kFilesPerDir);
    if (i % kFilesPerDir == 0 && mkdir(dir.c_str(), 0755) != 0) Die("mkdir", dir);
    names.push_back(dir + "/n" + std::to_string(i));
  }
  return names;
}

using PathCall = void (*)(const std::string& path);

void Mkdir(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0) Die("mkdir", path);
}

void Create(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) Die("create", path);
  close(fd);
}

void Symlink(const std::string& path) {
  if (symlink("target", path.c_str()) != 0) Die("symlink", path);
}

void Stat(const std::string& path) {
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) Die("stat", path);
}

void OpenRead(const std::string& path) {
  thread_local std::vector<char> buffer(kReadBuffer);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Die("open", path);
  if (read(fd, buffer.data(), buffer.size()) < 0) Die("read", path);
  close(fd);
}

void Rename(const std::string& path) {
  if (rename(path.c_str(), (path + "-renamed").c_str()) != 0) Die("rename", path);
}

void Unlink(const std::string& path) {
  if (unlink(path.c_str()) != 0) Die("unlink", path);
}

void Chmod(const std::string& path) {
  if (chmod(path.c_str(), 0600) != 0) Die("chmod", path);
}

void Append(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) Die("open", path);
  if (write(fd, "x", 1) != 1) Die("write", path);
  close(fd);
}

struct Phase {
  std::string_view name;
  PathCall call;
  bool makes_names;  // else the names are the files found under DIR
};

constexpr Phase kPhases[] = {
    {"mkdir", Mkdir, true},    {"create", Create, true},      {"symlink", Symlink, true},
    {"stat", Stat, false},     {"openread", OpenRead, false}, {"rename", Rename, false},
    {"unlink", Unlink, false}, {"chmod", Chmod, false},       {"append", Append, false},
};

void RunPathPhase(const Options& options, const Phase& phase) {
  const std::vector<std::string> paths =
      phase.makes_names ? NewNames(options) : Prepare(options).files;
  if (phase.call == OpenRead)
    std::for_each(paths.begin(), paths.end(), OpenRead);  // warm the pages
  // Threads work in whole directories: the question is whether unrelated directories disturb each
  // other.
  const auto body = [&](size_t thread) {
    for (size_t i = 0; i < paths.size(); ++i) {
      if (i / kFilesPerDir % options.threads == thread) phase.call(paths[i]);
    }
  };
  Measure(options, paths.size(), body);
}

size_t List(const std::string& dir, bool with_stat) {
  DIR* stream = opendir(dir.c_str());
  if (stream == nullptr) Die("opendir", dir);
  size_t entries = 0;
  while (const dirent* entry = readdir(stream)) {
    struct stat st {};
    if (with_stat && fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      Die("fstatat", dir + "/" + entry->d_name);
    }
    ++entries;
  }
  closedir(stream);
  return entries;
}

void RunListPhase(const Options& options) {
  const Tree tree = Prepare(options);
  const bool with_stat = options.phase == "list";
  size_t entries = 0;
  for (const std::string& dir : tree.dirs) entries += List(dir, with_stat);
  Measure(options, entries, [&](size_t) {
    for (const std::string& dir : tree.dirs) List(dir, with_stat);
  });
}

int64_t ChildrenCpu() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto ns = [](const timeval& tv) {
    return tv.tv_sec * 1'000'000'000LL + tv.tv_usec * 1000LL;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

int RunStart(char** argv) {
  const char* first = argv[0];
  const int64_t wall0 = Nanoseconds(CLOCK_MONOTONIC);
  pid_t pid = 0;
  errno = posix_spawnp(&pid, argv[1], nullptr, nullptr, argv + 1, environ);
  if (errno != 0) Die("spawn", argv[1]);
  int status = 0;
  if (waitpid(pid, &status, 0) < 0) Die("waitpid", argv[1]);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "metadata: %s failed, wait status %d\n", argv[1], status);
    return 1;
  }
  struct stat st {};
  if (stat(first, &st) != 0) Die("first stat", first);
  const int64_t wall = Nanoseconds(CLOCK_MONOTONIC) - wall0;
  std::printf(R"({"ops": 1, "wall_ns": %lld, "client_cpu_ns": %lld, "server_cpu_ns": 0})"
              "\n",
              static_cast<long long>(wall), static_cast<long long>(ChildrenCpu()));
  return 0;
}

int Usage(int code) {
  std::fputs(kUsage.data(), code == 0 ? stdout : stderr);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int at = 1;
  for (; at + 1 < argc && std::string_view(argv[at]).starts_with("--"); at += 2) {
    const std::string_view flag = argv[at];
    if (flag == "--server")
      options.servers.push_back(std::atoi(argv[at + 1]));
    else if (flag == "--threads")
      options.threads = std::strtoull(argv[at + 1], nullptr, 10);
    else
      return Usage(2);
  }
  const int rest = argc - at;
  if (argc == 2 && std::string_view(argv[1]) == "--help") return Usage(0);
  if (rest >= 3 && std::string_view(argv[at]) == "start") return RunStart(argv + at + 1);
  if (rest < 2 || rest > 4 || options.threads == 0) return Usage(2);
  options.phase = argv[at];
  options.dir = argv[at + 1];
  if (rest > 2) options.count = std::strtoull(argv[at + 2], nullptr, 10);
  if (rest > 3) options.repeat = std::strtoull(argv[at + 3], nullptr, 10);
  if (options.repeat == 0) return Usage(2);
  if (options.phase == "readdir" || options.phase == "list") return RunListPhase(options), 0;
  for (const Phase& phase : kPhases) {
    if (phase.name == options.phase) return RunPathPhase(options, phase), 0;
  }
  return Usage(2);
}
