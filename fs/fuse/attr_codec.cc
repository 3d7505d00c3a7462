// attr_codec.cc: see attr_codec.h.
#include "fs/fuse/attr_codec.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmath>

namespace plyfs {
namespace {

constexpr double kForeverSeconds = 1e9;

// The protocol's seconds are unsigned only by declaration: times before 1970 are negative.
abi::SxTime EncodeTime(const timespec& time) {
  return {.tv_sec = time.tv_sec, .tv_nsec = static_cast<uint32_t>(time.tv_nsec), .reserved = 0};
}

timespec DecodeTime(uint64_t seconds, uint32_t nanoseconds) {
  return {.tv_sec = static_cast<time_t>(seconds), .tv_nsec = static_cast<long>(nanoseconds)};
}

}  // namespace

Validity Validity::FromSeconds(double seconds) {
  if (!(seconds > 0)) return {};
  if (seconds >= kForeverSeconds) return {.seconds = static_cast<uint64_t>(kForeverSeconds)};
  const double whole = std::floor(seconds);
  return {.seconds = static_cast<uint64_t>(whole),
          .nanoseconds = static_cast<uint32_t>((seconds - whole) * 1e9)};
}

uint32_t EncodeDevice(dev_t device) {
  const uint32_t high = major(device);
  const uint32_t low = minor(device);
  return (low & 0xff) | (high << 8) | ((low & ~uint32_t{0xff}) << 12);
}

dev_t DecodeDevice(uint32_t device) {
  return makedev((device & 0xfff00) >> 8, (device & 0xff) | ((device >> 12) & 0xfff00));
}

fuse_attr EncodeAttr(const Attr& attr) {
  fuse_attr out{};
  out.ino = attr.ino.value;
  out.size = attr.size;
  out.blocks = attr.blocks;
  out.atime = static_cast<uint64_t>(attr.atime.tv_sec);
  out.mtime = static_cast<uint64_t>(attr.mtime.tv_sec);
  out.ctime = static_cast<uint64_t>(attr.ctime.tv_sec);
  out.atimensec = static_cast<uint32_t>(attr.atime.tv_nsec);
  out.mtimensec = static_cast<uint32_t>(attr.mtime.tv_nsec);
  out.ctimensec = static_cast<uint32_t>(attr.ctime.tv_nsec);
  out.mode = attr.mode;
  out.nlink = attr.nlink;
  out.uid = attr.uid;
  out.gid = attr.gid;
  out.rdev = EncodeDevice(attr.rdev);
  out.blksize = attr.blksize;
  return out;
}

fuse_attr_out EncodeAttrOut(const Attr& attr, Validity validity) {
  fuse_attr_out out{};
  out.attr_valid = validity.seconds;
  out.attr_valid_nsec = validity.nanoseconds;
  out.attr = EncodeAttr(attr);
  return out;
}

fuse_entry_out EncodeEntry(const Entry& entry, Validity validity, Validity attributes) {
  fuse_entry_out out{};
  out.nodeid = Value(entry.id);
  out.entry_valid = validity.seconds;
  out.entry_valid_nsec = validity.nanoseconds;
  if (entry.id == NodeId::kNone) return out;
  // NodeIds are never reused, so the generation stays 0.
  out.attr_valid = attributes.seconds;
  out.attr_valid_nsec = attributes.nanoseconds;
  out.attr = EncodeAttr(entry.attr);
  return out;
}

abi::StatxOut EncodeStatx(const Attr& attr, Validity validity) {
  abi::StatxOut out{};
  out.attr_valid = validity.seconds;
  out.attr_valid_nsec = validity.nanoseconds;
  abi::Statx& stat = out.stat;
  stat.mask = STATX_BASIC_STATS;
  if (attr.btime.tv_sec != 0 || attr.btime.tv_nsec != 0) {
    stat.mask |= STATX_BTIME;
    stat.btime = EncodeTime(attr.btime);
  }
  stat.blksize = attr.blksize;
  stat.nlink = attr.nlink;
  stat.uid = attr.uid;
  stat.gid = attr.gid;
  stat.mode = static_cast<uint16_t>(attr.mode);
  stat.ino = attr.ino.value;
  stat.size = attr.size;
  stat.blocks = attr.blocks;
  stat.atime = EncodeTime(attr.atime);
  stat.ctime = EncodeTime(attr.ctime);
  stat.mtime = EncodeTime(attr.mtime);
  stat.rdev_major = major(attr.rdev);
  stat.rdev_minor = minor(attr.rdev);
  return out;
}

AttrChange DecodeAttrChange(const fuse_setattr_in& in) {
  AttrChange change;
  if ((in.valid & FATTR_MODE) != 0) change.mode = in.mode & 07777;
  if ((in.valid & FATTR_UID) != 0) change.uid = in.uid;
  if ((in.valid & FATTR_GID) != 0) change.gid = in.gid;
  if ((in.valid & FATTR_SIZE) != 0) change.size = in.size;
  constexpr timespec kNow{.tv_sec = 0, .tv_nsec = UTIME_NOW};
  if ((in.valid & FATTR_ATIME_NOW) != 0) {
    change.atime = kNow;
  } else if ((in.valid & FATTR_ATIME) != 0) {
    change.atime = DecodeTime(in.atime, in.atimensec);
  }
  if ((in.valid & FATTR_MTIME_NOW) != 0) {
    change.mtime = kNow;
  } else if ((in.valid & FATTR_MTIME) != 0) {
    change.mtime = DecodeTime(in.mtime, in.mtimensec);
  }
  change.kill_suidgid = (in.valid & FATTR_KILL_SUIDGID) != 0;
  return change;
}

}  // namespace plyfs
