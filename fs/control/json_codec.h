// json_codec.h: what tools and servers tell each other, as JSON objects; also what the tools print with --json. docs/control.md
// lists the fields.
// Not here: requests and the end of a reply (protocol.h).
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "fs/control/union_info.h"
#include "fs/overlay/changes.h"

namespace plyfs {

// One line each, without the newline.
std::string ToJson(const Change& change);
void AppendJson(const Change& change, std::string* out);
std::string ToJson(const ChangeEvent& event);
std::string ToJson(const Checkpoint& checkpoint);
std::string ToJson(const FsckFinding& finding);
std::string ToJson(const StatsReport& report);
std::string ToJson(const UnionInfo& info);

// The line of a change in the form that ToJson gives it, if no name in it needs an escape: a tenth of the time of a JSON parser,
// for lists of millions. False if it has another form, which says nothing of whether it is right, and leaves `change` as it was.
bool ReadPlainChange(std::string_view line, Change* change);

// What of it says how owners are shown: ids and override_stat.
std::string OwnersToJson(const LayerStackOptions& layers);
bool OwnersFromJson(const nlohmann::json& object, LayerStackOptions* layers);

// Reads what ToJson has made; unknown fields are skipped. False if a field is missing or is not what it should be.
bool FromJson(const nlohmann::json& object, Change* change);
bool FromJson(const nlohmann::json& object, ChangeEvent* event);
bool FromJson(const nlohmann::json& object, Checkpoint* checkpoint);
bool FromJson(const nlohmann::json& object, FsckFinding* finding);
bool FromJson(const nlohmann::json& object, StatsReport* report);
bool FromJson(const nlohmann::json& object, UnionInfo* info);

// "file", "directory", "symlink", "fifo", "socket", "character-device", "block-device"; "" for 0.
const char* FileTypeName(mode_t type);
// "create", "modify", "delete", "rename", "lost".
const char* EventName(ChangeEvent::Kind kind);

}  // namespace plyfs
