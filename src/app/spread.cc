#include "app/spread.h"

#include <algorithm>
#include <cmath>

namespace inferneo::app {

Spread spread_of(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  const auto at = [&](double share) {
    const double rank = std::ceil(share * static_cast<double>(samples.size()));
    const auto index = static_cast<std::size_t>(std::max(1.0, rank)) - 1;
    return samples[std::min(index, samples.size() - 1)];
  };
  return {
      .p20 = at(0.2), .median = at(0.5), .p80 = at(0.8), .count = static_cast<int>(samples.size())};
}

}  // namespace inferneo::app
