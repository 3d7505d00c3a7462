// control_channel.cc: see control_channel.h.
#include "fs/mount/control_channel.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "fs/base/log.h"
#include "fs/control/owners_note.h"
#include "fs/layer/work_dir.h"

namespace plyfs {
namespace {

// Symlinks stay: a link farm as containers/storage has it is still there when a tool asks.
std::string Absolute(const std::string& path) {
  std::error_code ignored;  // without a current directory a relative path stays what it is
  const std::filesystem::path absolute = std::filesystem::absolute(path, ignored);
  return path.empty() || absolute.empty() ? path : absolute.string();
}

UnionInfo Describe(const MountOptions& options) {
  UnionInfo info{.version = PLYFS_VERSION,
                 .pid = ::getpid(),
                 .mountpoint = Absolute(options.mount.mountpoint),
                 .layers = options.layers,
                 .redirect_dir = options.overlay.redirect_dir};
  for (std::string& lower : info.layers.lowers) lower = Absolute(lower);
  info.layers.upper = Absolute(info.layers.upper);
  info.layers.work = Absolute(info.layers.work);
  return info;
}

std::string Escape(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == ',' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

void CollectStats(const Session& session, StatsReport* report) {
  RequestCounters requests;
  report->threads = static_cast<unsigned>(session.Collect(requests));
  for (const OpcodeTimes& times : requests.Times()) {
    report->operations.push_back({.name = times.name,
                                  .count = times.count,
                                  .nanoseconds = times.nanoseconds,
                                  .buckets = {times.buckets.begin(), times.buckets.end()}});
  }
}

}  // namespace

ControlChannel::ControlChannel(const MountOptions& options) : info_(Describe(options)) {}
ControlChannel::~ControlChannel() = default;

std::string ControlChannel::IoctlText() const {
  const std::string pid = "pid=" + std::to_string(info_.pid);
  return info_.layers.work.empty() ? pid : "workdir=" + Escape(info_.layers.work) + "," + pid;
}

void ControlChannel::Bind(const LayerStack& layers) {
  if (layers.work == nullptr) return;
  if (const Errno error = LeaveOwnersNote(*layers.work, info_.layers); !error.ok()) {
    LogWarning("in workdir '%s' it cannot be noted how owners are shown, so plyfs diff must not be used while this union is not mounted: %s",
               info_.layers.work.c_str(), std::strerror(error.value()));
  }
  Result<std::unique_ptr<ControlServer>> server = ControlServer::Bind(layers.work->own());
  if (server.ok()) {
    server_ = std::move(server).value();
  } else {
    LogWarning("no control socket in workdir '%s', plyfs changes and its kind will not work on this mount: %s",
               info_.layers.work.c_str(), std::strerror(server.error().value()));
  }
}

void ControlChannel::Serve(Overlay& overlay, const Session& session) {
  if (server_ == nullptr) return;
  journal_ = std::make_unique<OverlayJournal>(overlay);
  const Errno error = server_->Serve(*journal_, {.info = std::move(info_), .session_stats = [&session](StatsReport* report) {
                                       CollectStats(session, report);
                                     }});
  if (!error.ok()) LogWarning("no thread for the control socket: %s", std::strerror(error.value()));
}

}  // namespace plyfs
