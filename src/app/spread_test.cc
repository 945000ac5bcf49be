#include "app/spread.h"

#include <gtest/gtest.h>

namespace inferneo::app {
namespace {

TEST(spread, percentiles_are_samples) {
  const Spread spread = spread_of({5, 1, 4, 2, 3});
  EXPECT_EQ(spread.p20, 1);
  EXPECT_EQ(spread.median, 3);
  EXPECT_EQ(spread.p80, 4);
  EXPECT_EQ(spread.count, 5);
}

TEST(spread, one_and_no_sample) {
  EXPECT_EQ(spread_of({7}).p80, 7);
  EXPECT_EQ(spread_of({7}).p20, 7);
  EXPECT_EQ(spread_of({}).count, 0);
}

}  // namespace
}  // namespace inferneo::app
