#include "sample/row.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace inferneo::sample {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

RowScan plain_scan(const std::vector<float>& row) {
  RowScan scan;
  scan.max = -kInfinity;
  bool usable = true;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (std::isnan(row[i]) || row[i] == kInfinity) usable = false;
    if (row[i] > scan.max) {
      scan.max = row[i];
      scan.argmax = static_cast<TokenId>(i);
    }
  }
  scan.finite = usable && scan.max > -kInfinity;
  return scan;
}

void expect_same(const std::vector<float>& row) {
  const RowScan expected = plain_scan(row);
  const RowScan scan = scan_row(row);
  ASSERT_EQ(scan.finite, expected.finite) << row.size();
  if (!expected.finite) return;
  ASSERT_EQ(scan.argmax, expected.argmax) << row.size();
  ASSERT_EQ(scan.max, expected.max) << row.size();
}

// Few different values, so that the largest stands at several places.
TEST(ScanRow, finds_the_first_of_the_largest_in_rows_of_every_length) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> value(-3, 3);
  for (std::size_t size = 0; size < 400; ++size) {
    std::vector<float> row(size);
    for (float& x : row) x = static_cast<float>(value(random));
    expect_same(row);
  }
}

TEST(ScanRow, finds_the_largest_at_every_place) {
  for (std::size_t at = 0; at < 300; ++at) {
    std::vector<float> row(300, -1.0F);
    row[at] = 2.0F;
    expect_same(row);
    row.assign(300, -kInfinity);
    row[at] = -1e30F;
    expect_same(row);
  }
}

TEST(ScanRow, sees_what_is_not_usable_at_every_place) {
  for (const float bad : {kInfinity, std::nanf(""), -std::nanf("")}) {
    for (std::size_t at = 0; at < 300; ++at) {
      std::vector<float> row(300, 1.0F);
      row[at] = bad;
      EXPECT_FALSE(scan_row(row).finite) << at;
    }
  }
  EXPECT_FALSE(scan_row(std::vector<float>(300, -kInfinity)).finite);
}

}  // namespace
}  // namespace inferneo::sample
