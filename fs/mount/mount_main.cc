// mount_main.cc: see mount_main.h.
//
// The order matters. The process forks first, while it is small and has neither threads nor locks;
// the parent only waits for the verdict. The child opens the layers before it mounts, because the
// mountpoint may be one of them. Signals are blocked from its start, so that none can end it
// between mount(2) and the thread that would unmount.
#include "fs/mount/mount_main.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "fs/base/log.h"
#include "fs/base/thread_capabilities.h"
#include "fs/base/user_namespace.h"
#include "fs/fuse/session.h"
#include "fs/layer/layer_stack.h"
#include "fs/mount/control_channel.h"
#include "fs/mount/daemon.h"
#include "fs/mount/exit_status.h"
#include "fs/mount/kernel_mount.h"
#include "fs/mount/mount_options.h"
#include "fs/mount/signal_thread.h"
#include "fs/mount/usage.h"
#include "fs/overlay/overlay.h"

namespace plyfs {
namespace {

// More arenas than this cost an idle server memory and gain nothing: a request allocates little.
constexpr int kMallocArenas = 2;

void RaiseLimit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit;
  if (::getrlimit(resource, &limit) < 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(resource, &limit) < 0) LogWarning("setrlimit: %s", std::strerror(errno));
}

// What a server of other people's requests must not inherit from the shell that started it.
void PrepareProcess() {
  RaiseLimit(RLIMIT_NOFILE);
  RaiseLimit(RLIMIT_FSIZE);
  ::umask(0);  // the callers' umasks come with their requests
  ::mallopt(M_ARENA_MAX, kMallocArenas);
}

// The union must not cover its own upper or work directory: what it writes there would be out of
// sight, and nobody could tell the two apart. Lower directories may be covered.
bool MountpointIsFree(const MountOptions& options, MountError* error) {
  struct stat mountpoint;
  if (::stat(options.mount.mountpoint.c_str(), &mountpoint) < 0)
    return true;  // KernelMount says what is wrong
  const std::pair<const char*, const std::string&> owned[] = {{"upperdir", options.layers.upper},
                                                              {"workdir", options.layers.work}};
  for (const auto& [option, path] : owned) {
    struct stat layer;
    if (path.empty() || ::stat(path.c_str(), &layer) < 0) continue;
    if (layer.st_dev != mountpoint.st_dev || layer.st_ino != mountpoint.st_ino) continue;
    error->message = std::string(option) + " " + path + " is the mountpoint itself";
    return false;
  }
  return true;
}

// Registering files with the kernel takes CAP_SYS_ADMIN in the first user namespace.
bool MayPassThrough(const MountOptions& options) {
  if (options.session.io != IoMode::kPassthrough) return true;
  ThreadCapabilities held;
  return InFirstUserNamespace() && held.Read().ok() && held.has(CAP_SYS_ADMIN);
}

int Serve(MountOptions options, Readiness readiness, const InheritedFds& inherited) {
  SignalThread::Block();
  PrepareProcess();
  ControlChannel control(options);
  options.session.control_text = control.IoctlText();
  if (!MayPassThrough(options)) {
    LogError("option 'io=passthrough' needs CAP_SYS_ADMIN in the first user namespace, which a rootless mount has not; use io=auto");
    return kExitMount;
  }
  MountError error;
  if (!MountpointIsFree(options, &error) ||
      !OpenLayerStack(options.layers, &options.overlay.layers, &error)) {
    LogError("%s", error.message.c_str());
    return kExitLayers;
  }
  control.Bind(options.overlay.layers);
  const std::unique_ptr<KernelMount> mount = KernelMount::Create(options.mount, &error);
  if (mount == nullptr) {
    LogError("%s", error.message.c_str());
    return kExitMount;
  }

  Overlay overlay(std::move(options.overlay));
  Session session(overlay, mount->TakeDevice(), options.session);
  const auto terminate = [&] {
    mount->Unmount();
    // Needed also when nobody uses the mount here: another mount namespace may have a copy of it.
    session.Stop();
  };
  const SignalThread signals({
      .terminate = terminate,
      .report = [&] { LogInfo("%s", session.CountersLine().c_str()); },
  });
  const int failure = session.Run([&] {
    if (!readiness.Announce(inherited)) session.Stop();
    control.Serve(overlay, session);
  });
  control.Stop();
  if (failure == 0) return kExitLive;
  LogError("the server failed: %s", std::strerror(failure));
  return kExitServer;
}

}  // namespace

int MountMain(int argc, const char* const* argv) {
#ifdef NDEBUG
  // Debian builds Abseil with it on: a graph of all mutexes, which costs 300 bytes a node and a
  // global lock. Debug builds keep it, and abort on a cycle.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  const InheritedFds inherited;
  std::string error;
  const std::unique_ptr<MountOptions> options =
      ParseCommandLine({argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0)},
                       MountEnvironment::OfProcess(), &error);
  if (options == nullptr) {
    LogError("%s", error.c_str());
    return kExitUsage;
  }
  if (options->action == Action::kHelp) return PrintHelp(), kExitLive;
  if (options->action == Action::kVersion) return PrintVersion(), kExitLive;
  SetLogDebug(options->debug);
  for (const std::string& warning : options->warnings) LogWarning("%s", warning.c_str());

  Readiness readiness;
  if (!options->foreground) {
    if (const std::optional<int> status = readiness.Fork()) ::_exit(*status);
  }
  return Serve(std::move(*options), std::move(readiness), inherited);
}

}  // namespace plyfs
