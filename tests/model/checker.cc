// checker.cc: one answer against the model's.

#include "tests/model/checker.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <set>

namespace plyfs::model {
namespace {

std::string Num(int64_t value) { return std::to_string(value); }

std::string Octal(mode_t mode) {
  char text[16];
  snprintf(text, sizeof text, "0%o", mode);
  return text;
}

std::string Differs(const std::string& what, const std::string& expected,
                    const std::string& actual) {
  return what + " expected " + expected + ", got " + actual + "; ";
}

std::string TimeText(const timespec& time) { return Num(time.tv_sec) + "." + Num(time.tv_nsec); }

// Where two byte strings part, with what stands there.
std::string DataDiffers(const std::string& what, const std::string& expected,
                        const std::string& actual) {
  if (expected == actual) return "";
  size_t at = 0;
  while (at < expected.size() && at < actual.size() && expected[at] == actual[at]) ++at;
  return what + " differs at byte " + Num(static_cast<int64_t>(at)) + ": expected length " +
         Num(static_cast<int64_t>(expected.size())) + " " + Quote(expected.substr(at, 16)) +
         ", got length " + Num(static_cast<int64_t>(actual.size())) + " " +
         Quote(actual.substr(at, 16)) + "; ";
}

}  // namespace

std::string Checker::CheckNumber(const InodePtr& inode, ino_t number) {
  if (!options_.inode_numbers) return "";
  if (inode->ino.has_value()) {
    if (*inode->ino == number) return "";
    return Differs("inode number", Num(static_cast<int64_t>(*inode->ino)),
                   Num(static_cast<int64_t>(number)));
  }
  inode->ino = number;
  std::weak_ptr<Inode>& owner = owners_[number];
  const InodePtr other = owner.lock();
  owner = inode;
  // A removed directory that is still open is nothing but its number; that may be used again.
  if (other != nullptr && other != inode && other->ino == number && !other->dead) {
    return "inode number " + Num(static_cast<int64_t>(number)) + " belongs to another object; ";
  }
  return "";
}

std::string Checker::CheckStat(const InodePtr& inode, const struct stat& st) {
  std::string out;
  if (inode->mode != st.st_mode) out += Differs("mode", Octal(inode->mode), Octal(st.st_mode));
  if (inode->uid != st.st_uid) out += Differs("uid", Num(inode->uid), Num(st.st_uid));
  if (inode->gid != st.st_gid) out += Differs("gid", Num(inode->gid), Num(st.st_gid));
  if ((S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) && inode->rdev != st.st_rdev) {
    out += Differs("rdev", Num(static_cast<int64_t>(inode->rdev)),
                   Num(static_cast<int64_t>(st.st_rdev)));
  }
  const off_t size = static_cast<off_t>(inode->data.size());
  if (!inode->IsDir() && size != st.st_size) out += Differs("size", Num(size), Num(st.st_size));
  // Names that a lower has and the union hides may count or not.
  const bool forgotten = remounted_ && inode->linked_in_lower && st.st_nlink > inode->nlink;
  if (options_.nlink && !inode->IsDir() && st.st_nlink != inode->nlink &&
      st.st_nlink != inode->nlink + inode->hidden && !forgotten) {
    out += Differs("nlink", Num(static_cast<int64_t>(inode->nlink)),
                   Num(static_cast<int64_t>(st.st_nlink)));
  }
  if (options_.one_device && device_ != 0 && st.st_dev != device_) {
    out +=
        Differs("st_dev", Num(static_cast<int64_t>(device_)), Num(static_cast<int64_t>(st.st_dev)));
  }
  const bool sure = !inode->mtime_may_be_stale && (options_.directory_mtime || !inode->IsDir());
  if (options_.mtime && sure) {
    if (!inode->mtime.has_value()) inode->mtime = st.st_mtim;
    if (inode->mtime->tv_sec != st.st_mtim.tv_sec || inode->mtime->tv_nsec != st.st_mtim.tv_nsec) {
      out += Differs("mtime", TimeText(*inode->mtime), TimeText(st.st_mtim));
      inode->mtime = st.st_mtim;
    }
  }
  return out + CheckNumber(inode, st.st_ino);
}

bool Checker::Counts(const InodePtr& dir, const std::string& name) const {
  if (options_.name_prefix.empty() || dir->parent.lock() != nullptr) return true;
  return name.rfind(options_.name_prefix, 0) == 0;
}

std::string Checker::CheckListing(const InodePtr& dir,
                                  const std::map<std::string, InodePtr>& expected,
                                  const Actual& actual) {
  std::string out;
  if (options_.listed_numbers && !actual.has_dots)
    out += "\".\" or \"..\" is missing or has a wrong number; ";
  std::set<std::string> seen;
  for (const DirEntry& entry : actual.entries) {
    if (!Counts(dir, entry.name)) continue;
    const auto found = expected.find(entry.name);
    if (!seen.insert(entry.name).second) {
      out += Quote(entry.name) + " is listed twice; ";
    } else if (found == expected.end()) {
      out += Quote(entry.name) + " is listed and should not be; ";
    } else if (options_.whiteout_devices || !found->second->IsWhiteoutDevice()) {
      if (entry.type != IFTODT(found->second->mode)) {
        out += Differs("d_type of " + Quote(entry.name), Num(IFTODT(found->second->mode)),
                       Num(entry.type));
      }
      const std::string problem =
          options_.listed_numbers ? CheckNumber(found->second, entry.ino) : "";
      if (!problem.empty()) out += "d_ino of " + Quote(entry.name) + ": " + problem;
    }
  }
  for (const auto& [name, inode] : expected) {
    if (seen.count(name) == 0) out += Quote(name) + " is not listed; ";
  }
  return out;
}

// Names that come or go while a directory is read may be seen or not; all others exactly once.
std::string Checker::CheckStream(const Expected& expected, const Actual& actual) {
  std::string out;
  std::map<std::string, int> count;
  for (const DirEntry& entry : actual.entries) ++count[entry.name];
  for (const auto& [name, times] : count) {
    if (expected.possible.count(name) == 0 && options_.name_prefix.empty()) {
      out += Quote(name) + " is listed and was never there; ";
    }
    if (times > 1 && expected.lasting.count(name) > 0) out += Quote(name) + " is listed twice; ";
  }
  if (actual.error != 0) return out;
  for (const std::string& name : expected.lasting) {
    if (count.count(name) == 0) out += Quote(name) + " was skipped; ";
  }
  return out;
}

std::string Checker::CheckOp(const Op& op, const Expected& expected, const Actual& actual) {
  const bool other = expected.other_error != 0 && actual.error == expected.other_error;
  if (actual.error != expected.error && !other) {
    return Differs("errno", ErrnoName(expected.error), ErrnoName(actual.error));
  }
  std::string out;
  if (op.kind == OpKind::kDirEnd) {
    // A removed directory lists nothing more.
    return expected.other_error == 0 ? CheckStream(expected, actual) : "";
  }
  if (actual.error != 0) return "";
  if (op.kind == OpKind::kReaddir) out += CheckListing(expected.inode, expected.entries, actual);
  out += DataDiffers("data", expected.data, actual.data);
  if (expected.value != actual.value) {
    out += Differs("count", Num(expected.value), Num(actual.value));
  }
  if (expected.inode != nullptr) out += CheckStat(expected.inode, actual.st);
  return out;
}

}  // namespace plyfs::model
