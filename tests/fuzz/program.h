// program.h: fuzzed bytes read as a program: numbers, choices and texts, one after the other, until there is nothing left.
// Thread safety: one owner.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>

namespace plyfs::test {

// What libFuzzer takes for a finding.
[[noreturn]] inline void Stop(const std::string& why) {
  std::fprintf(stderr, "fuzz: %s\n", why.c_str());
  std::abort();
}

class Program {
 public:
  Program(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  bool done() const { return at_ == end_; }
  uint8_t Byte() { return done() ? 0 : *at_++; }
  std::string Text(size_t size) {
    std::string text;
    while (text.size() < size && !done()) text += static_cast<char>(Byte());
    return text;
  }
  std::string Rest() {
    const uint8_t* const begin = std::exchange(at_, end_);
    return std::string(reinterpret_cast<const char*>(begin), static_cast<size_t>(end_ - begin));
  }
  // One of an array.
  template <typename Choices>
  const auto& Pick(const Choices& choices) {
    return choices[Byte() % std::size(choices)];
  }

 private:
  const uint8_t* at_;
  const uint8_t* const end_;
};

}  // namespace plyfs::test
