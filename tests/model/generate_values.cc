// generate_values.cc: random names, times and xattrs.

#include <sys/stat.h>

#include "tests/model/generate.h"

namespace plyfs::model {

size_t Below(Random& random, size_t bound) {
  // Not std::uniform_int_distribution: a seed must mean the same with every standard library.
  return bound == 0 ? 0 : static_cast<size_t>(random() % bound);
}

bool Chance(Random& random, int percent) {
  return Below(random, 100) < static_cast<size_t>(percent);
}

std::string RandomName(Random& random) {
  if (Chance(random, 80)) return std::string(1, static_cast<char>('a' + Below(random, 9)));
  switch (Below(random, 12)) {
    case 0:
      return "new\nline";
    case 1:
      return "\xff\xfe\x80";
    case 2:
      return std::string(255, 'L');
    case 3:
      return std::string(254, 'L') + "M";
    case 4:
      return "-rf";
    case 5:
      return "x y";
    case 6:
      return "q'u\"o\\t";
    case 7:
      return ".hidden";
    case 8:
      return "...";
    case 9:
      return "a:b,c";
    case 10:
      return "\xc3\xbc";
    default:
      return "name" + std::to_string(Below(random, 40));
  }
}

timespec RandomTime(Random& random) {
  timespec time = {};
  switch (Below(random, 4)) {
    case 0:
      time.tv_sec = -static_cast<time_t>(1 + Below(random, 2000000000));  // before 1970
      break;
    case 1:
      time.tv_sec = static_cast<time_t>(4294967296 + Below(random, 1000000000));  // after 2106
      break;
    default:
      time.tv_sec = static_cast<time_t>(Below(random, 2000000000));
  }
  time.tv_nsec = static_cast<long>(Below(random, 1000000000));
  return time;
}

std::string RandomXattrName(Random& random, mode_t mode, Privilege privilege) {
  if (privilege == Privilege::kUserNamespace)
    return Chance(random, 50) ? "user.a" : "user.\xff\xfe";
  if (S_ISREG(mode) && Chance(random, 8)) return "security.capability";
  if ((!S_ISREG(mode) && !S_ISDIR(mode)) || Chance(random, 30)) {
    return Chance(random, 50) ? "trusted.t" : "trusted.second";
  }
  switch (Below(random, 5)) {
    case 0:
      return "user.a";
    case 1:
      return "user.b";
    case 2:
      return "user.\xff\xfe";
    case 3:
      return "user." + std::string(60, 'n');
    default:
      return "user.overlayish.name";
  }
}

std::string RandomXattrValue(Random& random, const std::string& name) {
  if (name == "security.capability") {
    // VFS_CAP_REVISION_2 with cap_net_raw permitted and effective.
    return std::string(
        "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00",
        20);
  }
  std::string value(Below(random, Chance(random, 10) ? 200 : 20), '\0');
  for (char& c : value) c = static_cast<char>(Below(random, 256));
  return value;
}

}  // namespace plyfs::model
