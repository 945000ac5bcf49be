// Exact bounds from binomial counts: of a rate, and of a quantile (the number of values above a
// quantile is binomial, whatever their distribution).
// Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <optional>

namespace inferneo::routing {

// P(X <= count) of X binomial over `trials` with `rate`. O(standard deviation).
double binomial_at_most(std::uint64_t count, std::uint64_t trials, double rate);

// A rate that the true one exceeds with probability `risk` at most, given `count` of `trials`.
// Source: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of
// the binomial", Biometrika 26 (1934).
double rate_upper_bound(std::uint64_t count, std::uint64_t trials, double risk);

// How many of the largest of `values` independent values may be left out so that the largest one
// kept still is at or above the true quantile with probability 1 - risk; empty when even the
// largest value gives no such bound. Source: David, Nagaraja, "Order Statistics", 3rd ed., 7.1.
std::optional<std::uint64_t> values_above_quantile(std::uint64_t values,
                                                   double quantile,
                                                   double risk);

}  // namespace inferneo::routing
