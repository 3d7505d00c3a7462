// control_channel.h: what a mount tells the tools of itself: the answer of its ioctl, and its control socket.
// Not here: the socket's server (fs/control), the ioctl (fs/fuse).
// Thread safety: one thread.
#pragma once

#include <memory>
#include <string>

#include "fs/control/control_server.h"
#include "fs/control/journal_calls.h"
#include "fs/fuse/session.h"
#include "fs/mount/mount_options.h"

namespace plyfs {

class ControlChannel {
 public:
  // Before anything has changed the current directory: paths become absolute here.
  explicit ControlChannel(const MountOptions& options);
  ~ControlChannel();

  // See fs/base/control_ioctl.h.
  std::string IoctlText() const;
  // Makes the socket in the work directory of `layers`, and leaves there how owners are shown. A mount works without one: failure is a warning. Nothing to do for a
  // read-only union.
  void Bind(const LayerStack& layers);
  // Starts to answer.
  void Serve(Overlay& overlay, const Session& session);
  // Hangs up on the tools. To be called while `overlay` and `session` are still there.
  void Stop() { server_.reset(); }

 private:
  UnionInfo info_;
  std::unique_ptr<OverlayJournal> journal_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace plyfs
