// A measured quantity: the median of several runs with the range that holds most of them.
// Thread: any (values).
#pragma once

#include <string>
#include <vector>

namespace inferneo::app {

struct Spread {
  double p20 = 0;
  double median = 0;
  double p80 = 0;
  int count = 0;
};

// Nearest-rank percentiles; all zero without samples.
Spread spread_of(std::vector<double> samples);

}  // namespace inferneo::app
