#include "tensor/half.h"

#include <gtest/gtest.h>

#include <limits>

namespace inferneo::tensor {
namespace {

TEST(Half, every_f16_has_its_value_and_comes_back) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const int exponent = (half >> 10) & 31;
    const int mantissa = half & 0x3FF;
    const float x = f16_to_f32(half);
    if (exponent == 31 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(x));
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(x))));
      continue;
    }
    const double magnitude = exponent == 31  ? std::numeric_limits<double>::infinity()
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(std::fabs(static_cast<double>(x)), magnitude) << bits;
    ASSERT_EQ(std::signbit(x), half >> 15 != 0) << bits;
    ASSERT_EQ(f32_to_f16(x), half);
  }
}

TEST(Half, f16_rounds_to_nearest_and_ties_to_even) {
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const auto next = static_cast<std::uint16_t>(bits + 1);
    const float middle = (f16_to_f32(half) + f16_to_f32(next)) / 2;
    ASSERT_EQ(f32_to_f16(middle), bits % 2 == 0 ? half : next) << bits;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.F)), half) << bits;
    ASSERT_EQ(f32_to_f16(-std::nextafter(middle, 1e9F)), next | 0x8000) << bits;
  }
  EXPECT_EQ(f32_to_f16(65519.9F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.F), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e30F), 0xFC00);
}

TEST(Half, bf16_is_the_upper_half_of_f32_rounded) {
  EXPECT_EQ(bf16_to_f32(0x3FC0), 1.5F);
  EXPECT_EQ(f32_to_bf16(1.5F), 0x3FC0);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3FC0'8000U)), 0x3FC0);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3FC1'8000U)), 0x3FC2);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3FC0'8001U)), 0x3FC1);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7F80'0001U)))));
}

}  // namespace
}  // namespace inferneo::tensor
