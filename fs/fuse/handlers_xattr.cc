// handlers_xattr.cc: extended attributes.
#include "fs/fuse/handlers.h"

namespace plyfs {
namespace {

// `room` 0 asks for the size only.
Errno ReplyValue(Call& call, const std::string& value, uint32_t room) {
  if (room == 0) {
    return call.reply.Struct(fuse_getxattr_out{.size = static_cast<uint32_t>(value.size())});
  }
  if (value.size() > room) return ERANGE;
  return call.reply.Bytes(value);
}

struct SetxattrShort {
  uint32_t size;
  uint32_t flags;
};
static_assert(sizeof(SetxattrShort) == FUSE_COMPAT_SETXATTR_IN_SIZE);

}  // namespace

Errno OnSetxattr(Call& call) {
  ASSIGN_OR_RETURN(const SetxattrShort* const in, call.request.Take<SetxattrShort>());
  bool kill_sgid = false;
  if (call.agreed.has(FUSE_SETXATTR_EXT)) {
    struct Extension {
      uint32_t setxattr_flags;
      uint32_t padding;
    };
    ASSIGN_OR_RETURN(const Extension* const more, call.request.Take<Extension>());
    kill_sgid = (more->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
  }
  ASSIGN_OR_RETURN(const std::string_view name, call.request.TakeString());
  ASSIGN_OR_RETURN(const std::span<const char> value, call.request.TakeBytes(in->size));
  return call.reply.Error(call.overlay.SetXattr(call.request.node(), std::string(name), value,
                                                static_cast<int>(in->flags), kill_sgid));
}

Errno OnGetxattr(Call& call) {
  ASSIGN_OR_RETURN(const fuse_getxattr_in* const in, call.request.Take<fuse_getxattr_in>());
  ASSIGN_OR_RETURN(const std::string_view name, call.request.TakeString());
  ASSIGN_OR_RETURN(const std::string value,
                   call.overlay.GetXattr(call.request.node(), std::string(name)));
  return ReplyValue(call, value, in->size);
}

Errno OnListxattr(Call& call) {
  ASSIGN_OR_RETURN(const fuse_getxattr_in* const in, call.request.Take<fuse_getxattr_in>());
  ASSIGN_OR_RETURN(const std::string names,
                   call.overlay.ListXattr(call.request.node(), call.request.caller()));
  return ReplyValue(call, names, in->size);
}

Errno OnRemovexattr(Call& call) {
  ASSIGN_OR_RETURN(const std::string_view name, call.request.TakeString());
  return call.reply.Error(call.overlay.RemoveXattr(call.request.node(), std::string(name)));
}

}  // namespace plyfs
