// thread.cc: see thread.h.
#include "fs/base/thread.h"

namespace plyfs {

Errno StartThread(void* (*start)(void*), void* argument, size_t stack, pthread_t* joinable) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack);
  if (joinable == nullptr) ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const Errno error = ::pthread_create(&thread, &attributes, start, argument);
  ::pthread_attr_destroy(&attributes);
  if (error.ok() && joinable != nullptr) *joinable = thread;
  return error;
}

}  // namespace plyfs
