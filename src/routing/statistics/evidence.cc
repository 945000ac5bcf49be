#include "routing/statistics/evidence.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace inferneo::routing {
namespace {

// Mean of exp(logs) without leaving the range of doubles.
double mean_of_exp(std::span<const double> logs) {
  const double largest = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - largest);
  // Bound: 700 keeps the result finite; nobody asks for more evidence than e^700.
  return std::exp(std::min(largest, 700.0)) * sum / static_cast<double>(logs.size());
}

double log_choose(std::uint64_t n, std::uint64_t k) {
  const auto a = static_cast<double>(n);
  const auto b = static_cast<double>(k);
  return std::lgamma(a + 1) - std::lgamma(b + 1) - std::lgamma(a - b + 1);
}

// ln of the sum over all tables with the stratum's margins of their number times ratio^(hits of the
// candidate).
double log_weight(const Stratum& stratum, double ratio) {
  const std::uint64_t hits = stratum.candidate_hits + stratum.stable_hits;
  const std::uint64_t first = hits > stratum.stable_values ? hits - stratum.stable_values : 0;
  const std::uint64_t last = std::min(hits, stratum.candidate_values);
  const double log_ratio = std::log(ratio);
  double largest = 0;
  double sum = 0;
  for (std::uint64_t k = first; k <= last; ++k) {
    const double log = log_choose(stratum.candidate_values, k) +
                       log_choose(stratum.stable_values, hits - k) +
                       static_cast<double>(k) * log_ratio;
    if (k == first || log > largest) {
      sum = k == first ? 1 : sum * std::exp(largest - log) + 1;
      largest = log;
    } else {
      sum += std::exp(log - largest);
    }
  }
  return largest + std::log(sum);
}

}  // namespace

void OddsEvidence::add(const Stratum& stratum) {
  const std::uint64_t hits = stratum.candidate_hits + stratum.stable_hits;
  const std::uint64_t values = stratum.candidate_values + stratum.stable_values;
  // The margins determine the table, so it says nothing.
  if (hits == 0 || hits == values || stratum.candidate_values == 0 || stratum.stable_values == 0) {
    return;
  }
  const double log_even = log_weight(stratum, 1);
  const double log_max = std::log(stratum_max_);
  for (std::size_t i = 0; i < kRatios.size(); ++i) {
    const double gain = static_cast<double>(stratum.candidate_hits) * std::log(kRatios[i]) +
                        log_even - log_weight(stratum, kRatios[i]);
    log_[i] += std::min(gain, log_max);
  }
}

double OddsEvidence::value() const { return mean_of_exp(log_); }

RateEvidence::RateEvidence(double rate_max) {
  const double base = std::clamp(rate_max, 1e-9, 1 - 1e-9);
  for (std::size_t i = 0; i < kPlaces.size(); ++i) {
    const double rate = base + (1 - base) * kPlaces[i];
    log_hit_[i] = std::log(rate / base);
    log_miss_[i] = std::log1p(-rate) - std::log1p(-base);
  }
}

void RateEvidence::add(std::uint64_t hits, std::uint64_t values) {
  for (std::size_t i = 0; i < kPlaces.size(); ++i) {
    log_[i] +=
        static_cast<double>(hits) * log_hit_[i] + static_cast<double>(values - hits) * log_miss_[i];
  }
}

double RateEvidence::value() const { return mean_of_exp(log_); }

}  // namespace inferneo::routing
