// layer_stack.cc: see layer_stack.h.
#include "fs/layer/layer_stack.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "fs/base/log.h"
#include "fs/layer/layer.h"
#include "fs/layer/override_stat.h"
#include "fs/layer/upper_layer.h"
#include "fs/layer/upper_probe.h"
#include "fs/layer/work_dir.h"

namespace plyfs {
namespace {

constexpr int kLockWaitMilliseconds = 5000;
constexpr int kLockStepMilliseconds = 1;

// A directory of the union, opened and known by its canonical path.
struct OpenedDir {
  std::string option;  // "lowerdir", "upperdir", "workdir"
  std::string path;    // as given
  std::string canonical;
  UniqueFd fd;
  struct statx stat {};
};

bool Fail(MountError* error, const OpenedDir& dir, const std::string& what) {
  error->message = dir.option + " '" + dir.path + "': " + what;
  return false;
}

bool FailWith(MountError* error, const OpenedDir& dir, Errno reason, const std::string& advice) {
  return Fail(error, dir, std::strerror(reason.value()) + (advice.empty() ? "" : "; " + advice));
}

const char* AdviceFor(Errno reason) {
  if (reason == ENOENT) return "the directory must exist before the mount";
  if (reason == ENOTDIR) return "a layer must be a directory";
  if (reason == EACCES) return "the user who mounts must be allowed to read and search it";
  return "";
}

bool OpenDir(std::string option, const std::string& path, OpenedDir* dir, MountError* error) {
  dir->option = std::move(option);
  dir->path = path;
  const UniqueFd followed(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!followed.valid()) {
    const Errno reason = Errno::Last();
    return FailWith(error, *dir, reason, AdviceFor(reason));
  }
  Result<UniqueFd> fd = OpenDirectory({.dir = followed.get(), .name = "."});
  if (!fd.ok()) return FailWith(error, *dir, fd.error(), AdviceFor(fd.error()));
  dir->fd = std::move(fd).value();
  const Result<struct statx> stat = StatObject({.dir = dir->fd.get()});
  if (!stat.ok()) return FailWith(error, *dir, stat.error(), "");
  dir->stat = *stat;
  char* canonical = ::realpath(path.c_str(), nullptr);
  dir->canonical = canonical != nullptr ? canonical : path;
  ::free(canonical);
  return true;
}

bool IsInsideOrEqual(const OpenedDir& inner, const OpenedDir& outer) {
  const DiskInode a = DiskInodeOf(inner.stat);
  const DiskInode b = DiskInodeOf(outer.stat);
  if (a == b) return true;
  // On another filesystem it is under a mountpoint, which a layer never shows.
  if (a.device != b.device) return false;
  const std::string prefix = outer.canonical == "/" ? "/" : outer.canonical + "/";
  return inner.canonical.compare(0, prefix.size(), prefix) == 0;
}

bool CheckApart(const OpenedDir& a, const OpenedDir& b, MountError* error) {
  if (!IsInsideOrEqual(a, b) && !IsInsideOrEqual(b, a)) return true;
  return Fail(error, a, "overlaps " + b.option + " '" + b.path + "'; the directories of a union must be apart");
}

// A private copy of the one mount that the lower is on: what is mounted below it, our own mountpoint too, is not seen through
// it, so that a union over "/" cannot wait for itself. Needs CAP_SYS_ADMIN; without it the lower is used as it is.
void DetachFromMountTree(OpenedDir* dir) {
  const long fd = ::syscall(SYS_open_tree, dir->fd.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0) return;
  const UniqueFd tree(static_cast<int>(fd));
  Result<UniqueFd> readable = OpenDirectory({.dir = tree.get(), .name = "."});
  if (readable.ok()) dir->fd = std::move(readable).value();
}

// Held until the process ends. An unmount returns before its server has ended, so wait a little for one that is going away.
bool LockAgainstOtherMounts(const OpenedDir& dir, MountError* error) {
  for (int waited = 0;; waited += kLockStepMilliseconds) {
    if (::flock(dir.fd.get(), LOCK_EX | LOCK_NB) == 0) return true;
    const Errno reason = Errno::Last();
    if (!(reason == EWOULDBLOCK)) {
      LogWarning("%s '%s' cannot be locked (%s); make sure that no other mount uses it", dir.option.c_str(),
                 dir.path.c_str(), std::strerror(reason.value()));
      return true;
    }
    if (waited >= kLockWaitMilliseconds) {
      return Fail(error, dir, "is in use by another mount; unmount that first");
    }
    const timespec step{.tv_sec = 0, .tv_nsec = kLockStepMilliseconds * 1000000L};
    ::nanosleep(&step, nullptr);
  }
}

bool OpenWorkDir(OpenedDir work, const LayerStackOptions& options, std::unique_ptr<WorkDir>* result, MountError* error) {
  Result<std::unique_ptr<WorkDir>> opened = WorkDir::Open(std::move(work.fd));
  if (!opened.ok()) return FailWith(error, work, opened.error(), "it must be writable");
  const Result<bool> marked = (*opened)->HasVolatileMark();
  if (!marked.ok()) return FailWith(error, work, marked.error(), "");
  if (*marked) {
    return Fail(error, work,
                "an earlier mount of this upper was volatile, so its files may be incomplete after a crash; if the system has "
                "not crashed since, remove work/incompat/volatile below it and mount again");
  }
  if (options.volatile_upper) {
    if (const Errno reason = (*opened)->WriteVolatileMark(); !reason.ok()) return FailWith(error, work, reason, "");
  }
  *result = std::move(*opened);
  return true;
}

// See LayerStackOptions::view.
bool ViewUpper(const LayerStackOptions& options, LayerStack* stack, MountError* error) {
  OpenedDir upper;
  OpenedDir work;
  if (!OpenDir("upperdir", options.upper, &upper, error)) return false;
  if (!OpenDir("workdir", options.work, &work, error)) return false;
  stack->work = WorkDir::View(work.fd.get());
  stack->view = true;
  OverrideStat override_stat = options.override_stat;
  if (override_stat == OverrideStat::kNone) override_stat = DetectOverrideStat({.dir = upper.fd.get()});
  auto layer = std::make_unique<UpperLayer>(upper.path, std::move(upper.fd), DiskInodeOf(upper.stat).device, override_stat,
                                            UpperCapabilities());
  stack->upper = layer.get();
  stack->layers[0] = std::move(layer);
  return true;
}

bool OpenUpper(const LayerStackOptions& options, const std::vector<OpenedDir>& lowers, LayerStack* stack,
               MountError* error) {
  OpenedDir upper;
  OpenedDir work;
  if (!OpenDir("upperdir", options.upper, &upper, error)) return false;
  if (!OpenDir("workdir", options.work, &work, error)) return false;
  if (!CheckApart(upper, work, error)) return false;
  for (const OpenedDir& lower : lowers) {
    if (!CheckApart(upper, lower, error) || !CheckApart(work, lower, error)) return false;
  }
  if (DiskInodeOf(upper.stat).device != DiskInodeOf(work.stat).device) {
    return Fail(error, work, "must be on the same filesystem as upperdir '" + upper.path + "'");
  }
  if (::faccessat(upper.fd.get(), ".", W_OK, AT_EACCESS) != 0) {
    return FailWith(error, upper, Errno::Last(), "it must be writable; leave upperdir and workdir out for a read-only union");
  }
  if (!LockAgainstOtherMounts(upper, error) || !LockAgainstOtherMounts(work, error)) return false;

  const OpenedDir work_name{.option = work.option, .path = work.path};
  if (!OpenWorkDir(std::move(work), options, &stack->work, error)) return false;
  if (::renameat2(stack->work->tmp(), "none", upper.fd.get(), "none", RENAME_NOREPLACE) != 0 && errno == EXDEV) {
    return Fail(error, work_name, "must be on the same mount as upperdir '" + upper.path + "'");
  }
  const Result<UpperCapabilities> capabilities =
      ProbeUpper(*stack->work, {.force_wh_whiteouts = options.force_wh_whiteouts});
  if (!capabilities.ok()) return FailWith(error, work_name, capabilities.error(), "nothing can be written there");

  const uint64_t device = DiskInodeOf(upper.stat).device;
  auto layer = std::make_unique<UpperLayer>(upper.path, std::move(upper.fd), device, options.override_stat, *capabilities);
  stack->upper = layer.get();
  stack->layers[0] = std::move(layer);
  return true;
}

}  // namespace

LayerStack::LayerStack() = default;
LayerStack::LayerStack(LayerStack&&) noexcept = default;
LayerStack& LayerStack::operator=(LayerStack&&) noexcept = default;
LayerStack::~LayerStack() = default;

bool OpenLayerStack(const LayerStackOptions& options, LayerStack* stack, MountError* error) {
  std::vector<OpenedDir> lowers(options.lowers.size());
  for (size_t i = 0; i < lowers.size(); ++i) {
    if (!OpenDir("lowerdir", options.lowers[i], &lowers[i], error)) return false;
  }
  stack->ids = options.ids;
  stack->layers.resize(lowers.size() + 1);
  if (options.view && !ViewUpper(options, stack, error)) return false;
  if (!options.view && !options.upper.empty() && !OpenUpper(options, lowers, stack, error)) return false;
  for (size_t i = 0; i < lowers.size(); ++i) {
    OpenedDir& lower = lowers[i];
    DetachFromMountTree(&lower);
    const uint64_t device = DiskInodeOf(lower.stat).device;
    const OverrideStat override_stat = DetectOverrideStat({.dir = lower.fd.get()});
    stack->layers[i + 1] = std::make_unique<Layer>(static_cast<LayerIndex>(i + 1), lower.path, std::move(lower.fd), device,
                                                   override_stat);
  }
  return true;
}

}  // namespace plyfs
