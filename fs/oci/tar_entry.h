// tar_entry.h: one entry of a layer's tar, without its content.
// Not here: what a name means (layer_path.h), the bytes of a tar (tar_writer.h, tar_reader.h).
// Thread safety: a value type.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace plyfs {

// Name and value of an extended attribute; any bytes but NUL in the name.
using TarXattr = std::pair<std::string, std::string>;

struct TarEntry {
  std::string path;  // as in the tar; any bytes but NUL
  mode_t mode = 0;   // type and permission bits; the type says nothing for a hard link
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t rdev = 0;    // as makedev(3)
  uint64_t size = 0;  // of a regular file
  timespec mtime{};   // tv_sec may be negative, tv_nsec never is
  std::optional<timespec> atime;
  bool is_hard_link = false;
  std::string link;   // the target of a symlink, the other name of a hard link
  std::vector<TarXattr> xattrs;
};

// How an attribute's name is written behind "SCHILY.xattr.". GNU tar's way: "=" ends a keyword, so it becomes "%3D", and a "%" that
// would be taken for the start of such a thing "%25". All other names are written as they are, for readers that know of no escape.
std::string EncodeXattrKeyword(const std::string& name);
std::string DecodeXattrKeyword(const std::string& keyword);

// A path for messages: control characters and bytes that are no ASCII as \xHH, shortened in the middle.
std::string Printable(const std::string& path);

}  // namespace plyfs
