// data_path.h: reading, writing and all else that goes to a file's bytes.
// Not here: opening (file_io.h), copying up (copy_up.h).
// Thread safety: any thread; called without any lock. No lock is held over the transfer itself.
#pragma once

#include <span>

#include "fs/overlay/core.h"

namespace plyfs {

// See the methods of Overlay.
Result<size_t> ReadData(Core& core, const NodeRef& node, std::span<char> buffer, uint64_t offset);
Result<size_t> WriteData(Core& core, const NodeRef& node, std::span<const char> data, uint64_t offset,
                         const WriteOptions& options);

// See Overlay::PrepareWriting and FindUpperFile.
Errno PrepareToWrite(Core& core, const NodeRef& node);
Result<UpperFile> FindUpperFile(Core& core, Node& node, bool writes);

struct Extent {
  uint64_t offset = 0;
  uint64_t length = 0;
};
Errno AllocateData(Core& core, const NodeRef& node, int mode, const Extent& extent, const WriteOptions& options);
Result<uint64_t> SeekData(Core& core, const NodeRef& node, uint64_t offset, int whence);

struct DataPosition {
  NodeRef node;
  uint64_t offset = 0;
};
Result<size_t> CopyData(Core& core, const DataPosition& from, const DataPosition& to, size_t length,
                        const WriteOptions& options);

Errno SyncNode(Core& core, const NodeRef& node, bool data_only);
Errno FileFlagsIoctl(Core& core, const NodeRef& node, unsigned long command, std::span<char> data);

}  // namespace plyfs
