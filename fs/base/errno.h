// errno.h: one errno as a typed value.
// Not here: errors with text for people (fs/mount, tools).
// Thread safety: a value type.
#pragma once

#include <cerrno>

namespace plyfs {

// An errno(3) value; 0 is success. Below fs/mount every error is exactly one of these, because the kernel needs
// ENOTEMPTY, EISDIR, ENOTDIR and EBUSY told apart.
class [[nodiscard]] Errno {
 public:
  constexpr Errno() = default;
  constexpr explicit(false) Errno(int value) : value_(value) {}

  // errno of the system call that has just failed. Only for the line after the call.
  static Errno Last() { return Errno(errno); }
  // `result` of a system call: success when it is not negative, else errno.
  template <typename Int>
  static Errno Of(Int result) {
    return result < 0 ? Last() : Errno();
  }

  constexpr bool ok() const { return value_ == 0; }
  constexpr int value() const { return value_; }

  // Drops the error; the argument says why that is right.
  constexpr void Ignore(const char* /*reason*/) const {}

  friend constexpr bool operator==(Errno a, Errno b) { return a.value_ == b.value_; }
  friend constexpr bool operator==(Errno a, int b) { return a.value_ == b; }

 private:
  int value_ = 0;
};

inline constexpr Errno kOk{};

// The layer has no such name: no entry, the parent is a file there, or the name cannot exist there.
constexpr bool MeansAbsent(Errno e) { return e == ENOENT || e == ENOTDIR || e == ENAMETOOLONG; }

// The filesystem does not know the operation at all, as opposed to refusing this one call.
constexpr bool MeansUnsupported(Errno e) {
  return e == EOPNOTSUPP || e == ENOSYS || e == ENOTTY || e == EINVAL;
}

}  // namespace plyfs
