// identity_file.cc: see identity_file.h.
#include "fs/overlay/identity_file.h"

#include <cinttypes>
#include <cstdio>
#include <string>
#include <string_view>

#include "fs/base/log.h"
#include "fs/overlay/core.h"

namespace plyfs {
namespace {

constexpr const char* kFile = "identity";
constexpr std::string_view kHeader = "plyfs-identity 1";

// A line that does not parse is left out: it costs a number, nothing else.
void TakeLine(Core& core, const std::string& line) {
  InodeOrigin origin;
  DiskInode lower;
  uint32_t count = 0;
  if (std::sscanf(line.c_str(), "origin %" SCNu64 " %" SCNd64 " %" SCNu64, &origin.upper_inode, &origin.birth_ns,
                  &origin.shown) == 3) {
    core.numbers.LoadOrigin(origin);
  } else if (std::sscanf(line.c_str(), "removed %" SCNu64 " %" SCNu64 " %" SCNu32, &lower.device, &lower.inode, &count) == 3) {
    core.link_counts.Load(lower, count);
  }
}

std::string Format(const Core& core) {
  std::string text(kHeader);
  text += '\n';
  char line[128];
  core.numbers.ForEachOrigin([&](const InodeOrigin& origin) {
    text.append(line, std::snprintf(line, sizeof line, "origin %" PRIu64 " %" PRId64 " %" PRIu64 "\n", origin.upper_inode,
                                    origin.birth_ns, origin.shown));
  });
  core.link_counts.ForEach([&](const DiskInode& lower, uint32_t count) {
    text.append(line, std::snprintf(line, sizeof line, "removed %" PRIu64 " %" PRIu64 " %" PRIu32 "\n", lower.device,
                                    lower.inode, count));
  });
  return text;
}

}  // namespace

void LoadIdentity(Core& core) {
  if (core.read_only()) return;
  const Result<std::string> text = core.work().TakeFile(kFile);
  if (!text.ok()) return;
  std::string_view rest(*text);
  bool is_first = true;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string line(rest.substr(0, end));
    if (is_first && line != kHeader) return;
    if (!is_first) TakeLine(core, line);
    is_first = false;
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
  }
}

void SaveIdentity(Core& core) {
  if (core.read_only()) return;
  const std::string text = Format(core);
  if (text.size() == kHeader.size() + 1) return;  // nothing to remember
  const Errno error = core.work().PutFile(kFile, text);
  if (!error.ok()) LogWarning("inode numbers could not be kept for the next mount: errno %d", error.value());
}

}  // namespace plyfs
