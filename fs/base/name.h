// name.h: one path component.
// Thread safety: a value type; it borrows the bytes.
#pragma once

#include <climits>
#include <string>
#include <string_view>

#include "fs/base/result.h"

namespace plyfs {

// One component of a path, borrowed and NUL-terminated: 1 to 255 bytes, no '/', no NUL, neither "." nor "..".
// Any other byte may occur, newlines and invalid UTF-8 included.
class Name {
 public:
  // EINVAL for an empty name, ".", ".." or one with '/'; ENAMETOOLONG beyond NAME_MAX bytes.
  static Result<Name> Parse(const char* text, size_t length) {
    if (length > NAME_MAX) return Errno(ENAMETOOLONG);
    const std::string_view view(text, length);
    if (view.empty() || view == "." || view == "..") return Errno(EINVAL);
    if (view.find('/') != std::string_view::npos || view.find('\0') != std::string_view::npos) {
      return Errno(EINVAL);
    }
    return Name(view);
  }
  static Result<Name> Parse(const std::string& text) { return Parse(text.c_str(), text.size()); }
  // For names that getdents(2) or a Node has already proved valid. `text` must be NUL-terminated at its end.
  static Name Trusted(std::string_view text) { return Name(text); }

  const char* c_str() const { return view_.data(); }
  std::string_view view() const { return view_; }
  std::string str() const { return std::string(view_); }
  size_t size() const { return view_.size(); }

 private:
  explicit Name(std::string_view view) : view_(view) {}
  std::string_view view_;
};

}  // namespace plyfs
