// result.h: a value or an Errno.
// Thread safety: a value type.
#pragma once

#include <optional>
#include <utility>

#include "fs/base/errno.h"

namespace plyfs {

// Either a T or the Errno that says why there is none. Never holds Errno 0.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  explicit(false) Result(T value) : value_(std::move(value)) {}
  explicit(false) Result(Errno error) : error_(error.ok() ? Errno(EIO) : error) {}

  bool ok() const { return value_.has_value(); }
  Errno error() const { return ok() ? kOk : error_; }

  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Errno error_;
};

}  // namespace plyfs

#define PLYFS_CONCAT_INNER(a, b) a##b
#define PLYFS_CONCAT(a, b) PLYFS_CONCAT_INNER(a, b)

// Returns the Errno of `expression` from the enclosing function if it is not success.
#define RETURN_IF_ERROR(expression)                                \
  do {                                                             \
    if (const ::plyfs::Errno error_ = (expression); !error_.ok()) { \
      return error_;                                               \
    }                                                              \
  } while (false)

// Declares or assigns `target` from a Result, or returns its Errno.
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_IMPL(PLYFS_CONCAT(result_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_IMPL(result, target, expression) \
  auto result = (expression);                             \
  if (!result.ok()) return result.error();                \
  target = std::move(result).value()
