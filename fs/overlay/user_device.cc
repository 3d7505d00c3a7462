// user_device.cc: see user_device.h.
#include "fs/overlay/user_device.h"

#include "fs/overlay/locate.h"

namespace plyfs {

Errno LetHoldDevices(Core& core, Node& parent) {
  DirPart& part = parent.dir->parts.front();
  if (part.holds_devices) return kOk;
  ASSIGN_OR_RETURN(const FdRef fd, DirFd(core, parent, LayerIndex::kUpper));
  RETURN_IF_ERROR(core.upper().SetMark({.dir = fd->fd.get()}, kHoldsDevicesMark, "y"));
  part.holds_devices = true;
  return kOk;
}

Errno LetHoldIfDevice(Core& core, const Node& node, const ObjectRef& at, Node& parent) {
  if (!S_ISCHR(node.type) || !ReadMark(at, kDeviceMark).ok()) return kOk;
  return LetHoldDevices(core, parent);
}

Errno MakeUserDevice(Core& core, const ObjectRef& at) {
  ASSIGN_OR_RETURN(const UniqueFd fd, core.upper().MakeFile(at, 0));
  return core.upper().SetMark(at, kDeviceMark, "0:0");
}

}  // namespace plyfs
