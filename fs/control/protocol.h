// protocol.h: requests of the control socket, and how a reply ends or fails. docs/control.md is the long form.
// Not here: what the replies carry (json_codec.h).
// Thread safety: pure functions.
//
// A request is one line, a JSON object. A reply is any number of lines, an object each, and then one that has "end" or "error".
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "fs/base/errno.h"

namespace plyfs {

inline constexpr int kControlVersion = 1;
inline constexpr const char* kControlSocketName = "control";
// No request has a reason to be longer.
inline constexpr size_t kLongestRequest = size_t{16} << 10;

enum class ControlOperation {
  kInfo,
  kChanges,
  kCreateCheckpoint,
  kDeleteCheckpoint,
  kCheckpoints,
  kCheckJournal,
  kWatch,
  kStats,
};

struct ControlRequest {
  ControlOperation operation = ControlOperation::kInfo;
  std::string checkpoint;                // kChanges (empty: against the lowers), kCreateCheckpoint, kDeleteCheckpoint
  bool repair = false;                   // kCheckJournal
  std::optional<uint64_t> sequence = {};  // kWatch: the events after this one; absent: those from now on
};

std::string ToJson(const ControlRequest& request);
// On failure returns nullopt and says in `error` what is wrong.
std::optional<ControlRequest> ParseRequest(std::string_view line, std::string* error);

// Why a request has failed, for people: names what was asked for and says what to do.
std::string FailureText(const ControlRequest& request, Errno reason);

// The line that says so; `reason` is for programs.
std::string ErrorLine(Errno reason, std::string_view message);
// True if `line` is one of ErrorLine.
bool ParseErrorLine(const nlohmann::json& line, Errno* reason, std::string* message);

}  // namespace plyfs
