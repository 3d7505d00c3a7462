// owners_note.cc: see owners_note.h. The note is a JSON object with the fields that `info` has for it (docs/control.md).
#include "fs/control/owners_note.h"

#include <nlohmann/json.hpp>

#include "fs/control/json_codec.h"
#include "fs/layer/work_dir.h"

namespace plyfs {
namespace {

constexpr const char* kNote = "owners";

bool AreThoseOnDisk(const LayerStackOptions& layers) {
  return layers.ids.identity() && layers.override_stat == OverrideStat::kNone;
}

}  // namespace

Errno LeaveOwnersNote(const WorkDir& work, const LayerStackOptions& layers) {
  return work.WriteNote(kNote, AreThoseOnDisk(layers) ? "" : OwnersToJson(layers));
}

Errno ReadOwnersNote(const WorkDir& work, LayerStackOptions* layers) {
  ASSIGN_OR_RETURN(const std::string text, work.ReadNote(kNote));
  if (text.empty()) return kOk;
  const nlohmann::json object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return OwnersFromJson(object, layers) ? kOk : Errno(EPROTO);
}

}  // namespace plyfs
