#include "routing/statistics/binomial.h"

#include <algorithm>
#include <cmath>

namespace inferneo::routing {
namespace {

double log_term(std::uint64_t count, std::uint64_t trials, double rate) {
  const auto k = static_cast<double>(count);
  const auto n = static_cast<double>(trials);
  double value = std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
  if (count > 0) value += k * std::log(rate);
  if (trials > count) value += (n - k) * std::log1p(-rate);
  return value;
}

}  // namespace

// Sums the tail that does not hold the mean, from its largest term outwards: each term is the one
// before times a factor below one that only falls, so that nothing is lost far from the mean.
double binomial_at_most(std::uint64_t count, std::uint64_t trials, double rate) {
  if (count >= trials || rate <= 0) return 1;
  if (rate >= 1) return 0;
  const double odds = rate / (1 - rate);
  const bool is_lower = static_cast<double>(count) < rate * static_cast<double>(trials);
  std::uint64_t k = is_lower ? count : count + 1;
  double term = std::exp(log_term(k, trials, rate));
  double sum = term;
  while (is_lower ? k > 0 : k < trials) {
    if (is_lower) {
      term *= static_cast<double>(k) / (static_cast<double>(trials - k + 1) * odds);
      --k;
    } else {
      ++k;
      term *= static_cast<double>(trials - k + 1) * odds / static_cast<double>(k);
    }
    sum += term;
    if (term <= sum * 1e-17) break;
  }
  sum = std::min(sum, 1.0);
  return is_lower ? sum : 1 - sum;
}

double rate_upper_bound(std::uint64_t count, std::uint64_t trials, double risk) {
  if (count >= trials) return 1;
  double low = static_cast<double>(count) / static_cast<double>(trials);
  double high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (binomial_at_most(count, trials, middle) > risk ? low : high) = middle;
  }
  return high;
}

// The quantile lies above the value with `left_out` larger ones when at most that many values are
// above it.
std::optional<std::uint64_t> values_above_quantile(std::uint64_t values,
                                                   double quantile,
                                                   double risk) {
  const double above = 1 - quantile;
  if (values == 0 || binomial_at_most(0, values, above) > risk) return std::nullopt;
  std::uint64_t low = 0;
  std::uint64_t high = values;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (binomial_at_most(middle, values, above) <= risk ? low : high) = middle;
  }
  return low;
}

}  // namespace inferneo::routing
