// test_union.cc: see test_union.h.
#include "tests/fuse/test_union.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace plyfs {

TestUnion::TestUnion() {
  ::umask(0);  // as the server does: the umask of a caller comes with the request
  const std::string lower = dir_.MakeDir("lower");
  const std::string upper = dir_.MakeDir("upper");
  const std::string work = dir_.MakeDir("work");
  std::ofstream(lower + "/" + kLowerFile) << kLowerContent;
  const std::string entries = dir_.MakeDir(std::string("lower/") + kLowerDir);
  for (int i = 0; i < kDirEntries; ++i) std::ofstream(entries + "/file" + std::to_string(i)) << i;

  OverlayConfig config;
  MountError error;
  LayerStackOptions options;
  options.lowers = {lower};
  options.upper = upper;
  options.work = work;
  if (!OpenLayerStack(options, &config.layers, &error)) {
    ADD_FAILURE() << error.message;
    std::abort();
  }
  overlay_ = std::make_unique<Overlay>(std::move(config));
}

}  // namespace plyfs
