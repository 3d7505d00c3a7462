// small_thread.cc: see small_thread.h.
#include "fs/fuse/small_thread.h"

#include <cstddef>

namespace plyfs {
namespace {

constexpr size_t kStackSize = size_t{256} * 1024;

}  // namespace

Errno StartSmallThread(void* (*start)(void*), void* argument, pthread_t* joinable) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackSize);
  if (joinable == nullptr) ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const Errno error =
      ::pthread_create(joinable != nullptr ? joinable : &thread, &attributes, start, argument);
  ::pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace plyfs
