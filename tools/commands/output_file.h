// output_file.h: a file that appears under its name only when it is complete.
// Thread safety: one owner.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "fs/base/unique_fd.h"

namespace plyfs {

class OutputFile {
 public:
  // An unnamed file in the directory of `path`; where the filesystem has none, a file `path`.PID.part that is removed at the
  // end, by SIGINT, SIGTERM and SIGHUP too. A device or a pipe of that name is written as it is.
  absl::Status Open(const std::string& path);
  // Gives it its name, in the place of what had that name.
  absl::Status Commit();
  ~OutputFile();

  int fd() const { return fd_.get(); }

 private:
  absl::Status Failure(const char* what) const;

  std::string path_;
  std::string part_;  // path_.PID.part
  UniqueFd fd_;
  bool part_exists_ = false;
  bool in_place_ = false;
};

}  // namespace plyfs
