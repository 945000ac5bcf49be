#include "text/grammar/schema_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/str.h"
#include "text/grammar/determinise.h"

namespace inferneo::text::grammar {
namespace {

// Integers have up to 18 digits, so that they fit 64 bits.
constexpr std::int64_t kIntegerMax = 999'999'999'999'999'999;
// Decimals that differ in their first 15 digits are different doubles, so that a bound that is
// itself excluded cannot be reached by rounding.
constexpr std::size_t kDigitsMax = 15;
constexpr std::size_t kWholeDigitsMin = 10;
constexpr std::int64_t kMultipleMax = 1000;

ExprId digits(Expressions& e, std::size_t min, std::size_t max) {
  return e.repeat(
      e.bytes('0', '9'), static_cast<std::uint32_t>(min), static_cast<std::uint32_t>(max));
}

ExprId digit_range(Expressions& e, char low, char high) {
  return e.bytes(static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high));
}

// Digits of the length of `bound` that are at least (at most) as large.
ExprId same_length_from(Expressions& e, std::string_view bound) {
  if (bound.find_first_not_of('0') == std::string_view::npos) {
    return digits(e, bound.size(), bound.size());
  }
  const char d = bound.front();
  std::vector<ExprId> options{
      e.sequence({digit_range(e, d, d), same_length_from(e, bound.substr(1))})};
  if (d < '9') {
    options.push_back(e.sequence({digit_range(e, static_cast<char>(d + 1), '9'),
                                  digits(e, bound.size() - 1, bound.size() - 1)}));
  }
  return e.choice(std::move(options));
}

ExprId same_length_to(Expressions& e, std::string_view bound) {
  if (bound.find_first_not_of('9') == std::string_view::npos) {
    return digits(e, bound.size(), bound.size());
  }
  const char d = bound.front();
  std::vector<ExprId> options{
      e.sequence({digit_range(e, d, d), same_length_to(e, bound.substr(1))})};
  if (d > '0') {
    options.push_back(e.sequence({digit_range(e, '0', static_cast<char>(d - 1)),
                                  digits(e, bound.size() - 1, bound.size() - 1)}));
  }
  return e.choice(std::move(options));
}

// Numerals of one length between two of that length.
ExprId same_length(Expressions& e, std::string_view low, std::string_view high) {
  if (low == high) return e.literal(low);
  const char a = low.front();
  const char b = high.front();
  if (a == b) {
    return e.sequence({digit_range(e, a, a), same_length(e, low.substr(1), high.substr(1))});
  }
  std::vector<ExprId> options{
      e.sequence({digit_range(e, a, a), same_length_from(e, low.substr(1))}),
      e.sequence({digit_range(e, b, b), same_length_to(e, high.substr(1))})};
  if (b - a > 1) {
    options.push_back(
        e.sequence({digit_range(e, static_cast<char>(a + 1), static_cast<char>(b - 1)),
                    digits(e, low.size() - 1, low.size() - 1)}));
  }
  return e.choice(std::move(options));
}

// Numerals without sign from `low` to `high`, both at least 0.
ExprId natural_range(Expressions& e, std::int64_t low, std::int64_t high) {
  std::vector<ExprId> options;
  while (low <= high) {
    const std::string from = str(low);
    std::int64_t last = 9;
    for (std::size_t i = 1; i < from.size(); ++i) last = last * 10 + 9;
    const std::int64_t end = std::min(high, last);
    options.push_back(same_length(e, from, str(end)));
    low = end + 1;
  }
  return e.choice(std::move(options));
}

ExprId integer_range(Expressions& e, std::int64_t low, std::int64_t high) {
  std::vector<ExprId> options;
  if (high >= 0) options.push_back(natural_range(e, std::max<std::int64_t>(low, 0), high));
  if (low < 0) {
    options.push_back(
        e.sequence({e.literal("-"), natural_range(e, std::max<std::int64_t>(1, -high), -low)}));
  }
  return e.choice(std::move(options));
}

// The least integer that keeps the lower bound.
std::int64_t integer_low(const NumberBound& bound) {
  if (bound.integer) {
    if (*bound.integer > kIntegerMax) return kIntegerMax + 1;
    if (*bound.integer < -kIntegerMax) return -kIntegerMax;
    return *bound.integer + (bound.excluded ? 1 : 0);
  }
  const double least = bound.excluded ? std::floor(bound.value) + 1 : std::ceil(bound.value);
  if (least < -1e18) return -kIntegerMax;
  if (least >= 1e18) return kIntegerMax + 1;
  return std::max(-kIntegerMax, static_cast<std::int64_t>(least));
}

std::int64_t integer_high(const NumberBound& bound) {
  NumberBound mirrored = bound;
  mirrored.value = -bound.value;
  if (bound.integer) {
    mirrored.integer = *bound.integer == INT64_MIN ? INT64_MAX : -*bound.integer;
  }
  return -integer_low(mirrored);
}

// Integers in decimal notation that `m` divides: one state a remainder.
Dfa multiples(std::int64_t m) {
  // 0: start, 1: behind "-", 2: "0", then the remainders.
  constexpr std::uint32_t kBase = 3;
  Dfa dfa;
  dfa.states.resize(static_cast<std::size_t>(m) + kBase);
  const auto remainder = [&](std::int64_t value) {
    return kBase + static_cast<std::uint32_t>(value % m);
  };
  for (std::int64_t d = 0; d <= 9; ++d) {
    const auto byte = static_cast<std::uint8_t>('0' + d);
    for (std::int64_t r = 0; r < m; ++r) {
      dfa.states[remainder(r)].edges.push_back({byte, byte, remainder(r * 10 + d)});
    }
    if (d == 0) continue;
    dfa.states[0].edges.push_back({byte, byte, remainder(d)});
    dfa.states[1].edges.push_back({byte, byte, remainder(d)});
  }
  dfa.states[0].edges.insert(dfa.states[0].edges.begin(), {{'-', '-', 1}, {'0', '0', 2}});
  dfa.states[2].final = true;
  dfa.states[remainder(0)].final = true;
  return dfa;
}

// A bound without sign as decimal digits.
struct Decimal {
  std::int64_t whole = 0;
  std::string fraction;  // without trailing zeros
};

Result<Decimal> decimal_of(const NumberBound& bound) {
  const double magnitude = std::abs(bound.value);
  char text[512];
  const auto written =
      std::to_chars(text, text + sizeof(text), magnitude, std::chars_format::fixed);
  std::string_view all(text, static_cast<std::size_t>(written.ptr - text));
  Decimal decimal;
  const std::size_t dot = all.find('.');
  const std::string_view whole = all.substr(0, dot);
  if (dot != std::string_view::npos) decimal.fraction = std::string(all.substr(dot + 1));
  while (!decimal.fraction.empty() && decimal.fraction.back() == '0') decimal.fraction.pop_back();
  if (whole.size() > kDigitsMax || decimal.fraction.size() > kDigitsMax ||
      (bound.excluded && whole.size() + decimal.fraction.size() > kDigitsMax)) {
    return unsupported(str("the bound ",
                           bound.value,
                           " is not supported: only bounds of up to ",
                           kDigitsMax,
                           " digits can be kept exactly"));
  }
  std::from_chars(whole.data(), whole.data() + whole.size(), decimal.whole);
  return decimal;
}

class DecimalBuilder {
 public:
  DecimalBuilder(Expressions& e, const NumberRules& rules) : e_(e), rules_(rules) {}

  Result<Dfa> build() {
    std::optional<Decimal> low;
    std::optional<Decimal> high;
    if (rules_.low) {
      ASSIGN_OR_RETURN(low, decimal_of(*rules_.low));
    }
    if (rules_.high) {
      ASSIGN_OR_RETURN(high, decimal_of(*rules_.high));
    }
    for (const auto* bound : {&low, &high}) {
      if (!*bound) continue;
      whole_digits_ = std::max(whole_digits_, str((*bound)->whole).size());
      fraction_digits_min_ = std::max(fraction_digits_min_, (*bound)->fraction.size());
    }
    fraction_digits_ = std::max({kDigitsMax - whole_digits_, fraction_digits_min_, std::size_t{1}});
    whole_max_ = 9;
    for (std::size_t i = 1; i < whole_digits_; ++i) whole_max_ = whole_max_ * 10 + 9;
    Dfa result;
    bool first = true;
    for (const bool is_low : {true, false}) {
      const auto& bound = is_low ? rules_.low : rules_.high;
      if (!bound) continue;
      const Decimal& decimal = is_low ? *low : *high;
      ASSIGN_OR_RETURN(Dfa side, determinise(e_, one_side(*bound, decimal, is_low)));
      if (first) {
        result = std::move(side);
      } else {
        std::optional<Dfa> both = intersect(result, side, e_.budget());
        if (!both) return Budget::failure();
        result = *std::move(both);
      }
      first = false;
    }
    return minimise(std::move(result), e_.budget());
  }

 private:
  // Numbers on the inner side of one bound.
  ExprId one_side(const NumberBound& bound, const Decimal& decimal, bool is_low) {
    const bool negative = bound.value < 0;
    const bool zero = bound.value == 0;
    const ExprId minus = e_.literal("-");
    if (is_low) {
      if (!negative) return not_below(decimal, bound.excluded);
      return e_.choice({anything(), e_.sequence({minus, not_above(decimal, bound.excluded)})});
    }
    if (negative) return e_.sequence({minus, not_below(decimal, bound.excluded)});
    // Below an excluded 0 there is no "-0".
    if (zero && bound.excluded) return e_.sequence({minus, not_below(decimal, true)});
    return e_.choice({e_.sequence({minus, anything()}), not_above(decimal, bound.excluded)});
  }

  ExprId any_fraction() {
    return e_.optional(e_.sequence({e_.literal("."), digits(e_, 1, fraction_digits_)}));
  }
  ExprId anything() { return e_.sequence({natural_range(e_, 0, whole_max_), any_fraction()}); }

  ExprId not_below(const Decimal& bound, bool excluded) {
    const ExprId larger =
        e_.sequence({natural_range(e_, bound.whole + 1, whole_max_), any_fraction()});
    const ExprId whole = e_.literal(str(bound.whole));
    if (bound.fraction.empty() && !excluded) {
      return e_.choice({larger, e_.sequence({whole, any_fraction()})});
    }
    return e_.choice(
        {larger,
         e_.sequence({whole, e_.literal("."), fraction_from(bound.fraction, 0, excluded)})});
  }

  // Digits of a fraction behind the first `at`, which equal the bound's, that is at least as large.
  ExprId fraction_from(const std::string& bound, std::size_t at, bool excluded) {
    const std::size_t left = fraction_digits_ - at;
    if (at == bound.size()) {
      if (!excluded) return digits(e_, 0, left);
      if (left == 0) return e_.never();
      return e_.choice({e_.sequence({e_.bytes('1', '9'), digits(e_, 0, left - 1)}),
                        e_.sequence({e_.literal("0"), fraction_after_zero(left - 1)})});
    }
    const char d = bound[at];
    std::vector<ExprId> options{
        e_.sequence({digit_range(e_, d, d), fraction_from(bound, at + 1, excluded)})};
    if (d < '9') {
      options.push_back(
          e_.sequence({digit_range(e_, static_cast<char>(d + 1), '9'), digits(e_, 0, left - 1)}));
    }
    return e_.choice(std::move(options));
  }

  // At least one digit that is not 0, within `left` digits.
  ExprId fraction_after_zero(std::size_t left) {
    std::vector<ExprId> options;
    for (std::size_t zeros = 0; zeros < left; ++zeros) {
      options.push_back(e_.sequence({e_.literal(std::string(zeros, '0')),
                                     e_.bytes('1', '9'),
                                     digits(e_, 0, left - zeros - 1)}));
    }
    return e_.choice(std::move(options));
  }

  ExprId not_above(const Decimal& bound, bool excluded) {
    std::vector<ExprId> options;
    if (bound.whole > 0) {
      options.push_back(e_.sequence({natural_range(e_, 0, bound.whole - 1), any_fraction()}));
    }
    const ExprId whole = e_.literal(str(bound.whole));
    if (!bound.fraction.empty()) {
      options.push_back(e_.sequence(
          {whole,
           e_.optional(e_.sequence({e_.literal("."), fraction_to(bound.fraction, 0, excluded)}))}));
    } else if (!excluded) {
      const ExprId zeros =
          e_.repeat(e_.literal("0"), 1, static_cast<std::uint32_t>(fraction_digits_));
      options.push_back(e_.sequence({whole, e_.optional(e_.sequence({e_.literal("."), zeros}))}));
    }
    return e_.choice(std::move(options));
  }

  // The same for at most as large; may end early, except before the first digit.
  ExprId fraction_to(const std::string& bound, std::size_t at, bool excluded) {
    const std::size_t left = fraction_digits_ - at;
    if (at == bound.size()) {
      return excluded ? e_.never()
                      : e_.repeat(e_.literal("0"), 0, static_cast<std::uint32_t>(left));
    }
    const char d = bound[at];
    std::vector<ExprId> options{
        e_.sequence({digit_range(e_, d, d), fraction_to(bound, at + 1, excluded)})};
    if (d > '0') {
      options.push_back(
          e_.sequence({digit_range(e_, '0', static_cast<char>(d - 1)), digits(e_, 0, left - 1)}));
    }
    if (at > 0) options.push_back(e_.empty());
    return e_.choice(std::move(options));
  }

  Expressions& e_;
  const NumberRules& rules_;
  std::size_t whole_digits_ = kWholeDigitsMin;
  std::size_t fraction_digits_min_ = 0;
  std::size_t fraction_digits_ = 1;
  std::int64_t whole_max_ = 0;
};

bool tighter(const NumberBound& a, const NumberBound& b, bool low) {
  if (a.integer && b.integer && *a.integer != *b.integer) {
    return low ? *a.integer > *b.integer : *a.integer < *b.integer;
  }
  if (a.value != b.value) return low ? a.value > b.value : a.value < b.value;
  return a.excluded && !b.excluded;
}

}  // namespace

void tighten_low(NumberRules& rules, const NumberBound& bound) {
  if (!rules.low || tighter(bound, *rules.low, true)) rules.low = bound;
}

void tighten_high(NumberRules& rules, const NumberBound& bound) {
  if (!rules.high || tighter(bound, *rules.high, false)) rules.high = bound;
}

Result<Dfa> integer_language(Expressions& e, const NumberRules& rules) {
  const std::int64_t low = rules.low ? integer_low(*rules.low) : -kIntegerMax;
  const std::int64_t high = rules.high ? integer_high(*rules.high) : kIntegerMax;
  ASSIGN_OR_RETURN(Dfa dfa, determinise(e, low <= high ? integer_range(e, low, high) : e.never()));
  if (rules.multiple_of.value_or(1) > 1) {
    if (*rules.multiple_of > kMultipleMax) {
      return unsupported(str("a multipleOf above ", kMultipleMax, " is not supported"));
    }
    std::optional<Dfa> both = intersect(dfa, multiples(*rules.multiple_of), e.budget());
    if (!both) return Budget::failure();
    dfa = *std::move(both);
  }
  return minimise(std::move(dfa), e.budget());
}

Result<Dfa> decimal_language(Expressions& e, const NumberRules& rules) {
  return DecimalBuilder(e, rules).build();
}

}  // namespace inferneo::text::grammar
