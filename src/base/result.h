// Result<T>: a value or the Status that says why there is none. The method names are the subset of
// std::expected that g++ 12 does not have yet. RETURN_IF_ERROR and ASSIGN_OR_RETURN are the only
// ways in which failures travel up.
// Thread: any. Ownership: holds T by value.
#pragma once

#include <utility>
#include <variant>

#include "base/check.h"
#include "base/status.h"

namespace inferneo {

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return status;` both read naturally.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status error) : state_(std::in_place_index<1>, std::move(error)) {
    CHECK(!std::get<1>(state_).ok());
  }

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return checked(); }
  const T& value() const& {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  T&& value() && { return std::move(checked()); }
  T& operator*() & { return checked(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &value(); }

  // Only when !has_value().
  [[nodiscard]] const Status& error() const& {
    CHECK(!has_value());
    return std::get<1>(state_);
  }
  [[nodiscard]] Status error() && {
    CHECK(!has_value());
    return std::move(std::get<1>(state_));
  }
  // The failure, or success when there is a value.
  [[nodiscard]] Status status() const { return has_value() ? Status() : std::get<1>(state_); }

 private:
  T& checked() {
    CHECK(has_value());
    return std::get<0>(state_);
  }

  std::variant<T, Status> state_;
};

}  // namespace inferneo
// NOLINTBEGIN(bugprone-macro-parentheses): targets are declarations and names.
#define INFERNEO_CONCAT_INNER(a, b) a##b
#define INFERNEO_CONCAT(a, b) INFERNEO_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                 \
  do {                                                              \
    if (::inferneo::Status status_ = (expression); !status_.ok()) { \
      return status_;                                               \
    }                                                               \
  } while (false)

#define ASSIGN_OR_RETURN(target, expression) \
  INFERNEO_ASSIGN_OR_RETURN(INFERNEO_CONCAT(result_at_line_, __LINE__), target, expression)
#define INFERNEO_ASSIGN_OR_RETURN(result, target, expression) \
  auto result = (expression);                                 \
  if (!result.has_value()) return std::move(result).error();  \
  target = *std::move(result)
// NOLINTEND(bugprone-macro-parentheses)
