// subcommand.cc: see subcommand.h.
#include "tools/subcommand.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>

namespace plyfs {
namespace {

constexpr std::string_view kSubcommands[] = {"changes", "diff", "apply", "checkpoint", "watch", "fsck", "stats"};
constexpr const char* kProgram = "/plyfs-tools";
constexpr int kFailed = 1;

std::string OwnDirectory() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return "";
  const std::string_view whole(path, static_cast<size_t>(length));
  return std::string(whole.substr(0, whole.rfind('/')));
}

}  // namespace

bool IsSubcommand(std::string_view argument) {
  return std::find(std::begin(kSubcommands), std::end(kSubcommands), argument) != std::end(kSubcommands);
}

int ExecSubcommand(char** argv) {
  int reason = ENOENT;
  const std::string own = OwnDirectory();
  for (const std::string& directory : {own, std::string(PLYFS_LIBEXECDIR)}) {
    if (directory.empty()) continue;
    ::execv((directory + kProgram).c_str(), argv);
    if (errno != ENOENT) reason = errno;
  }
  std::fprintf(stderr, "plyfs: the program plyfs-tools, which does `plyfs %s`, is neither in %s nor in %s: %s\n", argv[1],
               own.empty() ? "the directory of plyfs" : own.c_str(), PLYFS_LIBEXECDIR, std::strerror(reason));
  return kFailed;
}

}  // namespace plyfs
