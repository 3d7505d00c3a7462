// dir_reply.cc: see dir_reply.h.
#include "fs/fuse/dir_reply.h"

#include <cstring>

namespace plyfs {

size_t DirReply::RecordSize(size_t name_length) const {
  const size_t before_name =
      mode_ == ReaddirMode::kPlus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  return FUSE_DIRENT_ALIGN(before_name + name_length);
}

bool DirReply::Fits(size_t name_length) const {
  return RecordSize(name_length) <= buffer_.size() - used_;
}

void DirReply::Add(std::string_view name, Ino ino, uint8_t type, uint64_t cookie,
                   const Entry* entry) {
  if (!Fits(name.size())) return;
  char* const record = buffer_.data() + used_;
  const size_t size = RecordSize(name.size());
  // Padding and a missing entry are zeros; a nodeid of 0 tells the kernel that nothing was counted.
  std::memset(record, 0, size);
  auto* dirent = reinterpret_cast<fuse_dirent*>(record);
  if (mode_ == ReaddirMode::kPlus) {
    auto* plus = reinterpret_cast<fuse_direntplus*>(record);
    if (entry != nullptr) plus->entry_out = EncodeEntry(*entry, validity_, ValidityOf(entry->id, open_files_, validity_));
    dirent = &plus->dirent;
  }
  dirent->ino = ino.value;
  dirent->off = cookie;
  dirent->namelen = static_cast<uint32_t>(name.size());
  dirent->type = type;
  std::memcpy(dirent->name, name.data(), name.size());
  used_ += size;
}

void DirReply::ForEachCounted(const std::function<void(NodeId)>& visit) const {
  if (mode_ != ReaddirMode::kPlus) return;
  for (size_t at = 0; at < used_;) {
    const auto* plus = reinterpret_cast<const fuse_direntplus*>(buffer_.data() + at);
    if (plus->entry_out.nodeid != 0) visit(NodeId{plus->entry_out.nodeid});
    at += RecordSize(plus->dirent.namelen);
  }
}

}  // namespace plyfs
