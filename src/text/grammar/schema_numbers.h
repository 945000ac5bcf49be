// Languages of numbers between bounds.
// Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "text/grammar/dfa.h"
#include "text/grammar/expression.h"

namespace inferneo::text::grammar {

struct NumberBound {
  double value = 0;
  std::optional<std::int64_t> integer;  // the value, when it was written as an integer
  bool excluded = false;
};

struct NumberRules {
  std::optional<NumberBound> low;
  std::optional<NumberBound> high;
  std::optional<std::int64_t> multiple_of;  // at least 1
  [[nodiscard]] bool bounded() const { return low || high || multiple_of; }
};

// Bounds of both; the tighter ones count.
void tighten_low(NumberRules& rules, const NumberBound& bound);
void tighten_high(NumberRules& rules, const NumberBound& bound);

// Failures: unsupported for bounds that no generated number could keep exactly; Budget::failure().
Result<Dfa> integer_language(Expressions& expressions, const NumberRules& rules);
Result<Dfa> decimal_language(Expressions& expressions, const NumberRules& rules);

}  // namespace inferneo::text::grammar
