// What compiling one constraint may cost. Every stage spends from the same budget, so that a
// hostile schema, expression or grammar is refused after a bounded amount of work, whatever its
// shape. Thread: one owner.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "base/status.h"

namespace inferneo::text::grammar {

class Budget {
 public:
  explicit Budget(std::size_t work_max = limits::kGrammarWorkMax) : left_(work_max) {}

  // One unit is about one state, edge or set element looked at. False when nothing is left.
  [[nodiscard]] bool spend(std::size_t units) {
    if (units > left_) {
      left_ = 0;
      return false;
    }
    left_ -= units;
    return true;
  }
  [[nodiscard]] bool exhausted() const { return left_ == 0; }
  [[nodiscard]] std::size_t left() const { return left_; }

  static Status failure() {
    return invalid_argument("is too complex: compiling it exceeds the budget of one request")
        .with_hint("use smaller repetition counts, fewer alternatives or simpler patterns");
  }

 private:
  std::size_t left_;
};

}  // namespace inferneo::text::grammar
