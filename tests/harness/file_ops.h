// file_ops.h: short spellings for what a test does to files.
// Not here: comparing whole trees (tree_snapshot.h).
// Thread safety: stateless. Functions that return no error report theirs as a gtest failure.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

namespace plyfs::test {

/// The whole content; a gtest failure and "" when it cannot be read.
std::string ReadFile(const std::string& path);
/// Creates or truncates, then writes. `mode` is set exactly (no umask) when the file is created.
void WriteFile(const std::string& path, const std::string& content, mode_t mode = 0644);
void AppendFile(const std::string& path, const std::string& content);

/// Creates `path` and its missing parents (mode 0755).
void MakeDirs(const std::string& path);
void MakeSymlink(const std::string& target, const std::string& path);
void MakeHardLink(const std::string& existing, const std::string& path);
/// A character device 0:0, as overlayfs writes it.
void MakeWhiteout(const std::string& path);
/// Sets trusted.overlay.opaque=y.
void MakeOpaque(const std::string& path);

/// lstat; a gtest failure and zeros when it fails.
struct stat Lstat(const std::string& path);
/// lstat succeeds.
bool Exists(const std::string& path);
/// 0, or the errno of lstat.
int LstatErrno(const std::string& path);
std::string ReadLink(const std::string& path);

/// Names but `.` and `..`, sorted.
std::vector<std::string> ListDir(const std::string& path);

/// No symlink is followed. nullopt when there is no such xattr; other errors are gtest failures.
std::optional<std::string> GetXattr(const std::string& path, const std::string& name);
/// Returns 0 or the errno. `flags`: 0, XATTR_CREATE, XATTR_REPLACE.
int SetXattr(const std::string& path, const std::string& name, const std::string& value,
             int flags = 0);
int RemoveXattr(const std::string& path, const std::string& name);
/// Sorted.
std::vector<std::string> ListXattrs(const std::string& path);

}  // namespace plyfs::test
