// union_view.cc: see union_view.h.
#include "fs/oci/union_view.h"

#include <unistd.h>

#include <algorithm>
#include <memory>

#include "fs/layer/xattr.h"

namespace plyfs {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

class NameSink : public DirSink {
 public:
  bool Fits(size_t) const override { return true; }
  void Add(std::string_view name, Ino, uint8_t, uint64_t, const Entry*) override {
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::vector<std::string> names;
};

// Where the hole that `offset` lies in ends, or `offset` itself if it lies in none.
uint64_t EndOfHole(Overlay& overlay, NodeId id, uint64_t offset, uint64_t size) {
  const Result<uint64_t> data = overlay.Seek(id, offset, SEEK_DATA);
  if (data.ok()) return std::clamp(*data, offset, size);
  return data.error() == ENXIO ? size : offset;  // else the layer's filesystem knows of no holes
}

uint64_t EndOfData(Overlay& overlay, NodeId id, uint64_t offset, uint64_t size) {
  const Result<uint64_t> hole = overlay.Seek(id, offset, SEEK_HOLE);
  return hole.ok() && *hole > offset ? std::min(*hole, size) : size;
}

bool GiveZeros(uint64_t count, const std::function<bool(std::span<const char>)>& take) {
  static constexpr char kZeros[size_t{64} * 1024] = {};
  while (count > 0) {
    const size_t now = std::min<uint64_t>(count, sizeof kZeros);
    if (!take({kZeros, now})) return false;
    count -= now;
  }
  return true;
}

}  // namespace

Result<UnionObject> LookUp(Overlay& overlay, NodeId parent, const std::string& name) {
  ASSIGN_OR_RETURN(const Name component, Name::Parse(name));
  ASSIGN_OR_RETURN(const Entry entry, overlay.Lookup(parent, component));
  if (entry.id == NodeId::kNone) return Errno(ENOENT);
  return UnionObject{.ref = UnionRef(&overlay, entry.id), .attr = entry.attr};
}

Result<std::vector<std::string>> SortedNames(Overlay& overlay, NodeId directory) {
  NameSink sink;
  RETURN_IF_ERROR(overlay.Readdir(directory, 0, ReaddirMode::kNames, sink));
  std::sort(sink.names.begin(), sink.names.end());
  return std::move(sink.names);
}

Result<std::vector<TarXattr>> LayerXattrs(Overlay& overlay, NodeId id) {
  std::vector<TarXattr> xattrs;
  const Result<std::string> names = overlay.ListXattr(id);
  if (names.error() == EOPNOTSUPP) return xattrs;
  if (!names.ok()) return names.error();
  RETURN_IF_ERROR(ForEachXattrName(*names, [&](const char* name) -> Errno {
    if (std::string_view(name) == "security.selinux") return kOk;
    Result<std::string> value = overlay.GetXattr(id, name);
    if (value.error() == ENODATA || value.error() == EOPNOTSUPP) return kOk;  // removed meanwhile; option noacl
    if (!value.ok()) return value.error();
    xattrs.emplace_back(name, std::move(value).value());
    return kOk;
  }));
  std::sort(xattrs.begin(), xattrs.end());
  return xattrs;
}

Errno ReadAll(Overlay& overlay, NodeId id, uint64_t size, const std::function<bool(std::span<const char>)>& take,
              uint64_t* short_by) {
  *short_by = 0;
  const size_t buffer_bytes = std::min<uint64_t>(size, kBufferBytes);
  const auto buffer = std::make_unique_for_overwrite<char[]>(buffer_bytes);
  // Small files are not worth asking for holes.
  const bool seek = size > kBufferBytes;
  for (uint64_t at = 0; at < size;) {
    const uint64_t data = seek ? EndOfHole(overlay, id, at, size) : at;
    if (!GiveZeros(data - at, take)) return kOk;
    at = data;
    const uint64_t end = seek ? EndOfData(overlay, id, at, size) : size;
    while (at < end) {
      const size_t want = std::min<uint64_t>(end - at, buffer_bytes);
      ASSIGN_OR_RETURN(const size_t got, overlay.Read(id, {buffer.get(), want}, at));
      if (got == 0) {
        *short_by = size - at;
        GiveZeros(*short_by, take);
        return kOk;
      }
      if (!take({buffer.get(), got})) return kOk;
      at += got;
    }
  }
  return kOk;
}

}  // namespace plyfs
