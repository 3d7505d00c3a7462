// unmounted_target.cc: an upper that is not mounted, worked on in this process. See target.h.
#include <sys/file.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "fs/control/journal_calls.h"
#include "fs/control/owners_note.h"
#include "fs/control/protocol.h"
#include "fs/control/target.h"
#include "fs/layer/layer.h"
#include "fs/overlay/overlay.h"

namespace plyfs {
namespace {

class UnmountedTarget : public Target {
 public:
  UnmountedTarget(const LayerStackOptions& layers, OverlayConfig config)
      : layers_(layers), owners_(ReadOwnersNote(*config.layers.work, &layers_)), overlay_(std::move(config)), journal_(overlay_) {}

  absl::StatusOr<UnionInfo> Info() override {
    if (owners_.ok()) return UnionInfo{.version = PLYFS_VERSION, .layers = layers_};
    return absl::FailedPreconditionError(
        absl::StrCat("how the last mount showed owners, in '", layers_.work, "/plyfs/owners', cannot be read: ",
                     std::strerror(owners_.value()), "; mount the union and give the mountpoint"));
  }
  absl::Status ForEachChange(const std::string& since_checkpoint, const OnChange& visit) override {
    return StatusOf({.operation = ControlOperation::kChanges, .checkpoint = since_checkpoint},
                    journal_.ForEachChange(since_checkpoint, visit));
  }
  absl::Status CreateCheckpoint(const std::string& name) override {
    return StatusOf({.operation = ControlOperation::kCreateCheckpoint, .checkpoint = name}, journal_.CreateCheckpoint(name));
  }
  absl::Status DeleteCheckpoint(const std::string& name) override {
    return StatusOf({.operation = ControlOperation::kDeleteCheckpoint, .checkpoint = name}, journal_.DeleteCheckpoint(name));
  }
  absl::StatusOr<std::vector<Checkpoint>> Checkpoints() override {
    return StatusOf({.operation = ControlOperation::kCheckpoints}, journal_.Checkpoints());
  }
  absl::StatusOr<std::vector<FsckFinding>> CheckJournal(bool repair) override {
    return StatusOf({.operation = ControlOperation::kCheckJournal, .repair = repair}, journal_.CheckJournal(repair));
  }
  std::optional<uint64_t> ExaminedNames() override { return overlay_.Counters().examined_names; }

 private:
  absl::Status StatusOf(const ControlRequest& request, Errno result) const {
    if (result.ok()) return absl::OkStatus();
    // Here it cannot be journal=off.
    if (result == EOPNOTSUPP) {
      return absl::UnimplementedError(
          absl::StrCat("workdir '", layers_.work, "': a later version of plyfs has written the journal; use that one"));
    }
    return absl::Status(absl::ErrnoToStatusCode(result.value()),
                        absl::StrCat("upper '", layers_.upper, "': ", FailureText(request, result)));
  }
  template <typename T>
  absl::StatusOr<T> StatusOf(const ControlRequest& request, Result<T> result) const {
    if (!result.ok()) return StatusOf(request, result.error());
    return std::move(result).value();
  }

  LayerStackOptions layers_;
  const Errno owners_;
  Overlay overlay_;
  OverlayJournal journal_;
};

bool IsLocked(const std::string& path) {
  const Result<UniqueFd> directory = OpenDirectory({.dir = AT_FDCWD, .name = (path + "/.").c_str()});
  return directory.ok() && Errno::Of(::flock(directory->get(), LOCK_EX | LOCK_NB)) == EWOULDBLOCK;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Target>> OpenUnmounted(const LayerStackOptions& layers) {
  OverlayConfig config;
  MountError error;
  if (OpenLayerStack(layers, &config.layers, &error)) return std::make_unique<UnmountedTarget>(layers, std::move(config));
  for (const auto& [option, path] : {std::pair("--upper", layers.upper), std::pair("--work", layers.work)}) {
    if (!IsLocked(path)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(option, " '", path, "' is mounted, or another plyfs command works on it: give the mountpoint instead of ",
                     "--upper, --work and --lower, or unmount it first"));
  }
  return absl::FailedPreconditionError(error.message);
}

}  // namespace plyfs
