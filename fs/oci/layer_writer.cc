// layer_writer.cc: see layer_writer.h.
//
// The order of the tar: a directory, then all that is below it: first its whiteouts, then its entries, each sorted by bytes.
#include "fs/oci/layer_writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "fs/layer/whiteout.h"
#include "fs/oci/layer_path.h"
#include "fs/oci/layer_stream.h"
#include "fs/oci/tar_writer.h"
#include "fs/oci/union_view.h"

namespace plyfs {
namespace {

// No name that is longer than PATH_MAX can be unpacked, and each level has at least two bytes.
constexpr int kDeepest = 2048;

// Changes of one directory and what is below it.
using Changes = std::span<const Change* const>;

// Whether everything below comes right behind its directory: '/' before all other bytes.
bool PathLess(const Change* a, const Change* b) {
  return std::lexicographical_compare(
      a->path.begin(), a->path.end(), b->path.begin(), b->path.end(), [](char x, char y) {
        const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
        return rank(x) < rank(y);
      });
}

// The changes of one name in a directory.
struct Group {
  std::string name;
  const Change* change = nullptr;  // of the name itself; null if only what is below it is listed
  Changes below;
};

// Takes the first group off `changes`, whose paths begin with `prefix` ("" for the root).
Group TakeGroup(Changes* changes, size_t prefix) {
  const std::string_view first(changes->front()->path);
  const size_t end = std::min(first.find('/', prefix + 1), first.size());
  const std::string_view path = first.substr(0, end);
  Group group{.name = std::string(first.substr(prefix + 1, end - prefix - 1))};
  size_t count = 0;
  for (; count < changes->size(); ++count) {
    const std::string_view other((*changes)[count]->path);
    if (!other.starts_with(path) || (other.size() > path.size() && other[path.size()] != '/')) break;
  }
  const size_t own = first.size() == end ? 1 : 0;
  if (own == 1) group.change = changes->front();
  group.below = changes->subspan(own, count - own);
  *changes = changes->subspan(count);
  return group;
}

// How a directory is written.
struct DirectoryPlan {
  bool whole = false;   // all that it holds, whatever is listed
  bool opaque = false;  // and nothing of the layers below
};

DirectoryPlan PlanFor(const Change* change) {
  if (change == nullptr) return {};
  // A list is older than what is read: what was no directory then is new as a whole.
  const bool was_other = !S_ISDIR(change->type);
  const bool renamed = !change->renamed_from.empty() && change->renamed_from != change->path;
  const bool whole = change->replaced || was_other || renamed;
  return {.whole = whole, .opaque = change->replaced || (whole && change->kind == ChangeKind::kChanged)};
}

class LayerWriter {
 public:
  LayerWriter(Overlay& content, LayerStream& stream, const LayerWriterOptions& options, LayerSummary* summary)
      : content_(content), tar_(stream), options_(options), summary_(summary) {}

  bool Write(const std::vector<Change>& changes, LayerError* error);

 private:
  struct Directory {
    NodeId id = NodeId::kNone;
    Attr attr;
    std::string path;  // "a/b"; "" for the root
    int depth = 0;
  };

  Errno WriteAllChanges(const std::vector<Change>& changes);
  Errno WriteChanges(const Directory& directory, Changes changes);
  Errno WriteWhole(const Directory& directory, bool opaque);
  Errno WriteGroup(const Directory& parent, const Group& group);
  Errno WriteObject(const Directory& parent, const std::string& name, UnionObject object, const Change* change, Changes below);
  Errno WriteDirectory(const Directory& directory, const Change* change, Changes below);
  Errno WriteNonDirectory(const std::string& path, UnionObject object);
  Errno WriteContent(const std::string& path, NodeId id, const Attr& before);
  Errno WriteWhiteout(const Directory& parent, const std::string& name);
  Errno WriteMark(const Directory& parent, const std::string& mark);
  Errno WriteHeader(const TarEntry& entry);

  Result<TarEntry> EntryOf(const std::string& path, NodeId id, const Attr& attr);
  timespec Clamp(timespec time) const;
  // For what cannot be in a layer: says so and goes on.
  Errno LeaveOut(const std::string& path, const char* why);
  void Warn(const std::string& text) const {
    if (options_.warning) options_.warning(text);
  }
  // Where an error belongs to; the innermost path stays.
  Errno At(const std::string& path, Errno error);
  Errno TarError();

  // A file with several names in this layer.
  struct Linked {
    UnionRef ref;  // keeps the node's id
    std::string first;
    uint32_t names_to_come = 0;
  };

  Overlay& content_;
  TarWriter tar_;
  const LayerWriterOptions& options_;
  LayerSummary* const summary_;
  LayerProgress progress_;
  absl::flat_hash_map<NodeId, Linked> linked_;
  std::string failed_path_;
  std::string failed_text_;
};

bool LayerWriter::Write(const std::vector<Change>& changes, LayerError* error) {
  Errno failed = WriteAllChanges(changes);
  if (failed.ok() && !tar_.Finish()) failed = TarError();
  if (failed.ok()) return true;
  error->message = failed_text_.empty() ? std::strerror(failed.value()) : failed_text_;
  if (!failed_path_.empty()) error->message = "entry '" + Printable(failed_path_) + "': " + error->message;
  return false;
}

Errno LayerWriter::At(const std::string& path, Errno error) {
  if (!error.ok() && failed_path_.empty() && failed_text_.empty()) failed_path_ = path;
  return error;
}

Errno LayerWriter::TarError() {
  failed_text_ = tar_.error();
  return EIO;
}

Errno LayerWriter::WriteAllChanges(const std::vector<Change>& changes) {
  std::vector<const Change*> sorted;
  const Change* root_change = nullptr;
  for (const Change& change : changes) {
    if (change.path == "/") {
      root_change = &change;
    } else {
      sorted.push_back(&change);
    }
  }
  if (changes.empty()) return kOk;
  std::stable_sort(sorted.begin(), sorted.end(), PathLess);
  ASSIGN_OR_RETURN(const Attr attr, content_.GetAttr(NodeId::kRoot));
  const Directory root{.id = NodeId::kRoot, .attr = attr};
  // The parent of all changes, whether it is listed or not.
  return WriteDirectory(root, root_change, sorted);
}

Errno LayerWriter::WriteDirectory(const Directory& directory, const Change* change, Changes below) {
  if (directory.depth > kDeepest) return At(directory.path, ENAMETOOLONG);
  Result<TarEntry> entry = EntryOf(directory.path.empty() ? "." : directory.path, directory.id, directory.attr);
  if (!entry.ok()) return At(directory.path, entry.error());
  entry->path += '/';
  RETURN_IF_ERROR(WriteHeader(*entry));
  const DirectoryPlan plan = PlanFor(change);
  return plan.whole ? WriteWhole(directory, plan.opaque) : WriteChanges(directory, below);
}

Errno LayerWriter::WriteChanges(const Directory& directory, Changes changes) {
  const size_t prefix = directory.path.empty() ? 0 : directory.path.size() + 1;
  for (Changes rest = changes; !rest.empty();) {
    const Group group = TakeGroup(&rest, prefix);
    if (group.change == nullptr || group.change->kind != ChangeKind::kDeleted) continue;
    RETURN_IF_ERROR(WriteWhiteout(directory, group.name));
  }
  for (Changes rest = changes; !rest.empty();) RETURN_IF_ERROR(WriteGroup(directory, TakeGroup(&rest, prefix)));
  return kOk;
}

Errno LayerWriter::WriteGroup(const Directory& parent, const Group& group) {
  const Change* const change = group.change;
  if (change != nullptr && change->kind == ChangeKind::kDeleted) return kOk;
  Result<UnionObject> object = LookUp(content_, parent.id, group.name);
  if (object.ok()) return WriteObject(parent, group.name, std::move(object).value(), change, group.below);
  if (!(object.error() == ENOENT)) return At(JoinPath(parent.path, group.name), object.error());
  ++summary_->changed_files;
  Warn("'" + Printable(JoinPath(parent.path, group.name)) + "' has been removed meanwhile");
  // What was added is gone without a trace; anything else hides an entry of the layers below.
  return change != nullptr && change->kind == ChangeKind::kAdded ? kOk : WriteWhiteout(parent, group.name);
}

Errno LayerWriter::WriteWhole(const Directory& directory, bool opaque) {
  if (opaque) RETURN_IF_ERROR(WriteMark(directory, std::string(kWhOpaque)));
  const Result<std::vector<std::string>> names = SortedNames(content_, directory.id);
  if (!names.ok()) return At(directory.path, names.error());
  for (const std::string& name : *names) {
    Result<UnionObject> object = LookUp(content_, directory.id, name);
    if (object.error() == ENOENT) continue;  // removed meanwhile; nothing below needs hiding
    if (!object.ok()) return At(JoinPath(directory.path, name), object.error());
    static constexpr mode_t kDirectory = S_IFDIR;
    // As if it came by a redirect: whole, and nothing to hide.
    const Change as_new{.kind = ChangeKind::kAdded, .type = kDirectory, .renamed_from = name};
    RETURN_IF_ERROR(WriteObject(directory, name, std::move(object).value(), &as_new, {}));
  }
  return kOk;
}

Errno LayerWriter::WriteObject(const Directory& parent, const std::string& name, UnionObject object, const Change* change,
                               Changes below) {
  const std::string path = JoinPath(parent.path, name);
  if (HasWhPrefix(name)) return LeaveOut(path, "a layer cannot have names that begin with .wh.");
  if (!S_ISDIR(object.attr.mode)) return WriteNonDirectory(path, std::move(object));
  return WriteDirectory({.id = object.ref.id(), .attr = object.attr, .path = path, .depth = parent.depth + 1}, change, below);
}

Errno LayerWriter::WriteNonDirectory(const std::string& path, UnionObject object) {
  if (S_ISSOCK(object.attr.mode)) return LeaveOut(path, "sockets cannot be in a layer");
  const NodeId id = object.ref.id();
  const Attr attr = object.attr;
  Result<TarEntry> entry = EntryOf(path, id, attr);
  if (!entry.ok()) return At(path, entry.error());
  if (attr.nlink > 1) {
    const auto [linked, is_first] = linked_.try_emplace(id);
    if (!is_first) {
      entry->is_hard_link = true;
      entry->link = linked->second.first;
      if (--linked->second.names_to_come == 0) linked_.erase(linked);
      return WriteHeader(*entry);
    }
    linked->second = {.ref = std::move(object.ref), .first = path, .names_to_come = attr.nlink - 1};
  }
  RETURN_IF_ERROR(WriteHeader(*entry));
  return S_ISREG(attr.mode) ? WriteContent(path, id, attr) : kOk;
}

Errno LayerWriter::WriteContent(const std::string& path, NodeId id, const Attr& before) {
  bool taken = true;
  const auto take = [&](std::span<const char> bytes) {
    taken = tar_.Data(bytes);
    progress_.bytes += bytes.size();
    if (options_.progress) options_.progress(progress_);
    return taken;
  };
  uint64_t short_by = 0;
  const Errno error = ReadAll(content_, id, before.size, take, &short_by);
  if (!error.ok()) return At(path, error);
  if (!taken) return At(path, TarError());
  const Result<Attr> after = content_.GetAttr(id);
  const bool same = after.ok() && short_by == 0 && after->size == before.size &&
                    after->mtime.tv_sec == before.mtime.tv_sec && after->mtime.tv_nsec == before.mtime.tv_nsec;
  if (!same) {
    ++summary_->changed_files;
    Warn("'" + Printable(path) + "' has changed while it was read");
  }
  return kOk;
}

Errno LayerWriter::WriteWhiteout(const Directory& parent, const std::string& name) {
  if (HasWhPrefix(name)) return LeaveOut(JoinPath(parent.path, name), "a layer cannot hide names that begin with .wh.");
  return WriteMark(parent, WhNameOf(name));
}

Errno LayerWriter::WriteMark(const Directory& parent, const std::string& mark) {
  TarEntry entry{.path = JoinPath(parent.path, mark), .mode = S_IFREG};
  entry.mtime = options_.source_date_epoch ? timespec{.tv_sec = *options_.source_date_epoch} : parent.attr.mtime;
  return WriteHeader(entry);
}

Errno LayerWriter::WriteHeader(const TarEntry& entry) {
  if (!tar_.Header(entry)) return At(entry.path, TarError());
  ++summary_->entries;
  ++progress_.entries;
  if (options_.progress) options_.progress(progress_);
  return kOk;
}

Result<TarEntry> LayerWriter::EntryOf(const std::string& path, NodeId id, const Attr& attr) {
  TarEntry entry{.path = path, .mode = attr.mode, .uid = attr.uid, .gid = attr.gid, .rdev = attr.rdev};
  if (S_ISREG(attr.mode)) entry.size = attr.size;
  entry.mtime = Clamp(attr.mtime);
  if (S_ISLNK(attr.mode)) {
    ASSIGN_OR_RETURN(entry.link, content_.ReadLink(id));
  }
  ASSIGN_OR_RETURN(entry.xattrs, LayerXattrs(content_, id));
  return entry;
}

timespec LayerWriter::Clamp(timespec time) const {
  const std::optional<int64_t>& epoch = options_.source_date_epoch;
  return epoch && time.tv_sec >= *epoch ? timespec{.tv_sec = *epoch} : time;
}

Errno LayerWriter::LeaveOut(const std::string& path, const char* why) {
  Warn("'" + Printable(path) + "' is left out: " + why);
  return kOk;
}

}  // namespace

bool WriteLayer(Overlay& content, const std::vector<Change>& changes, int out, const LayerWriterOptions& options,
                LayerSummary* summary, LayerError* error) {
  *summary = {};
  LayerStream stream(out, options.compression);
  if (!stream.error().empty()) {
    error->message = stream.error();
    return false;
  }
  if (!LayerWriter(content, stream, options, summary).Write(changes, error)) return false;
  if (!stream.Finish()) {
    error->message = stream.error();
    return false;
  }
  summary->diff_id = stream.diff_id();
  summary->digest = stream.digest();
  summary->tar_bytes = stream.tar_bytes();
  summary->written_bytes = stream.written_bytes();
  return true;
}

}  // namespace plyfs
