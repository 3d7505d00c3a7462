// upper_probe.cc: see upper_probe.h.
#include "fs/layer/upper_probe.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>


namespace plyfs {
namespace {

// Names of one probe; all removed at its end.
class ProbeNames {
 public:
  explicit ProbeNames(WorkDir& work) : work_(work), a_(work.NewTempName()), b_(work.NewTempName()) {}
  ~ProbeNames() {
    work_.Discard(a_).Ignore("tmp/ is swept at the next mount");
    work_.Discard(b_).Ignore("tmp/ is swept at the next mount");
  }
  ObjectRef a() const { return {.dir = work_.tmp(), .name = a_.c_str()}; }
  ObjectRef b() const { return {.dir = work_.tmp(), .name = b_.c_str()}; }

 private:
  WorkDir& work_;
  const std::string a_;
  const std::string b_;
};

Errno MakeFile(const ObjectRef& at) { return Errno::Of(::mknodat(at.dir, at.name, S_IFREG | 0600, 0)); }

// A filesystem may accept the call and store something else (NFS squashing, virtiofs without CAP_MKNOD): look at it.
bool DeviceWhiteoutWorks(WorkDir& work) {
  const ProbeNames names(work);
  struct statx stat;
  return ::mknodat(names.a().dir, names.a().name, S_IFCHR, makedev(0, 0)) == 0 &&
         ::statx(names.a().dir, names.a().name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stat) == 0 &&
         S_ISCHR(stat.stx_mode) && stat.stx_rdev_major == 0 && stat.stx_rdev_minor == 0;
}

bool RenameFlagWorks(WorkDir& work, unsigned flags) {
  const ProbeNames names(work);
  if (!MakeFile(names.a()).ok()) return false;
  if (flags == RENAME_EXCHANGE && !MakeFile(names.b()).ok()) return false;
  return ::renameat2(names.a().dir, names.a().name, names.b().dir, names.b().name, flags) == 0;
}

bool MarkWorks(WorkDir& work, MarkNamespace space) {
  const ProbeNames names(work);
  if (::mkdirat(names.a().dir, names.a().name, 0700) != 0) return false;
  const std::string mark = MarkName(space, kOpaqueMark);
  const Result<std::string> set =
      SetXattr(names.a(), mark.c_str(), std::string_view("y"), 0).ok() ? GetXattr(names.a(), mark.c_str()) : Errno(EIO);
  return set.ok() && *set == "y";
}

}  // namespace

Result<UpperCapabilities> ProbeUpper(WorkDir& work, const UpperProbeOptions& options) {
  {
    const ProbeNames names(work);
    RETURN_IF_ERROR(MakeFile(names.a()));
  }
  UpperCapabilities capabilities;
  const bool devices = !options.force_wh_whiteouts && DeviceWhiteoutWorks(work);
  capabilities.whiteouts = devices ? WhiteoutFormat::kDevice : WhiteoutFormat::kWhFile;
  capabilities.rename_whiteout = devices && RenameFlagWorks(work, RENAME_WHITEOUT);
  capabilities.rename_exchange = RenameFlagWorks(work, RENAME_EXCHANGE);
  const bool trusted = MarkWorks(work, MarkNamespace::kTrusted);
  capabilities.mark_namespace = trusted ? MarkNamespace::kTrusted : MarkNamespace::kUser;
  capabilities.xattr_marks = trusted || MarkWorks(work, MarkNamespace::kUser);
  return capabilities;
}

}  // namespace plyfs
