// protocol.cc: see protocol.h.
#include "fs/control/protocol.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace plyfs {
namespace {

using nlohmann::json;

constexpr std::pair<ControlOperation, const char*> kOperations[] = {
    {ControlOperation::kInfo, "info"},
    {ControlOperation::kChanges, "changes"},
    {ControlOperation::kCreateCheckpoint, "create-checkpoint"},
    {ControlOperation::kDeleteCheckpoint, "delete-checkpoint"},
    {ControlOperation::kCheckpoints, "checkpoints"},
    {ControlOperation::kCheckJournal, "check-journal"},
    {ControlOperation::kWatch, "watch"},
    {ControlOperation::kStats, "stats"}};

// What the request was about, as the subject of a sentence.
std::string SubjectOf(const ControlRequest& request) {
  switch (request.operation) {
    case ControlOperation::kChanges:
      return "listing the changes";
    case ControlOperation::kCreateCheckpoint:
      return "creating checkpoint '" + request.checkpoint + "'";
    case ControlOperation::kDeleteCheckpoint:
      return "deleting checkpoint '" + request.checkpoint + "'";
    case ControlOperation::kCheckpoints:
      return "listing the checkpoints";
    case ControlOperation::kCheckJournal:
      return request.repair ? "repairing the journal" : "checking the journal";
    case ControlOperation::kWatch:
      return "watching";
    case ControlOperation::kInfo:
    case ControlOperation::kStats:
      break;
  }
  return "asking the server";
}

bool IsOptionalString(const json& object, const char* field) { return !object.contains(field) || object[field].is_string(); }

}  // namespace

std::string ToJson(const ControlRequest& request) {
  json object = {{"version", kControlVersion}};
  for (const auto& [operation, name] : kOperations) {
    if (operation == request.operation) object["request"] = name;
  }
  if (!request.checkpoint.empty()) object["checkpoint"] = request.checkpoint;
  if (request.repair) object["repair"] = true;
  if (request.sequence) object["sequence"] = *request.sequence;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<ControlRequest> ParseRequest(std::string_view line, std::string* error) {
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto fail = [&](const std::string& message) {
    *error = message;
    return std::nullopt;
  };
  if (!object.is_object()) return fail("a request must be one line with a JSON object");
  if (!object.contains("version") || object["version"] != kControlVersion) {
    return fail("this server speaks version " + std::to_string(kControlVersion) +
                " of the control protocol; use the tools of the plyfs that made the mount");
  }
  if (!object.contains("request") || !object["request"].is_string()) return fail("'request' is missing");
  ControlRequest request;
  const std::string& wanted = object["request"].get_ref<const std::string&>();
  bool known = false;
  for (const auto& [operation, name] : kOperations) {
    if (wanted != name) continue;
    request.operation = operation;
    known = true;
  }
  if (!known) return fail("no such request: " + wanted);
  if (!IsOptionalString(object, "checkpoint")) return fail("'checkpoint' must be a string");
  request.checkpoint = object.value("checkpoint", "");
  if (object.contains("repair")) {
    if (!object["repair"].is_boolean()) return fail("'repair' must be true or false");
    request.repair = object["repair"];
  }
  if (object.contains("sequence")) {
    if (!object["sequence"].is_number_unsigned() || object["sequence"] == UINT64_MAX) {
      return fail("'sequence' must be a number below 2^64-1");
    }
    request.sequence = object["sequence"].get<uint64_t>();
  }
  return request;
}

std::string FailureText(const ControlRequest& request, Errno reason) {
  const std::string& checkpoint = request.checkpoint;
  const bool creates = request.operation == ControlOperation::kCreateCheckpoint;
  if (reason == ENOENT && !checkpoint.empty()) {
    return "there is no checkpoint '" + checkpoint + "'; `plyfs checkpoint list` shows those that exist";
  }
  if (reason == EEXIST && creates) return "checkpoint '" + checkpoint + "' exists already; delete it first or take another name";
  const bool has_name = creates || request.operation == ControlOperation::kDeleteCheckpoint || !checkpoint.empty();
  if (reason == EINVAL && has_name) {
    return "'" + checkpoint + "' is no name of a checkpoint: it must be 1 to 128 letters, digits, dots, underscores and hyphens";
  }
  std::string text = SubjectOf(request) + " failed: " + std::strerror(reason.value());
  if (reason == EOPNOTSUPP) {
    text += "; the union is mounted with journal=off (mount it without that), or a later version of plyfs has written the journal";
  }
  if (reason == ENOSPC) text += "; make room on the filesystem of the workdir and try again";
  return text;
}

std::string ErrorLine(Errno reason, std::string_view message) {
  const char* name = ::strerrorname_np(reason.value());
  return json{{"error", message}, {"errno", name != nullptr ? name : "EIO"}}.dump(-1, ' ', false,
                                                                                 json::error_handler_t::replace);
}

bool ParseErrorLine(const json& line, Errno* reason, std::string* message) {
  if (!line.is_object() || !line.contains("error")) return false;
  *message = line["error"].is_string() ? line["error"].get<std::string>() : "the server has failed without saying why";
  *reason = EIO;
  if (!line.contains("errno") || !line["errno"].is_string()) return true;
  const std::string& name = line["errno"].get_ref<const std::string&>();
  for (int value = 1; value < 134; ++value) {
    const char* known = ::strerrorname_np(value);
    if (known != nullptr && name == known) *reason = value;
  }
  return true;
}

}  // namespace plyfs
