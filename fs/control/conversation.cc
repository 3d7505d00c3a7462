// conversation.cc: see conversation.h.
#include "fs/control/conversation.h"

#include <exception>
#include <vector>

#include "fs/base/log.h"
#include "fs/control/json_codec.h"

namespace plyfs {
namespace {

constexpr size_t kEventsAtOnce = 256;
// How soon a watch sees that its client or the mount is gone.
constexpr int kWatchStepMs = 200;
constexpr const char* kEndLine = R"({"end":true})";

// The reply to one request. An error is that of the connection.
class Answer {
 public:
  Answer(LineSocket& socket, const ControlSource& source, const ControlRequest& request)
      : socket_(socket), source_(source), request_(request) {}

  Errno Send() {
    JournalCalls& journal = source_.journal;
    switch (request_.operation) {
      case ControlOperation::kInfo:
        return One(source_.info);
      case ControlOperation::kStats:
        return Stats();
      case ControlOperation::kChanges:
        return Changes();
      case ControlOperation::kCheckpoints:
        return List(journal.Checkpoints());
      case ControlOperation::kCheckJournal:
        return List(journal.CheckJournal(request_.repair));
      case ControlOperation::kCreateCheckpoint:
        return End(journal.CreateCheckpoint(request_.checkpoint));
      case ControlOperation::kDeleteCheckpoint:
        return End(journal.DeleteCheckpoint(request_.checkpoint));
      case ControlOperation::kWatch:
        return Watch();
    }
    return End(ENOSYS);
  }

 private:
  Errno End(Errno result) {
    return socket_.WriteLine(result.ok() ? kEndLine : ErrorLine(result, FailureText(request_, result)));
  }

  template <typename T>
  Errno One(const T& value) {
    RETURN_IF_ERROR(socket_.WriteLine(ToJson(value)));
    return End(kOk);
  }

  template <typename T>
  Errno List(const Result<std::vector<T>>& list) {
    if (!list.ok()) return End(list.error());
    for (const T& value : *list) RETURN_IF_ERROR(socket_.WriteLine(ToJson(value)));
    return End(kOk);
  }

  Errno Changes() {
    Errno sent;
    std::string line;
    const Errno error = source_.journal.ForEachChange(request_.checkpoint, [&](const Change& change) {
      line.clear();
      AppendJson(change, &line);
      sent = socket_.WriteLine(line);
      return sent.ok() && !source_.stopping.load(std::memory_order_relaxed);
    });
    RETURN_IF_ERROR(sent);
    // The list is not whole.
    if (source_.stopping.load(std::memory_order_relaxed)) return ECANCELED;
    return End(error);
  }

  Errno Stats() {
    StatsReport report;
    if (source_.session_stats) source_.session_stats(&report);
    report.overlay = source_.journal.Counters();
    report.journal = source_.journal.GetJournalStats();
    return One(report);
  }

  // Starts with a line that says from where, so that the client knows that it misses nothing from now on.
  Errno Watch() {
    uint64_t sequence = request_.sequence ? *request_.sequence : source_.journal.GetJournalStats().sequence;
    RETURN_IF_ERROR(socket_.WriteLine(R"({"sequence":)" + std::to_string(sequence) + R"(,"event":"start"})"));
    while (!source_.stopping.load(std::memory_order_relaxed)) {
      RETURN_IF_ERROR(socket_.Flush());
      if (socket_.Readable()) return ECANCELED;  // the client has had enough
      const Result<std::vector<ChangeEvent>> events = source_.journal.Events(sequence, kEventsAtOnce, kWatchStepMs);
      if (!events.ok()) return End(events.error());
      for (const ChangeEvent& event : *events) {
        RETURN_IF_ERROR(socket_.WriteLine(ToJson(event)));
        sequence = event.sequence;
      }
    }
    return End(kOk);
  }

  LineSocket& socket_;
  const ControlSource& source_;
  const ControlRequest& request_;
};

// False: the conversation is over.
bool AnswerLine(std::string_view line, LineSocket& socket, const ControlSource& source) {
  std::string wrong;
  const std::optional<ControlRequest> request = ParseRequest(line, &wrong);
  if (!request) {
    return socket.WriteLine(ErrorLine(EPROTO, wrong)).ok() && socket.Flush().ok();
  }
  return Answer(socket, source, *request).Send().ok() && socket.Flush().ok();
}

void AnswerAll(LineSocket& socket, const ControlSource& source) {
  while (!source.stopping.load(std::memory_order_relaxed)) {
    const Result<std::string_view> line = socket.ReadLine();
    if (line.error() == EMSGSIZE) {
      socket.WriteLine(ErrorLine(EMSGSIZE, "the request is too long")).Ignore("it is closed anyway");
      socket.Flush().Ignore("it is closed anyway");
    }
    if (!line.ok() || !AnswerLine(*line, socket, source)) return;
  }
}

}  // namespace

void Converse(LineSocket& socket, const ControlSource& source) {
  try {
    AnswerAll(socket, source);
  } catch (const std::exception& exception) {
    // No memory for a list of millions, most likely: the mount must not end of that.
    LogError("control: a request failed: %s", exception.what());
  }
}

}  // namespace plyfs
