// live_target.cc: the tools' end of the control socket. See target.h.
#include <sys/ioctl.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "fs/base/control_ioctl.h"
#include "fs/control/json_codec.h"
#include "fs/control/line_socket.h"
#include "fs/control/protocol.h"
#include "fs/control/target.h"
#include "fs/layer/layer.h"

namespace plyfs {
namespace {

using nlohmann::json;

constexpr std::string_view kWorkdirKey = "workdir=";

// Names the target, then says what is wrong.
absl::Status Failure(Errno reason, const std::string& mountpoint, const std::string& what) {
  return absl::Status(absl::ErrnoToStatusCode(reason.value()), absl::StrCat("'", mountpoint, "': ", what));
}

// "workdir=PATH,pid=PID" -> PATH, without its backslashes; empty if there is none.
std::string WorkdirOf(std::string_view text) {
  std::string path;
  if (!text.starts_with(kWorkdirKey)) return path;
  for (size_t i = kWorkdirKey.size(); i < text.size() && text[i] != ','; ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    path += text[i];
  }
  return path;
}

absl::StatusOr<std::string> AskForWorkdir(const std::string& mountpoint, std::string_view otherwise) {
  // With "/." a symlink to the mountpoint is followed.
  const Result<UniqueFd> directory = OpenDirectory({.dir = AT_FDCWD, .name = (mountpoint + "/.").c_str()});
  if (!directory.ok()) return Failure(directory.error(), mountpoint, std::strerror(directory.error().value()));
  auto answer = std::make_unique<ControlIoctlText>();
  const Errno asked = Errno::Of(::ioctl(directory->get(), kControlIoctl, answer.get()));
  if (asked == EPERM || asked == EACCES || asked == EBADF) {
    return Failure(asked, mountpoint, "only root and the user who mounted it may use the tools on this mount");
  }
  if (asked == ENOTTY || asked == ENOSYS || asked == EINVAL) {
    return Failure(ENOTTY, mountpoint, "no plyfs is mounted here" + std::string(otherwise));
  }
  if (!asked.ok()) return Failure(asked, mountpoint, absl::StrCat("the server does not answer: ", std::strerror(asked.value())));
  answer->text[sizeof answer->text - 1] = '\0';
  std::string workdir = WorkdirOf(answer->text);
  if (workdir.empty()) {
    return Failure(EROFS, mountpoint, "this is a read-only union: nothing can change in it, so it has no journal and no control socket");
  }
  return workdir;
}

// Of each line of a reply but the last one; false ends the conversation.
using OnLine = std::function<bool(const json&)>;
// Understands a line without a JSON parser, or does not.
enum class TextLine { kTaken, kEnough, kOther };
using OnText = std::function<TextLine(std::string_view)>;

class SocketTarget : public LiveTarget {
 public:
  SocketTarget(std::string mountpoint, std::string workdir) : mountpoint_(std::move(mountpoint)), workdir_(std::move(workdir)) {}

  absl::StatusOr<UnionInfo> Info() override { return One<UnionInfo>({.operation = ControlOperation::kInfo}); }
  absl::StatusOr<StatsReport> Stats() override { return One<StatsReport>({.operation = ControlOperation::kStats}); }
  absl::Status ForEachChange(const std::string& since_checkpoint, const OnChange& visit) override {
    Change change;
    bool understood = true;
    const auto parse = [&](const json& line) {
      Change parsed;
      understood = FromJson(line, &parsed);
      return understood && visit(parsed);
    };
    const auto read = [&](std::string_view line) {
      if (!ReadPlainChange(line, &change)) return TextLine::kOther;
      return visit(change) ? TextLine::kTaken : TextLine::kEnough;
    };
    const absl::Status status = Ask({.operation = ControlOperation::kChanges, .checkpoint = since_checkpoint}, parse, read);
    return understood ? status : BadReply();
  }
  absl::Status CreateCheckpoint(const std::string& name) override {
    return Ask({.operation = ControlOperation::kCreateCheckpoint, .checkpoint = name}, nullptr);
  }
  absl::Status DeleteCheckpoint(const std::string& name) override {
    return Ask({.operation = ControlOperation::kDeleteCheckpoint, .checkpoint = name}, nullptr);
  }
  absl::StatusOr<std::vector<Checkpoint>> Checkpoints() override {
    return List<Checkpoint>({.operation = ControlOperation::kCheckpoints});
  }
  absl::StatusOr<std::vector<FsckFinding>> CheckJournal(bool repair) override {
    return List<FsckFinding>({.operation = ControlOperation::kCheckJournal, .repair = repair});
  }

  std::optional<uint64_t> ExaminedNames() override {
    const absl::StatusOr<StatsReport> report = Stats();
    return report.ok() ? std::optional<uint64_t>(report->overlay.examined_names) : std::nullopt;
  }

  absl::Status Watch(WatchFrom from, const std::function<void(uint64_t sequence)>& on_start,
                     const OnEvent& on_event) override {
    bool started = false;
    absl::Status status = Ask({.operation = ControlOperation::kWatch, .sequence = from}, [&](const json& line) {
      ChangeEvent event;
      if (started) return FromJson(line, &event) && on_event(event);
      started = true;
      on_start(line.value("sequence", uint64_t{0}));
      return true;
    });
    // The server's end is the end of a watch, not its failure.
    return started && absl::IsUnavailable(status) ? absl::OkStatus() : status;
  }

 private:
  absl::StatusOr<UniqueFd> Connect() const {
    const Result<UniqueFd> directory = OpenDirectory({.dir = AT_FDCWD, .name = (workdir_ + "/plyfs").c_str()});
    Result<UniqueFd> socket = directory.ok() ? ConnectAt(directory->get(), kControlSocketName) : directory.error();
    if (socket.ok()) return std::move(socket).value();
    const std::string where = absl::StrCat("control socket ", workdir_, "/plyfs/", kControlSocketName, ": ",
                                           std::strerror(socket.error().value()));
    if (socket.error() == EACCES) return Failure(EACCES, mountpoint_, absl::StrCat(where, "; run this as the user who mounted it, or as root"));
    return Failure(EHOSTUNREACH, mountpoint_,
                   absl::StrCat(where, "; is this the mount namespace in which it was mounted, and does its server run?"));
  }

  absl::Status Ask(const ControlRequest& request, const OnLine& on_line, const OnText& on_text = nullptr) const {
    absl::StatusOr<UniqueFd> connection = Connect();
    if (!connection.ok()) return connection.status();
    LineSocket socket(*std::move(connection), {});
    // A server that has refused us closes at once: what it said is more than that.
    const bool sent = socket.WriteLine(ToJson(request)).ok() && socket.Flush().ok();
    for (bool wanted = true; wanted;) {
      const Result<std::string_view> line = socket.ReadLine();
      if (!line.ok()) {
        return absl::UnavailableError(absl::StrCat("'", mountpoint_, "': ",
                                                   sent ? "the server has gone away before it had answered; was it unmounted?"
                                                        : "the server does not take the request"));
      }
      const TextLine text = on_text != nullptr ? on_text(*line) : TextLine::kOther;
      if (text == TextLine::kTaken) continue;
      if (text == TextLine::kEnough) return absl::OkStatus();
      const json object = json::parse(*line, nullptr, /*allow_exceptions=*/false);
      if (!object.is_object()) return BadReply();
      Errno reason;
      std::string message;
      if (ParseErrorLine(object, &reason, &message)) return Failure(reason, mountpoint_, message);
      if (object.contains("end")) return absl::OkStatus();
      wanted = on_line != nullptr && on_line(object);
    }
    return absl::OkStatus();
  }

  template <typename T>
  absl::StatusOr<std::vector<T>> List(const ControlRequest& request) const {
    std::vector<T> list;
    bool understood = true;
    const absl::Status status = Ask(request, [&](const json& line) { return understood = FromJson(line, &list.emplace_back()); });
    if (!status.ok()) return status;
    if (!understood) return BadReply();
    return list;
  }

  template <typename T>
  absl::StatusOr<T> One(const ControlRequest& request) const {
    absl::StatusOr<std::vector<T>> list = List<T>(request);
    if (!list.ok()) return list.status();
    if (list->size() != 1) return BadReply();
    return std::move(list->front());
  }

  absl::Status BadReply() const {
    return absl::InternalError(
        absl::StrCat("'", mountpoint_, "': the server's answer cannot be understood; are the tools of the same version as the server?"));
  }

  const std::string mountpoint_;
  const std::string workdir_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LiveTarget>> OpenMounted(const std::string& mountpoint, std::string_view otherwise) {
  absl::StatusOr<std::string> workdir = AskForWorkdir(mountpoint, otherwise);
  if (!workdir.ok()) return workdir.status();
  return std::make_unique<SocketTarget>(mountpoint, *std::move(workdir));
}

}  // namespace plyfs
