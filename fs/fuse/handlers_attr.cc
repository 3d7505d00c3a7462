// handlers_attr.cc: requests about attributes, symlink targets and the filesystem as a whole.
#include "fs/fuse/handlers.h"

namespace plyfs {

Errno OnGetattr(Call& call) {
  ASSIGN_OR_RETURN(const Attr attr, call.overlay.GetAttr(call.request.node()));
  return call.reply.Struct(EncodeAttrOut(attr, call.ValidityOf(call.request.node())));
}

Errno OnSetattr(Call& call) {
  ASSIGN_OR_RETURN(const fuse_setattr_in* const in, call.request.Take<fuse_setattr_in>());
  ASSIGN_OR_RETURN(const Attr attr, call.overlay.SetAttr(call.request.node(), DecodeAttrChange(*in),
                                                         call.request.caller()));
  return call.reply.Struct(EncodeAttrOut(attr, call.ValidityOf(call.request.node())));
}

Errno OnStatx(Call& call) {
  ASSIGN_OR_RETURN(const Attr attr, call.overlay.GetAttr(call.request.node()));
  return call.reply.Struct(EncodeStatx(attr, call.ValidityOf(call.request.node())));
}

Errno OnReadlink(Call& call) {
  ASSIGN_OR_RETURN(const std::string target, call.overlay.ReadLink(call.request.node()));
  return call.reply.Bytes(target);
}

Errno OnStatfs(Call& call) {
  ASSIGN_OR_RETURN(const struct statvfs stat, call.overlay.StatFs());
  fuse_statfs_out out{};
  out.st.blocks = stat.f_blocks;
  out.st.bfree = stat.f_bfree;
  out.st.bavail = stat.f_bavail;
  out.st.files = stat.f_files;
  out.st.ffree = stat.f_ffree;
  out.st.bsize = static_cast<uint32_t>(stat.f_bsize);
  out.st.namelen = static_cast<uint32_t>(stat.f_namemax);
  out.st.frsize = static_cast<uint32_t>(stat.f_frsize);
  return call.reply.Struct(out);
}

}  // namespace plyfs
