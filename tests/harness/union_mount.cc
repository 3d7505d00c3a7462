// union_mount.cc: running mount programs, and making sure that nothing of them stays.
#include "tests/harness/union_mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "tests/harness/file_ops.h"
#include "tests/harness/hang_guard.h"
#include "tests/harness/uring.h"

#ifndef PLYFS_BINARY
#define PLYFS_BINARY "plyfs"
#endif

namespace plyfs::test {
namespace {

constexpr int kMountSeconds = 30;
constexpr int kServerExitSeconds = 20;

std::string Escaped(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == ':' || c == ',' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

std::string ReadAllOf(const std::string& path) {
  std::string content;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return content;
  char buffer[16384];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0)
    content.append(buffer, static_cast<size_t>(got));
  close(fd);
  return content;
}

// Zombies have an empty environment, so they do not count as alive.
std::vector<pid_t> ProcessesWithEnvironment(const std::string& setting) {
  std::vector<pid_t> pids;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = proc == nullptr ? nullptr : readdir(proc)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    const std::string environment =
        std::string(1, '\0') + ReadAllOf("/proc/" + std::string(entry->d_name) + "/environ");
    if (environment.find(std::string(1, '\0') + setting + std::string(1, '\0')) !=
        std::string::npos) {
      pids.push_back(pid);
    }
  }
  if (proc != nullptr) closedir(proc);
  return pids;
}

pid_t ParentOf(pid_t pid) {
  const std::string stat = ReadAllOf("/proc/" + std::to_string(pid) + "/stat");
  const size_t after_name = stat.rfind(')');
  char state = 0;
  int parent = 0;
  if (after_name == std::string::npos) return 0;
  sscanf(stat.c_str() + after_name + 1, " %c %d", &state, &parent);
  return parent;
}

ProgramResult MountKernelOverlay(const UnionOptions& options) {
  ProgramResult result;
  const std::string data = MountOptionString(options);
  const unsigned long flags = options.upper.empty() ? MS_RDONLY : 0;
  const int rc = mount("overlay", options.mountpoint.c_str(), "overlay", flags, data.c_str());
  result.exit_code = rc == 0 ? 0 : 32;
  if (rc != 0) result.err = "mount -t overlay -o " + data + ": " + strerror(errno);
  return result;
}

ProgramResult RunMount(const UnionOptions& options, const std::vector<std::string>& environment) {
  if (options.target == Target::kExt4) return ProgramResult{.exit_code = 0, .out = "", .err = ""};
  if (!options.mountpoint.empty()) mkdir(options.mountpoint.c_str(), 0755);
  if (options.target == Target::kKernelOverlay) return MountKernelOverlay(options);
  const std::string program = options.target == Target::kPlyfs ? PlyfsBinary() : "fuse-overlayfs";
  return RunProgram({program, "-o", MountOptionString(options), options.mountpoint},
                    {.timeout_seconds = kMountSeconds,
                     .environment = environment,
                     .before_exec = options.before_exec});
}

// st_dev of the mount without asking its server: statx without sync could still hang in LOOKUP.
// The mountpoint's own attributes are in the mount table.
dev_t DeviceMountedAt(const std::string& mountpoint) {
  const std::string table = ReadAllOf("/proc/self/mountinfo");
  char resolved[PATH_MAX];
  // The parent is resolved, not the mountpoint: that could hang.
  const std::string parent = mountpoint.substr(0, mountpoint.rfind('/'));
  const std::string base = mountpoint.substr(mountpoint.rfind('/') + 1);
  if (realpath(parent.empty() ? "/" : parent.c_str(), resolved) == nullptr) return 0;
  const std::string wanted = std::string(resolved) + "/" + base + " ";
  dev_t device = 0;
  for (size_t at = 0; at < table.size();) {
    const size_t end = table.find('\n', at);
    const std::string line = table.substr(at, end - at);
    at = end == std::string::npos ? table.size() : end + 1;
    unsigned major_number = 0, minor_number = 0;
    int consumed = 0;
    if (sscanf(line.c_str(), "%*d %*d %u:%u %*s %n", &major_number, &minor_number, &consumed) < 2)
      continue;
    if (line.compare(static_cast<size_t>(consumed), wanted.size(), wanted) == 0)
      device = makedev(major_number, minor_number);
  }
  return device;
}

}  // namespace

const char* NameOf(Target target) {
  switch (target) {
    case Target::kExt4:
      return "Ext4";
    case Target::kKernelOverlay:
      return "KernelOverlay";
    case Target::kPlyfs:
      return "Plyfs";
    case Target::kFuseOverlayfs:
      return "FuseOverlayfs";
  }
  return "?";
}

std::string PlyfsBinary() {
  const char* from_environment = getenv("PLYFS");
  return from_environment != nullptr && *from_environment != '\0' ? from_environment : PLYFS_BINARY;
}

std::string MountOptionString(const UnionOptions& options) {
  std::string text = "lowerdir=";
  for (size_t i = 0; i < options.lowers.size(); ++i)
    text += (i == 0 ? "" : ":") + Escaped(options.lowers[i]);
  if (!options.upper.empty()) text += ",upperdir=" + Escaped(options.upper);
  if (!options.work.empty()) text += ",workdir=" + Escaped(options.work);
  if (!options.extra.empty()) text += "," + options.extra;
  if (options.target == Target::kPlyfs && !OptionsForAllMounts().empty()) {
    text += "," + OptionsForAllMounts();
  }
  return text;
}

ProgramResult TryMount(const UnionOptions& options) {
  return RunMount(options, options.environment);
}

void Unmount(const std::string& mountpoint, int timeout_seconds) {
  const dev_t device = DeviceMountedAt(mountpoint);
  const ProgramResult result =
      RunProgram({"umount", mountpoint}, {.timeout_seconds = timeout_seconds});
  if (result.exit_code == 0) return;
  ADD_FAILURE() << "umount " << mountpoint << ": exit " << result.exit_code << " " << result.err;
  AbortFuseConnection(device);
  umount2(mountpoint.c_str(), MNT_DETACH);
}

UnionMount::UnionMount(UnionOptions options) : options_(std::move(options)) {
  static std::atomic<int> count{0};
  marker_ = "PLYFS_TEST_MOUNT=" + std::to_string(getpid()) + "-" + std::to_string(count++);
  Mount();
}

UnionMount::~UnionMount() { Unmount(); }

const std::string& UnionMount::path() const {
  return options_.target == Target::kExt4 ? options_.upper : options_.mountpoint;
}

void UnionMount::Mount() {
  if (mounted_) return;
  std::vector<std::string> environment = options_.environment;
  environment.push_back(marker_);
  const ProgramResult result = RunMount(options_, environment);
  if (result.exit_code != 0) {
    ADD_FAILURE() << NameOf(options_.target) << " -o " << MountOptionString(options_) << ": exit "
                  << result.exit_code << "\n"
                  << result.out << result.err;
    return;
  }
  mounted_ = true;
  if (options_.target == Target::kExt4) return;
  device_ = DeviceMountedAt(options_.mountpoint);
  if (device_ == 0) {
    ADD_FAILURE() << "exit 0, but nothing is mounted at " << options_.mountpoint;
  }
  WatchFuseConnection(device_);
  // A mount that fell back would be a test of something else.
  if (options_.target == Target::kPlyfs && OptionsForAllMounts() == "transport=uring") {
    EXPECT_TRUE(HasIoUring(ServerPid())) << options_.mountpoint << " is not served over io_uring";
  }
}

void UnionMount::Unmount() {
  if (!mounted_) return;
  mounted_ = false;
  if (options_.target == Target::kExt4) return;
  const std::vector<pid_t> servers = ServerPids();
  test::Unmount(options_.mountpoint);
  UnwatchFuseConnection(device_);
  for (int waited = 0; !ProcessesWithEnvironment(marker_).empty(); ++waited) {
    if (waited < kServerExitSeconds * 100) {
      usleep(10000);
      continue;
    }
    ADD_FAILURE() << "the server lives on " << kServerExitSeconds << " s after the unmount";
    for (const pid_t pid : ProcessesWithEnvironment(marker_)) kill(pid, SIGKILL);
    break;
  }
  for (const pid_t pid : servers) waitpid(pid, nullptr, WNOHANG);
}

void UnionMount::Remount() {
  Unmount();
  Mount();
}

void UnionMount::RemountWith(const std::string& extra) {
  Unmount();
  options_.extra = extra;
  Mount();
}

void UnionMount::DropCaches() const {
  if (options_.target == Target::kExt4) return;
  // do_remount_sb shrinks the superblock's dentries; neither FUSE nor overlayfs keeps an inode
  // that nobody refers to.
  const ProgramResult result = RunProgram({"mount", "-i", "-o", "remount", path()});
  if (result.exit_code != 0) {
    ADD_FAILURE() << "remount " << path() << ": " << result.err;
  }
}

std::vector<pid_t> UnionMount::ServerPids() const {
  if (options_.target == Target::kExt4 || options_.target == Target::kKernelOverlay) return {};
  return ProcessesWithEnvironment(marker_);
}

pid_t UnionMount::ServerPid() const {
  const std::vector<pid_t> pids = ServerPids();
  for (const pid_t pid : pids) {
    if (std::find(pids.begin(), pids.end(), ParentOf(pid)) != pids.end()) return pid;
  }
  return pids.empty() ? 0 : pids.front();
}

}  // namespace plyfs::test
