// control_fuzz.cc: a libFuzzer target: any bytes on the control socket, at the server's end and at the tools'.
// Not here: real servers and tools (tests/control, tests/tools).
// Thread safety: one thread.
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "fs/control/conversation.h"
#include "fs/control/json_codec.h"
#include "fs/control/json_path.h"
#include "fs/control/protocol.h"
#include "tests/control/control_fixture.h"
#include "tests/fuzz/program.h"

namespace plyfs::test {
namespace {

using nlohmann::json;

// --- the server's end

// All that a client says, at once; what it is answered goes nowhere but must be lines of JSON.
void Requests(const std::string& bytes) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) Stop("no socket");
  const UniqueFd client(ends[0]);
  LineSocket server(UniqueFd(ends[1]), {.read_timeout_ms = 0, .write_timeout_ms = 0, .longest_line = kLongestRequest});
  if (::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) Stop("the request does not fit into the socket");
  ::shutdown(client.get(), SHUT_WR);
  FakeJournal journal;
  journal.changes = {{.kind = ChangeKind::kAdded, .path = "/a\xff", .type = S_IFREG, .renamed_from = "/b\n"}};
  journal.findings = {{.kind = "unrecorded", .path = "/a", .detail = "\xff"}};
  journal.Add({.kind = ChangeEvent::Kind::kCreate, .path = "/a"});
  const UnionInfo info{.version = "1", .layers = {.lowers = {"/l"}, .upper = "/u", .work = "/w"}};
  const std::function<void(StatsReport*)> no_session;
  const std::atomic<bool> stopping = false;
  Converse(server, {.journal = journal, .info = info, .session_stats = no_session, .stopping = stopping});
  ::shutdown(server.fd(), SHUT_WR);

  LineSocket replies(UniqueFd(::dup(client.get())), {});
  for (Result<std::string_view> line = replies.ReadLine(); line.ok(); line = replies.ReadLine()) {
    if (!json::parse(*line, nullptr, false).is_object()) Stop("the reply is no JSON: " + std::string(*line));
  }
}

void Request(const std::string& line) {
  std::string error;
  const std::optional<ControlRequest> request = ParseRequest(line, &error);
  if (request.has_value() != error.empty()) Stop("refused without a word, or the reverse");
  if (!request) return;
  if (!ParseRequest(ToJson(*request), &error)) Stop("a request does not come back: " + error);
  FailureText(*request, ENOENT);
}

// --- the tools' end

// What can be read can be written, and means the same then.
template <typename T>
void ReadBack(const json& object) {
  T value;
  if (!FromJson(object, &value)) return;
  const std::string written = ToJson(value);
  T again;
  if (!FromJson(json::parse(written, nullptr, false), &again) || ToJson(again) != written) Stop("it does not come back: " + written);
}

void ReplyLine(const std::string& line) {
  Change plain;
  const bool is_plain = ReadPlainChange(line, &plain);
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return;
  Change parsed;
  if (is_plain && (!FromJson(object, &parsed) || ToJson(plain) != ToJson(parsed))) Stop("two readers read two things");
  Errno reason;
  std::string message;
  ParseErrorLine(object, &reason, &message);
  ReadBack<Change>(object);
  ReadBack<ChangeEvent>(object);
  ReadBack<Checkpoint>(object);
  ReadBack<FsckFinding>(object);
  ReadBack<StatsReport>(object);
  ReadBack<UnionInfo>(object);
}

void PathText(const std::string& bytes) {
  std::string written;
  AppendJsonPath(bytes, &written);
  const json value = json::parse(written, nullptr, false);
  if (PathFromJson(value) != bytes) Stop("a path does not come back");
  if (IsUtf8(bytes) != value.is_string()) Stop("a path that is UTF-8 is a string, and no other");
}

}  // namespace
}  // namespace plyfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace plyfs::test;
  constexpr void (*kEnds[])(const std::string&) = {Requests, Request, ReplyLine, PathText};
  Program program(data, size);
  const auto end = program.Pick(kEnds);
  end(program.Rest());
  return 0;
}
