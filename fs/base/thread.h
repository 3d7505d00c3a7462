// thread.h: threads with a stack of a chosen size: the default of 8 MiB is too much where there are many, or where memory is counted.
// Thread safety: pure function.
#pragma once

#include <pthread.h>

#include <cstddef>

#include "fs/base/errno.h"

namespace plyfs {

// Enough for a request of the kernel's.
inline constexpr size_t kSmallStack = size_t{256} << 10;

// Starts a thread with a stack of so many bytes. It is to be joined if `joinable` is given, else it is detached. EAGAIN: there may be no more.
Errno StartThread(void* (*start)(void*), void* argument, size_t stack, pthread_t* joinable = nullptr);

}  // namespace plyfs
