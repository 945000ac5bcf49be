// Passes over one row of logits: the largest element, whether the row is usable, and e to the power
// of its elements. Written in fixed blocks so that the compiler vectorises them.
// Thread: any (pure functions).
#pragma once

#include <span>

#include "request/token.h"

namespace inferneo::sample {

struct RowScan {
  // False for NaN or +inf anywhere, for an empty row, and when every element is -inf.
  bool finite = false;
  TokenId argmax = 0;  // the lowest id of the largest element
  float max = 0;
};

RowScan scan_row(std::span<const float> row);

// Replaces each element x by exp((x - max) * scale), flushed to 0 below exp(-87), and returns
// their sum. Relative error of an element: below 2e-7.
// Preconditions: row[i] <= max, scale > 0; -inf gives 0.
double exponentiate(std::span<float> row, float max, float scale);

// The sum of a part of a row, added in an order that depends on its length only.
double sum_of(std::span<const float> part);

// Sets every weight below `least` to 0. Precondition: no weight is negative or NaN.
void drop_below(std::span<float> weights, float least);

// log of the sum of exp(row[i]) without changing the row. Precondition: scan_row(row).finite.
double log_sum_exp(std::span<const float> row, float max);

}  // namespace inferneo::sample
