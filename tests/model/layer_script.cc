// layer_script.cc: a layer as shell commands.

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "tests/model/layer_spec.h"

namespace plyfs::model {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string BaseOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string ShellQuote(const std::string& text) {
  const size_t run_begin = text.find("LLLLL");
  const size_t run_end =
      run_begin == std::string::npos ? run_begin : text.find_first_not_of('L', run_begin);
  if (run_begin != std::string::npos) {
    const size_t end = std::min(run_end, text.size());
    return ShellQuote(text.substr(0, run_begin)) + "$(printf 'L%.0s' {1.." +
           std::to_string(end - run_begin) + "})" + ShellQuote(text.substr(end));
  }
  std::string out = "$'";
  for (const unsigned char c : text) {
    char escape[8];
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 32 || c >= 127) {
      snprintf(escape, sizeof escape, "\\%03o", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "'";
}

std::string Path(const std::string& path) { return path.empty() ? "." : ShellQuote(path); }

std::string Num(int64_t value) { return std::to_string(value); }

std::string WhiteoutShell(const LayerEntry& entry) {
  const std::string parent = ParentOf(entry.path);
  const std::string marked = (parent.empty() ? "" : parent + "/") + ".wh." + BaseOf(entry.path);
  switch (entry.form) {
    case MarkForm::kFuse:
    case MarkForm::kOci:
      return ": > " + Path(marked) + "\n";
    case MarkForm::kXattr:
      return ": > " + Path(entry.path) + "; setfattr -n trusted.overlay.whiteout -v '' " +
             Path(entry.path) + "; setfattr -n trusted.overlay.opaque -v x " + Path(parent) + "\n";
    default:
      return "mknod " + Path(entry.path) + " c 0 0\n";
  }
}

std::string OpaqueShell(const LayerEntry& entry) {
  switch (entry.form) {
    case MarkForm::kOverlayUser:
      return "; setfattr -n user.overlay.opaque -v y " + Path(entry.path);
    case MarkForm::kFuse:
      return "; setfattr -n user.fuseoverlayfs.opaque -v y " + Path(entry.path);
    case MarkForm::kOci:
      return "; : > " + Path(entry.path + "/.wh..wh..opq");
    default:
      return "; setfattr -n trusted.overlay.opaque -v y " + Path(entry.path);
  }
}

std::string MakeShell(const LayerEntry& entry) {
  const std::string path = Path(entry.path);
  if (S_ISDIR(entry.mode)) return "mkdir -p " + path + (entry.opaque ? OpaqueShell(entry) : "");
  if (S_ISLNK(entry.mode)) return "ln -s " + ShellQuote(entry.target) + " " + path;
  if (S_ISFIFO(entry.mode)) return "mkfifo " + path;
  if (S_ISSOCK(entry.mode)) return "nc -lU " + path + " & kill $!";
  if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) {
    return "mknod " + path + (S_ISCHR(entry.mode) ? " c " : " b ") + Num(major(entry.rdev)) + " " +
           Num(minor(entry.rdev));
  }
  std::string out = "truncate -s " + Num(entry.size) + " " + path;
  for (const Extent& extent : entry.extents) {
    out += "; head -c " + Num(extent.length) +
           " /dev/urandom | dd conv=notrunc bs=1 status=none seek=" + Num(extent.offset) +
           " of=" + path;
  }
  return out;
}

}  // namespace

std::string ToShell(const LayerSpec& layer) {
  std::string out;
  for (const LayerEntry& entry : layer) {
    if (entry.whiteout) {
      out += WhiteoutShell(entry);
      continue;
    }
    if (!entry.link_to.empty()) {
      out += "ln " + Path(entry.link_to) + " " + Path(entry.path) + "\n";
      continue;
    }
    char mode[16];
    snprintf(mode, sizeof mode, "%04o", entry.mode & 07777);
    out += MakeShell(entry) + "; chown -h " + Num(entry.uid) + ":" + Num(entry.gid) + " " +
           Path(entry.path);
    if (!S_ISLNK(entry.mode)) out += "; chmod " + std::string(mode) + " " + Path(entry.path);
    for (const auto& [name, value] : entry.xattrs) {
      out += "; setfattr -h -n " + ShellQuote(name) + " -v " + ShellQuote(value) + " " +
             Path(entry.path);
    }
    out += "; touch -h -d @" + Num(entry.mtime.tv_sec) + "." + Num(entry.mtime.tv_nsec) + " " +
           Path(entry.path) + "\n";
  }
  return out;
}

}  // namespace plyfs::model
