// target.h: the union that a tool works on: a live mount, through its control socket, or an upper that is not mounted, in this
// process.
// Not here: the server's end (control_server.h), printing (tools/).
// Thread safety: one thread.
//
// Errors carry text for people: it names the path or the option and says what to do.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fs/control/union_info.h"
#include "fs/overlay/changes.h"

namespace plyfs {

class Target {
 public:
  virtual ~Target() = default;
  // What the union is made of: for a second, read-only look at its content.
  virtual absl::StatusOr<UnionInfo> Info() = 0;
  // Sorted by path, against the lowers or a checkpoint. NotFound: there is no such checkpoint.
  // An error may come after the first changes.
  virtual absl::Status ForEachChange(const std::string& since_checkpoint, const OnChange& visit) = 0;
  absl::StatusOr<std::vector<Change>> Changes(const std::string& since_checkpoint);
  virtual absl::Status CreateCheckpoint(const std::string& name) = 0;
  virtual absl::Status DeleteCheckpoint(const std::string& name) = 0;
  virtual absl::StatusOr<std::vector<Checkpoint>> Checkpoints() = 0;
  virtual absl::StatusOr<std::vector<FsckFinding>> CheckJournal(bool repair) = 0;
  // How many names lists and checks have looked at so far; nullopt if the server does not say. From any thread, while another method
  // is at work: how far that is.
  virtual std::optional<uint64_t> ExaminedNames() = 0;
};

// What only a server can be asked.
class LiveTarget : public Target {
 public:
  // False ends the watch.
  using OnEvent = std::function<bool(const ChangeEvent&)>;
  // The events after this one; nullopt: those from now on.
  using WatchFrom = std::optional<uint64_t>;

  // Calls `on_event` for each event until it says false or the union is unmounted. Nothing is missed once `on_start` has been
  // called; it is told the last event before the watch.
  virtual absl::Status Watch(WatchFrom from, const std::function<void(uint64_t sequence)>& on_start,
                             const OnEvent& on_event) = 0;
  virtual absl::StatusOr<StatsReport> Stats() = 0;
};

// The union mounted at `mountpoint`. `otherwise` is added to the error where no plyfs is mounted: what else to do.
absl::StatusOr<std::unique_ptr<LiveTarget>> OpenMounted(const std::string& mountpoint, std::string_view otherwise = "");

// The union that these layers would be mounted as, owners shown as the last mount showed them. It is locked against mounts as long as the Target lives; waits up to five
// seconds for a mount that is going away.
absl::StatusOr<std::unique_ptr<Target>> OpenUnmounted(const LayerStackOptions& layers);

}  // namespace plyfs
