// copy_data.cc: see copy_data.h.
#include "fs/layer/copy_data.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

namespace plyfs {
namespace {

constexpr size_t kCopyBuffer = size_t{256} * 1024;
constexpr size_t kSendfileMax = 0x7ffff000;

// The pair of filesystems cannot do it at all; another method may.
bool MeansOtherMethod(Errno error) {
  return error == EXDEV || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL || error == ENOTTY ||
         error == EPERM || error == EBADF || error == ETXTBSY;
}

Errno ReadWrite(int from, int to, uint64_t offset, uint64_t length) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kCopyBuffer);
  while (length > 0) {
    const ssize_t got = ::pread(from, buffer.get(), std::min<uint64_t>(length, kCopyBuffer), offset);
    if (got < 0) return Errno::Last();
    if (got == 0) return EIO;  // the lower shrank under us
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = ::pwrite(to, buffer.get() + done, got - done, offset + done);
      if (put < 0) return Errno::Last();
      done += put;
    }
    offset += got;
    length -= got;
  }
  return kOk;
}

// Runs `call` (bytes moved, 0 at the end, -1 with errno) until `length` bytes are there.
template <typename Call>
Errno Repeat(uint64_t* offset, uint64_t* length, Call call) {
  while (*length > 0) {
    const ssize_t moved = call(*offset, *length);
    if (moved < 0) return Errno::Last();
    if (moved == 0) return EIO;
    *offset += moved;
    *length -= moved;
  }
  return kOk;
}

}  // namespace

Errno DataCopier::CopyRange(int from, int to, uint64_t offset, uint64_t length) {
  if (copy_file_range_works_.load(std::memory_order_relaxed)) {
    const Errno error = Repeat(&offset, &length, [&](uint64_t at, uint64_t rest) {
      off_t in = at;
      off_t out = at;
      return ::copy_file_range(from, &in, to, &out, std::min<uint64_t>(rest, 1 << 30), 0);
    });
    if (!MeansOtherMethod(error)) return error;
    copy_file_range_works_ = false;
  }
  if (sendfile_works_.load(std::memory_order_relaxed)) {
    if (::lseek(to, offset, SEEK_SET) < 0) return Errno::Last();
    const Errno error = Repeat(&offset, &length, [&](uint64_t at, uint64_t rest) {
      off_t in = at;
      return ::sendfile(to, from, &in, std::min<uint64_t>(rest, kSendfileMax));
    });
    if (!MeansOtherMethod(error)) return error;
    sendfile_works_ = false;
  }
  return ReadWrite(from, to, offset, length);
}

Errno DataCopier::Copy(int from, int to, uint64_t size, uint64_t allocated) {
  if (size == 0) return kOk;
  if (reflink_works_.load(std::memory_order_relaxed)) {
    if (::ioctl(to, FICLONE, from) == 0) return Errno::Of(::ftruncate(to, size));
    const Errno error = Errno::Last();
    if (!MeansOtherMethod(error)) return error;
    reflink_works_ = false;
  }
  if (allocated >= size) return CopyRange(from, to, 0, size);

  for (uint64_t offset = 0; offset < size;) {
    const off_t data = ::lseek(from, offset, SEEK_DATA);
    if (data < 0) {
      if (const Errno error = Errno::Last(); !(error == ENXIO)) return CopyRange(from, to, offset, size - offset);
      break;  // only a hole is left
    }
    if (static_cast<uint64_t>(data) >= size) break;
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return Errno::Last();
    const uint64_t end = std::min<uint64_t>(hole, size);
    RETURN_IF_ERROR(CopyRange(from, to, data, end - data));
    offset = end;
  }
  return Errno::Of(::ftruncate(to, size));
}

}  // namespace plyfs
