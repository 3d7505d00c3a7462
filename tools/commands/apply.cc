// apply.cc: plyfs apply: an OCI layer into a directory.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "fs/base/unique_fd.h"
#include "fs/oci/apply.h"
#include "tools/commands/commands.h"
#include "tools/commands/console.h"
#include "tools/commands/progress.h"

namespace plyfs {
namespace {

// Fails with errno set.
UniqueFd OpenLayer(const std::string& path) {
  if (path == "-") return UniqueFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
  UniqueFd layer(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat stat;
  if (!layer.valid() || ::fstat(layer.get(), &stat) != 0 || !S_ISDIR(stat.st_mode)) return layer;
  errno = EISDIR;
  return UniqueFd();
}

// 0 of a pipe.
uint64_t SizeOf(int file) {
  struct stat stat;
  return ::fstat(file, &stat) == 0 && S_ISREG(stat.st_mode) ? static_cast<uint64_t>(stat.st_size) : 0;
}

bool Apply(int layer, int directory, LayerError* error) {
  std::atomic<uint64_t> entries = 0;
  std::atomic<uint64_t> bytes = 0;
  const uint64_t size = SizeOf(layer);
  const Progress progress("unpacking the layer", [&]() -> ProgressState {
    const off_t position = size > 0 ? ::lseek(layer, 0, SEEK_CUR) : 0;
    return {.done = static_cast<uint64_t>(position),
            .total = size,
            .counted = absl::StrCat(entries.load(), " entries, ", SizeText(bytes))};
  });
  ApplySummary summary;
  return ApplyLayer(layer, directory,
                    {.progress =
                         [&](const LayerProgress& so_far) {
                           entries = so_far.entries;
                           bytes = so_far.bytes;
                         },
                     .warning = [](const std::string& text) { PrintError("warning: " + text); }},
                    &summary, error);
}

}  // namespace

int RunApply(const ApplyCommandOptions& options) {
  const UniqueFd layer = OpenLayer(options.layer);
  if (!layer.valid()) {
    PrintError(absl::StrCat("layer '", options.layer, "' cannot be opened: ", std::strerror(errno)));
    return kToolFailed;
  }
  const UniqueFd directory(::open(options.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    PrintError(absl::StrCat("directory '", options.directory, "' cannot be opened: ", std::strerror(errno),
                            "; it must exist before"));
    return kToolFailed;
  }
  LayerError error;
  if (Apply(layer.get(), directory.get(), &error)) return kToolOk;
  PrintError(absl::StrCat("layer '", options.layer, "' into '", options.directory, "': ", error.message));
  return kToolFailed;
}

}  // namespace plyfs
