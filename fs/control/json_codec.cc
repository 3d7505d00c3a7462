// json_codec.cc: see json_codec.h.
#include "fs/control/json_codec.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "fs/control/json_path.h"

namespace plyfs {
namespace {

using nlohmann::json;

constexpr std::pair<mode_t, const char*> kFileTypes[] = {
    {S_IFREG, "file"}, {S_IFDIR, "directory"}, {S_IFLNK, "symlink"}, {S_IFIFO, "fifo"}, {S_IFSOCK, "socket"},
    {S_IFCHR, "character-device"}, {S_IFBLK, "block-device"}};

constexpr std::pair<ChangeEvent::Kind, const char*> kEvents[] = {
    {ChangeEvent::Kind::kCreate, "create"}, {ChangeEvent::Kind::kModify, "modify"}, {ChangeEvent::Kind::kDelete, "delete"},
    {ChangeEvent::Kind::kRename, "rename"}, {ChangeEvent::Kind::kLost, "lost"}};

// Texts for people may quote a name that is no UTF-8.
std::string Line(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

// A field of `object` as T; false if it is not there or something else. Numbers that do not fit are not T.
template <typename T>
bool Read(const json& object, const char* field, T* value) {
  const auto found = object.find(field);
  if (found == object.end()) return false;
  if constexpr (std::is_same_v<T, bool>) {
    if (!found->is_boolean()) return false;
  } else if constexpr (std::is_unsigned_v<T>) {
    if (!found->is_number_unsigned() || found->template get<uint64_t>() > std::numeric_limits<T>::max()) return false;
  } else if constexpr (std::is_integral_v<T>) {
    if (!found->is_number_integer()) return false;
  } else {
    if (!found->is_string()) return false;
  }
  *value = found->template get<T>();
  return true;
}

bool ReadPath(const json& object, const char* field, std::string* path) {
  const auto found = object.find(field);
  if (found == object.end()) return false;
  std::optional<std::string> read = PathFromJson(*found);
  if (!read) return false;
  *path = *std::move(read);
  return true;
}

// Absent means the default.
bool ReadOptionalPath(const json& object, const char* field, std::string* path) {
  return !object.contains(field) || ReadPath(object, field, path);
}
bool ReadFlag(const json& object, const char* field, bool* flag) {
  return !object.contains(field) || Read(object, field, flag);
}

json RangesToJson(const IdRanges& ranges) {
  json list = json::array();
  for (const IdRange& range : ranges.ranges()) list.push_back({range.on_disk, range.shown, range.length});
  return list;
}

bool ReadRanges(const json& object, const char* field, IdRanges* ranges) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_array()) return false;
  std::vector<IdRange> list;
  for (const json& triple : *found) {
    if (!triple.is_array() || triple.size() != 3) return false;
    for (const json& number : triple) {
      if (!number.is_number_unsigned() || number.get<uint64_t>() > UINT32_MAX) return false;
    }
    list.push_back({.on_disk = triple[0], .shown = triple[1], .length = triple[2]});
  }
  *ranges = IdRanges(std::move(list));
  return true;
}

template <typename Id>
bool ReadSquash(const json& object, const char* field, std::optional<Id>* id) {
  Id value = 0;
  if (!object.contains(field)) return true;
  if (!Read(object, field, &value)) return false;
  *id = value;
  return true;
}

json OwnersToObject(const LayerStackOptions& layers) {
  json object = {{"uid_ranges", RangesToJson(layers.ids.uids)},
                 {"gid_ranges", RangesToJson(layers.ids.gids)},
                 {"xattr_permissions", static_cast<unsigned>(layers.override_stat)}};
  if (layers.ids.squash_uid) object["squash_uid"] = *layers.ids.squash_uid;
  if (layers.ids.squash_gid) object["squash_gid"] = *layers.ids.squash_gid;
  return object;
}

json ToObject(const OperationStats& operation) {
  return {{"name", operation.name}, {"count", operation.count}, {"nanoseconds", operation.nanoseconds},
          {"buckets", operation.buckets}};
}

bool FromJson(const json& object, OperationStats* operation) {
  const auto buckets = object.find("buckets");
  if (!Read(object, "name", &operation->name) || !Read(object, "count", &operation->count) ||
      !Read(object, "nanoseconds", &operation->nanoseconds) || buckets == object.end() || !buckets->is_array()) {
    return false;
  }
  for (const json& bucket : *buckets) {
    if (!bucket.is_number_unsigned()) return false;
    operation->buckets.push_back(bucket.get<uint64_t>());
  }
  return true;
}

}  // namespace

const char* FileTypeName(mode_t type) {
  for (const auto& [value, name] : kFileTypes) {
    if (value == type) return name;
  }
  return "";
}

const char* EventName(ChangeEvent::Kind kind) {
  for (const auto& [value, name] : kEvents) {
    if (value == kind) return name;
  }
  return "?";
}

// --- changes and events: written by hand, since there may be millions ---------------------------

void AppendJson(const Change& change, std::string* out) {
  std::string& line = *out;
  line += R"({"kind":")";
  line += static_cast<char>(change.kind);
  line += R"(","path":)";
  AppendJsonPath(change.path, out);
  if (change.type != 0) {
    line += R"(,"type":")";
    line += FileTypeName(change.type);
    line += '"';
  }
  if (!change.renamed_from.empty()) {
    line += R"(,"renamed_from":)";
    AppendJsonPath(change.renamed_from, out);
  }
  if (change.replaced) line += R"(,"replaced":true)";
  if (change.implied) line += R"(,"implied":true)";
  line += '}';
}

std::string ToJson(const Change& change) {
  std::string line;
  AppendJson(change, &line);
  return line;
}

bool ReadPlainChange(std::string_view line, Change* change) {
  const auto take = [&](std::string_view text) {
    if (!line.starts_with(text)) return false;
    line.remove_prefix(text.size());
    return true;
  };
  // Up to the next quote; a backslash in it is for the parser.
  const auto take_text = [&](std::string_view* text) {
    const size_t end = line.find('"');
    if (end == std::string_view::npos) return false;
    *text = line.substr(0, end);
    line.remove_prefix(end + 1);
    return text->find('\\') == std::string_view::npos;
  };
  std::string_view kind;
  std::string_view path;
  std::string_view type;
  std::string_view from;
  if (!take(R"({"kind":")") || !take_text(&kind) || kind.size() != 1 || std::string_view("ACD").find(kind) == std::string_view::npos ||
      !take(R"(,"path":")") || !take_text(&path) || (take(R"(,"type":")") && !take_text(&type)) ||
      (take(R"(,"renamed_from":")") && !take_text(&from))) {
    return false;
  }
  change->kind = static_cast<ChangeKind>(kind[0]);
  change->path = path;
  change->type = 0;
  change->renamed_from = from;
  change->replaced = take(R"(,"replaced":true)");
  change->implied = take(R"(,"implied":true)");
  for (const auto& [value, name] : kFileTypes) {
    if (type == name) change->type = value;
  }
  return line == "}";
}

bool FromJson(const json& object, Change* change) {
  std::string kind;
  std::string type;
  if (!object.is_object() || !Read(object, "kind", &kind) || kind.size() != 1 || !ReadPath(object, "path", &change->path)) {
    return false;
  }
  if (kind[0] != 'A' && kind[0] != 'C' && kind[0] != 'D') return false;
  change->kind = static_cast<ChangeKind>(kind[0]);
  if (object.contains("type")) {
    if (!Read(object, "type", &type)) return false;
    for (const auto& [value, name] : kFileTypes) {
      if (type == name) change->type = value;
    }
  }
  return ReadOptionalPath(object, "renamed_from", &change->renamed_from) && ReadFlag(object, "replaced", &change->replaced) &&
         ReadFlag(object, "implied", &change->implied);
}

std::string ToJson(const ChangeEvent& event) {
  std::string line = R"({"sequence":)" + std::to_string(event.sequence) + R"(,"event":")" + EventName(event.kind) + '"';
  if (event.kind != ChangeEvent::Kind::kLost) {
    line += R"(,"path":)";
    AppendJsonPath(event.path, &line);
  }
  if (!event.from.empty()) {
    line += R"(,"from":)";
    AppendJsonPath(event.from, &line);
  }
  line += '}';
  return line;
}

bool FromJson(const json& object, ChangeEvent* event) {
  std::string name;
  if (!object.is_object() || !Read(object, "sequence", &event->sequence) || !Read(object, "event", &name)) return false;
  bool known = false;
  for (const auto& [value, text] : kEvents) {
    if (name != text) continue;
    event->kind = value;
    known = true;
  }
  return known && ReadOptionalPath(object, "path", &event->path) && ReadOptionalPath(object, "from", &event->from);
}

// --- the others -----------------------------------------------------------------------------------

std::string ToJson(const Checkpoint& checkpoint) {
  return Line(
      {{"name", checkpoint.name}, {"sequence", checkpoint.sequence}, {"created_ns", checkpoint.created_ns}});
}

bool FromJson(const json& object, Checkpoint* checkpoint) {
  return object.is_object() && Read(object, "name", &checkpoint->name) && Read(object, "sequence", &checkpoint->sequence) &&
         Read(object, "created_ns", &checkpoint->created_ns);
}

std::string ToJson(const FsckFinding& finding) {
  json object = {{"kind", finding.kind}, {"detail", finding.detail}, {"repaired", finding.repaired}};
  if (!finding.path.empty()) object["path"] = PathToJson(finding.path);
  return Line(object);
}

bool FromJson(const json& object, FsckFinding* finding) {
  return object.is_object() && Read(object, "kind", &finding->kind) && Read(object, "detail", &finding->detail) &&
         Read(object, "repaired", &finding->repaired) && ReadOptionalPath(object, "path", &finding->path);
}

std::string ToJson(const StatsReport& report) {
  json operations = json::array();
  for (const OperationStats& operation : report.operations) operations.push_back(ToObject(operation));
  return Line({{"threads", report.threads},
               {"nodes", report.overlay.nodes},
               {"copied_up_files", report.overlay.copied_up_files},
               {"copied_up_bytes", report.overlay.copied_up_bytes},
               {"open_descriptors", report.overlay.open_descriptors},
               {"examined_names", report.overlay.examined_names},
               {"journal",
                {{"open", report.journal.open},
                 {"lost", report.journal.lost},
                 {"sequence", report.journal.sequence},
                 {"pending_records", report.journal.pending_records},
                 {"database_bytes", report.journal.database_bytes}}},
               {"operations", std::move(operations)}});
}

bool FromJson(const json& object, StatsReport* report) {
  if (!object.is_object()) return false;
  const auto journal = object.find("journal");
  const auto operations = object.find("operations");
  if (journal == object.end() || !journal->is_object() || operations == object.end() || !operations->is_array()) return false;
  for (const json& operation : *operations) {
    if (!operation.is_object() || !FromJson(operation, &report->operations.emplace_back())) return false;
  }
  OverlayCounters& overlay = report->overlay;
  JournalStats& stats = report->journal;
  return Read(object, "threads", &report->threads) && Read(object, "nodes", &overlay.nodes) &&
         Read(object, "copied_up_files", &overlay.copied_up_files) &&
         Read(object, "copied_up_bytes", &overlay.copied_up_bytes) &&
         Read(object, "open_descriptors", &overlay.open_descriptors) &&
         Read(object, "examined_names", &overlay.examined_names) && Read(*journal, "open", &stats.open) &&
         Read(*journal, "lost", &stats.lost) && Read(*journal, "sequence", &stats.sequence) &&
         Read(*journal, "pending_records", &stats.pending_records) &&
         Read(*journal, "database_bytes", &stats.database_bytes);
}

std::string OwnersToJson(const LayerStackOptions& layers) { return Line(OwnersToObject(layers)); }

bool OwnersFromJson(const json& object, LayerStackOptions* layers) {
  unsigned xattr_permissions = 0;
  if (!object.is_object() || !ReadRanges(object, "uid_ranges", &layers->ids.uids) ||
      !ReadRanges(object, "gid_ranges", &layers->ids.gids) || !ReadSquash(object, "squash_uid", &layers->ids.squash_uid) ||
      !ReadSquash(object, "squash_gid", &layers->ids.squash_gid) ||
      !Read(object, "xattr_permissions", &xattr_permissions) || xattr_permissions > 2) {
    return false;
  }
  layers->override_stat = static_cast<OverrideStat>(xattr_permissions);
  return true;
}

std::string ToJson(const UnionInfo& info) {
  const LayerStackOptions& layers = info.layers;
  json lowers = json::array();
  for (const std::string& lower : layers.lowers) lowers.push_back(PathToJson(lower));
  json object = {{"server", info.version},
                 {"pid", info.pid},
                 {"mountpoint", PathToJson(info.mountpoint)},
                 {"lowers", std::move(lowers)},
                 {"upper", PathToJson(layers.upper)},
                 {"work", PathToJson(layers.work)},
                 {"redirect_dir", info.redirect_dir == RedirectDir::kOn}};
  object.update(OwnersToObject(layers));
  return Line(object);
}

bool FromJson(const json& object, UnionInfo* info) {
  if (!object.is_object()) return false;
  LayerStackOptions& layers = info->layers;
  const auto lowers = object.find("lowers");
  if (lowers == object.end() || !lowers->is_array()) return false;
  for (const json& lower : *lowers) {
    std::optional<std::string> path = PathFromJson(lower);
    if (!path) return false;
    layers.lowers.push_back(*std::move(path));
  }
  bool redirect = false;
  if (!Read(object, "server", &info->version) || !Read(object, "pid", &info->pid) ||
      !ReadPath(object, "mountpoint", &info->mountpoint) || !ReadPath(object, "upper", &layers.upper) ||
      !ReadPath(object, "work", &layers.work) || !Read(object, "redirect_dir", &redirect) || !OwnersFromJson(object, &layers)) {
    return false;
  }
  info->redirect_dir = redirect ? RedirectDir::kOn : RedirectDir::kOff;
  return true;
}

}  // namespace plyfs
