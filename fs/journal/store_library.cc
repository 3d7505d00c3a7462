// store_library.cc: loads the library with the database (rocks_store.cc) when it is needed first.
#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "fs/base/log.h"
#include "fs/journal/store.h"

namespace plyfs {
namespace {

constexpr const char* kName = "libplyfs_store.so";
// From the directory of the program: installed (bin, libexec/plyfs), beside it, in the build tree (programs, tests).
constexpr std::array<const char*, 5> kPlaces = {"/../" PLYFS_STORE_DIR "/", "/../../" PLYFS_STORE_DIR "/", "/", "/../fs/journal/",
                                                "/../../fs/journal/"};

std::string ProgramDirectory() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string program(path, size > 0 ? size : 0);
  return program.substr(0, program.rfind('/'));
}

const StoreLibrary* Load() {
  const std::string directory = ProgramDirectory();
  std::string reason;
  for (const char* place : kPlaces) {
    void* library = ::dlopen((directory + place + kName).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) return static_cast<const StoreLibrary*>(::dlsym(library, kStoreLibrarySymbol));
    const char* error = ::dlerror();
    if (reason.empty() && error != nullptr) reason = error;
  }
  LogError("journal: %s", reason.c_str());
  return nullptr;
}

const StoreLibrary* Library() {
  static const StoreLibrary* const library = Load();
  return library;
}

}  // namespace

Result<std::unique_ptr<Store>> OpenStore(const std::string& path, bool create) {
  if (Library() == nullptr) return Errno(ELIBACC);
  std::unique_ptr<Store> store;
  RETURN_IF_ERROR(Library()->open(path, create, &store));
  return store;
}

}  // namespace plyfs
