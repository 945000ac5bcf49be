#include "base/unique_function.h"

#include <gtest/gtest.h>

#include <memory>

namespace inferneo {
namespace {

TEST(UniqueFunction, holds_a_move_only_capture) {
  auto owned = std::make_unique<int>(40);
  UniqueFunction<int(int)> add = [owned = std::move(owned)](int value) { return *owned + value; };
  UniqueFunction<int(int)> moved = std::move(add);
  // NOLINTNEXTLINE(bugprone-use-after-move): what a move leaves behind is the point.
  EXPECT_FALSE(static_cast<bool>(add));
  EXPECT_EQ(moved(2), 42);
}

}  // namespace
}  // namespace inferneo
