// raw_tar.h: a tar made byte by byte, so that it can say what no well-meaning writer says.
// Thread safety: one owner.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace plyfs::test {

struct RawTarOptions {
  char type = '0';
  std::string link = "";
  std::string content = "";
  unsigned mode = 0644;
  std::vector<std::pair<std::string, std::string>> pax = {};
  int device_major = 0;
  int device_minor = 0;
};

class RawTar {
 public:
  using Options = RawTarOptions;

  RawTar& Add(const std::string& name, const Options& options = {}) {
    if (!options.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : options.pax) records += Record(key, value);
      Block("pax", {.type = 'x', .content = records});
    }
    return Block(name, options);
  }
  RawTar& Dir(const std::string& name, unsigned mode = 0755) { return Add(name, {.type = '5', .mode = mode}); }
  RawTar& File(const std::string& name, const std::string& content = "") { return Add(name, {.content = content}); }
  RawTar& Symlink(const std::string& name, const std::string& target) { return Add(name, {.type = '2', .link = target}); }
  RawTar& HardLink(const std::string& name, const std::string& target) { return Add(name, {.type = '1', .link = target}); }
  RawTar& Xattr(const std::string& name, const std::string& xattr, const std::string& value, char type = '0') {
    return Add(name, {.type = type, .pax = {{"SCHILY.xattr." + xattr, value}}});
  }
  // A pax record, with its length.
  static std::string Record(const std::string& key, const std::string& value) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    return std::to_string(length) + " " + key + "=" + value + "\n";
  }

  // Without the end of the archive.
  const std::string& body() const { return bytes_; }
  std::string End() const { return bytes_ + std::string(1024, '\0'); }

 private:
  RawTar& Block(const std::string& name, const Options& options) {
    char header[512] = {};
    std::memcpy(header, name.data(), std::min<size_t>(name.size(), 100));
    std::snprintf(header + 100, 8, "%07o", options.mode);
    std::snprintf(header + 108, 8, "%07o", 0);
    std::snprintf(header + 116, 8, "%07o", 0);
    std::snprintf(header + 124, 12, "%011zo", options.content.size());
    std::snprintf(header + 136, 12, "%011o", 1'000'000'000);
    header[156] = options.type;
    std::memcpy(header + 157, options.link.data(), std::min<size_t>(options.link.size(), 100));
    std::memcpy(header + 257, "ustar\00000", 8);
    std::snprintf(header + 329, 8, "%07o", options.device_major);
    std::snprintf(header + 337, 8, "%07o", options.device_minor);
    std::memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (const unsigned char c : header) sum += c;
    std::snprintf(header + 148, 8, "%06o", sum);
    bytes_.append(header, sizeof header);
    bytes_ += options.content;
    bytes_.append((512 - options.content.size() % 512) % 512, '\0');
    return *this;
  }

  std::string bytes_;
};

}  // namespace plyfs::test
