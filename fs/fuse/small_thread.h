// small_thread.h: threads with a small stack, as requests need them.
// Thread safety: pure function.
#pragma once

#include <pthread.h>

#include "fs/base/errno.h"

namespace plyfs {

// Starts a thread; it is to be joined if `joinable` is given, else it is detached.
Errno StartSmallThread(void* (*start)(void*), void* argument, pthread_t* joinable = nullptr);

}  // namespace plyfs
