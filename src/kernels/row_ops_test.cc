// Operations on single rows, of every supported table against the reference.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::close;
using testing::kOddSizes;
using testing::random_floats;
using testing::same_bits;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Magnitudes of every kind, at the front of an otherwise ordinary row.
std::vector<float> special_floats(std::int64_t n, std::uint32_t seed) {
  std::vector<float> x = random_floats(n, seed);
  const float special[] = {kInfinity, -kInfinity, kNan,     0.0F,     -0.0F,   1e-40F, -3e-45F,
                           3.4e38F,   -3.4e38F,   1.5e-38F, 65504.0F, 6.1e-5F, 88.8F,  -88.8F,
                           -104.0F,   100.0F,     -1000.0F, 1000.0F,  1.0F,    -1.0F};
  std::size_t i = seed % 3;
  for (const float value : special) {
    if (i < x.size()) x[i] = value;
    i += 1 + seed % 2;
  }
  return x;
}

TEST(RowOps, conversions_equal_the_reference_bit_for_bit) {
  std::vector<F16> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<F16>(i);
  std::mt19937 engine(9);
  std::vector<float> bits(100'003);
  for (float& x : bits) x = std::bit_cast<float>(static_cast<std::uint32_t>(engine()));
  for (const KernelTable* table : supported_tables()) {
    const auto all = static_cast<std::int64_t>(halves.size());
    std::vector<float> expected(halves.size());
    std::vector<float> actual(halves.size());
    reference_table().f16_to_f32(halves.data(), expected.data(), all);
    table->f16_to_f32(halves.data(), actual.data(), all);
    for (std::size_t i = 0; i < halves.size(); ++i) {
      ASSERT_TRUE(same_bits(expected[i], actual[i])) << table->name << " f16 " << i;
    }
    table->bf16_to_f32(halves.data(), actual.data(), all);
    for (std::size_t i = 0; i < halves.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(actual[i]) >> 16, i) << table->name;
    }
    for (const std::int64_t n : kOddSizes) {
      for (const std::vector<float>& x : {special_floats(n, 1), special_floats(n, 2), bits}) {
        const auto count = static_cast<std::int64_t>(x.size());
        std::vector<Bf16> expected_bf16(x.size() + 1, 0x1234);
        std::vector<Bf16> actual_bf16(x.size() + 1, 0x1234);
        reference_table().f32_to_bf16(x.data(), expected_bf16.data(), count);
        table->f32_to_bf16(x.data(), actual_bf16.data(), count);
        ASSERT_EQ(expected_bf16, actual_bf16) << table->name << " n " << n;
        std::vector<F16> expected_f16(x.size() + 1, 0x1234);
        std::vector<F16> actual_f16(x.size() + 1, 0x1234);
        reference_table().f32_to_f16(x.data(), expected_f16.data(), count);
        table->f32_to_f16(x.data(), actual_f16.data(), count);
        ASSERT_EQ(expected_f16, actual_f16) << table->name << " n " << n;
      }
    }
  }
}

TEST(RowOps, f16_rounds_to_nearest_even_and_keeps_nan) {
  const std::vector<float> x = {1 + 0x1p-11F,      // tie, even below
                                1 + 3 * 0x1p-11F,  // tie, even above
                                1 + 0x1.001p-11F,
                                2 - 0x1p-12F,  // carries into the exponent
                                65504.0F,
                                65519.0F,
                                65520.0F,  // overflows to infinity
                                -1e30F,
                                kInfinity,
                                std::bit_cast<float>(0x7f800001U),  // NaN in the lowest bit only
                                0x1p-24F,
                                0x1p-25F,  // tie between zero and the smallest denormal
                                -0x1.8p-24F,
                                0x1p-14F - 0x1p-26F,  // rounds up to the smallest normal
                                -0.0F};
  for (const KernelTable* table : supported_tables()) {
    std::vector<F16> y(x.size());
    table->f32_to_f16(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    EXPECT_EQ(y,
              (std::vector<F16>{0x3c00,
                                0x3c02,
                                0x3c01,
                                0x4000,
                                0x7bff,
                                0x7bff,
                                0x7c00,
                                0xfc00,
                                0x7c00,
                                0x7e00,
                                0x0001,
                                0x0000,
                                0x8002,
                                0x0400,
                                0x8000}))
        << table->name;
  }
}

// Every number of the type comes back as it was.
TEST(RowOps, f16_round_trip_is_exact) {
  std::vector<F16> halves;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const bool is_nan = (i & 0x7c00) == 0x7c00 && (i & 0x3ff) != 0;
    if (!is_nan) halves.push_back(static_cast<F16>(i));
  }
  const auto count = static_cast<std::int64_t>(halves.size());
  for (const KernelTable* table : supported_tables()) {
    std::vector<float> wide(halves.size());
    std::vector<F16> back(halves.size());
    table->f16_to_f32(halves.data(), wide.data(), count);
    table->f32_to_f16(wide.data(), back.data(), count);
    EXPECT_EQ(back, halves) << table->name;
  }
}

TEST(RowOps, bf16_rounds_to_nearest_even_and_keeps_nan) {
  const std::vector<float> x = {std::bit_cast<float>(0x3f808000U),  // tie, even below
                                std::bit_cast<float>(0x3f818000U),  // tie, even above
                                std::bit_cast<float>(0x3f808001U),
                                std::bit_cast<float>(0x7f7fffffU),  // overflows to infinity
                                std::bit_cast<float>(0x7f800001U),  // NaN in the lowest bit only
                                std::bit_cast<float>(0x00008001U)};
  for (const KernelTable* table : supported_tables()) {
    std::vector<Bf16> y(x.size());
    table->f32_to_bf16(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    EXPECT_EQ(y, (std::vector<Bf16>{0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7fc0, 0x0001}))
        << table->name;
  }
}

TEST(RowOps, rms_norm_agrees_with_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : kOddSizes) {
      const std::vector<float> x = random_floats(n + 1, 1);
      const std::vector<float> weight = random_floats(n + 1, 2);
      std::vector<float> expected(x.size(), 7.0F);
      std::vector<float> actual(x.size(), 7.0F);
      reference_table().rms_norm(x.data() + 1, weight.data() + 1, 1e-5F, expected.data(), n);
      table->rms_norm(x.data() + 1, weight.data() + 1, 1e-5F, actual.data(), n);
      for (std::size_t i = 0; i < x.size(); ++i) {
        // Bound: the mean of up to 300 squares and four roundings after it.
        ASSERT_TRUE(close(expected[i], actual[i], 4e-6 * std::abs(expected[i])))
            << table->name << " n " << n;
      }
    }
    const std::vector<float> x = {1, kNan, 2};
    std::vector<float> y(3);
    table->rms_norm(x.data(), x.data(), 1e-5F, y.data(), 3);
    for (const float value : y) EXPECT_TRUE(std::isnan(value)) << table->name;
  }
}

TEST(RowOps, rope_agrees_with_the_reference_and_leaves_the_rest_alone) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t head_dim : {2, 6, 16, 34, 64, 100}) {
      for (const std::int64_t rotary_dim : {head_dim, head_dim / 4 * 2}) {
        const std::int64_t heads = 3;
        std::vector<float> expected = random_floats(heads * head_dim + 1, 3);
        std::vector<float> actual = expected;
        const std::vector<float> cos = random_floats(rotary_dim / 2, 4);
        const std::vector<float> sin = random_floats(rotary_dim / 2, 5);
        reference_table().rope(
            expected.data() + 1, cos.data(), sin.data(), heads, head_dim, rotary_dim);
        table->rope(actual.data() + 1, cos.data(), sin.data(), heads, head_dim, rotary_dim);
        for (std::size_t i = 0; i < actual.size(); ++i) {
          ASSERT_TRUE(close(expected[i], actual[i], 2.5e-7)) << table->name;
        }
      }
    }
  }
}

TEST(RowOps, rope_of_adjacent_pairs_agrees_with_the_reference_and_leaves_the_rest_alone) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t head_dim : {2, 6, 16, 34, 64, 100}) {
      for (const std::int64_t rotary_dim : {head_dim, head_dim / 4 * 2}) {
        const std::int64_t heads = 3;
        std::vector<float> expected = random_floats(heads * head_dim + 1, 3);
        std::vector<float> actual = expected;
        const std::vector<float> cos = random_floats(rotary_dim / 2, 4);
        const std::vector<float> sin = random_floats(rotary_dim / 2, 5);
        reference_table().rope_adjacent(
            expected.data() + 1, cos.data(), sin.data(), heads, head_dim, rotary_dim);
        table->rope_adjacent(
            actual.data() + 1, cos.data(), sin.data(), heads, head_dim, rotary_dim);
        for (std::size_t i = 0; i < actual.size(); ++i) {
          ASSERT_TRUE(close(expected[i], actual[i], 2.5e-7)) << table->name;
        }
      }
    }
  }
}

// Rows of a matrix that are stored in pairs give the same numbers in another order.
TEST(RowOps, the_two_layouts_of_rope_rotate_alike) {
  constexpr std::int64_t kHeads = 2;
  constexpr std::int64_t kHeadDim = 64;
  const std::vector<float> split = random_floats(kHeads * kHeadDim, 3);
  std::vector<float> paired(split.size());
  const auto paired_index = [](std::size_t i) {
    const std::size_t within = i % kHeadDim;
    return i - within + 2 * (within % (kHeadDim / 2)) + within / (kHeadDim / 2);
  };
  for (std::size_t i = 0; i < split.size(); ++i) paired[paired_index(i)] = split[i];
  const std::vector<float> cos = random_floats(kHeadDim / 2, 4);
  const std::vector<float> sin = random_floats(kHeadDim / 2, 5);
  for (const KernelTable* table : supported_tables()) {
    std::vector<float> a = split;
    std::vector<float> b = paired;
    table->rope(a.data(), cos.data(), sin.data(), kHeads, kHeadDim, kHeadDim);
    table->rope_adjacent(b.data(), cos.data(), sin.data(), kHeads, kHeadDim, kHeadDim);
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_TRUE(close(a[i], b[paired_index(i)], 2.5e-7)) << table->name;
    }
  }
}

constexpr Activation kActivations[] = {Activation::kSilu,
                                       Activation::kGelu,
                                       Activation::kGeluTanh,
                                       Activation::kQuickGelu,
                                       Activation::kRelu,
                                       Activation::kReluSquared};

// Bound: exp within 2 units in the last place and some roundings; of kGelu, half the absolute error
// of erf times x. The least where the reference's or our exponential overflows a step earlier.
double activation_bound(Activation activation, float x, float expected) {
  const bool has_erf = activation == Activation::kGelu && std::abs(x) < 1e6F;
  const double polynomial = activation == Activation::kGeluTanh ? 4e-6 : 1.2e-6;
  return polynomial * std::abs(expected) + (has_erf ? 4e-7 * std::abs(x) : 0) + 1e-35;
}

TEST(RowOps, activations_agree_with_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const Activation activation : kActivations) {
      for (const std::int64_t n : kOddSizes) {
        for (const std::uint32_t seed : {1U, 2U, 3U}) {
          std::vector<float> x = special_floats(n, seed);
          if (seed == 3) {
            for (float& value : x) value = std::abs(value) < 1e6F ? value * 8 : value;
          }
          const std::vector<float> factor = random_floats(n, 8);
          for (const float* factors : {factor.data(), static_cast<const float*>(nullptr)}) {
            std::vector<float> expected(x.size());
            std::vector<float> actual = x;
            reference_table().activate(activation, x.data(), factors, expected.data(), n);
            table->activate(activation, actual.data(), factors, actual.data(), n);
            for (std::size_t i = 0; i < x.size(); ++i) {
              // An infinite argument may give infinity times zero on the way.
              if (std::isinf(x[i])) continue;
              const double bound = activation_bound(activation, x[i], expected[i]);
              ASSERT_TRUE(close(expected[i], actual[i], bound))
                  << table->name << " activation " << static_cast<int>(activation) << " of " << x[i]
                  << ": " << expected[i] << " and " << actual[i];
            }
          }
        }
      }
    }
  }
}

TEST(RowOps, soft_cap_agrees_with_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : kOddSizes) {
      const std::vector<float> x = special_floats(n, 2);
      std::vector<float> expected(x.size());
      std::vector<float> actual = x;
      reference_table().soft_cap(x.data(), 30, expected.data(), n);
      table->soft_cap(actual.data(), 30, actual.data(), n);
      for (std::size_t i = 0; i < x.size(); ++i) {
        // Bound: the absolute error of tanh times the cap.
        ASSERT_TRUE(close(expected[i], actual[i], 30 * 2.5e-7)) << table->name << " " << x[i];
      }
    }
  }
}

TEST(RowOps, layer_norm_agrees_with_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : kOddSizes) {
      std::vector<float> x = random_floats(n, 3);
      for (float& value : x) value = value * 2 + 5;
      const std::vector<float> weight = random_floats(n, 4);
      const std::vector<float> bias = random_floats(n, 5);
      for (const float* weights : {weight.data(), static_cast<const float*>(nullptr)}) {
        for (const float* biases : {bias.data(), static_cast<const float*>(nullptr)}) {
          std::vector<float> expected(x.size() + 1, 3.0F);
          std::vector<float> actual(x.size() + 1, 3.0F);
          reference_table().layer_norm(x.data(), weights, biases, 1e-5F, expected.data(), n);
          table->layer_norm(x.data(), weights, biases, 1e-5F, actual.data(), n);
          for (std::size_t i = 0; i < actual.size(); ++i) {
            // Bound: the mean is exact to half a unit of 5, which a small deviation magnifies.
            ASSERT_TRUE(close(expected[i], actual[i], 1e-5)) << table->name << " n " << n;
          }
        }
      }
    }
  }
}

TEST(RowOps, add_equals_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : kOddSizes) {
      const std::vector<float> a = special_floats(n, 1);
      const std::vector<float> b = special_floats(n, 2);
      std::vector<float> y(a.size() + 1, 3.0F);
      table->add(a.data(), b.data(), y.data(), n);
      for (std::size_t i = 0; i < a.size(); ++i) ASSERT_TRUE(same_bits(a[i] + b[i], y[i]));
      EXPECT_EQ(y.back(), 3.0F);
    }
  }
}

TEST(RowOps, argmax_finds_the_first_of_equals) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : {1, 2, 15, 16, 17, 64, 100, 1023, 1024, 1025, 5000}) {
      std::vector<float> x = random_floats(n, 11);
      for (const std::int64_t at : {std::int64_t{0}, n / 3, n - 1}) {
        std::vector<float> y = x;
        y[static_cast<std::size_t>(at)] = 2;
        y[static_cast<std::size_t>(n - 1)] = 2;
        bool finite = false;
        EXPECT_EQ(table->argmax(y.data(), n, &finite), at) << table->name << " n " << n;
        EXPECT_TRUE(finite);
        for (const float bad : {kInfinity, -kInfinity, kNan}) {
          y[static_cast<std::size_t>(at)] = bad;
          (void)table->argmax(y.data(), n, &finite);
          EXPECT_FALSE(finite) << table->name << " n " << n << " " << bad;
        }
      }
    }
    const std::vector<float> zeros = {-0.0F, 0.0F, -0.0F};
    bool finite = false;
    EXPECT_EQ(table->argmax(zeros.data(), 3, &finite), 0) << table->name;
    const std::vector<float> lowest(40, std::numeric_limits<float>::lowest());
    EXPECT_EQ(table->argmax(lowest.data(), 40, &finite), 0) << table->name;
    EXPECT_TRUE(finite);
  }
}

TEST(RowOps, log_sum_exp_agrees_with_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : {1, 2, 15, 16, 17, 64, 100, 1025, 50'000}) {
      for (const float spread : {1.0F, 30.0F, 1000.0F}) {
        std::vector<float> x = random_floats(n, 12);
        for (float& value : x) value = value * spread + 5;
        const float expected = reference_table().log_sum_exp(x.data(), n);
        // Bound: a relative error of the sum is an absolute one of its logarithm.
        EXPECT_TRUE(
            close(expected, table->log_sum_exp(x.data(), n), 2e-6 + 2e-7 * std::abs(expected)))
            << table->name << " n " << n;
        x[static_cast<std::size_t>(n / 2)] = kNan;
        EXPECT_TRUE(std::isnan(table->log_sum_exp(x.data(), n))) << table->name;
        x[static_cast<std::size_t>(n / 2)] = kInfinity;
        EXPECT_EQ(table->log_sum_exp(x.data(), n), kInfinity) << table->name;
      }
    }
    const std::vector<float> nothing(20, -kInfinity);
    EXPECT_EQ(table->log_sum_exp(nothing.data(), 20), -kInfinity) << table->name;
  }
}

TEST(Tables, reference_is_first_and_names_are_unique) {
  const auto tables = supported_tables();
  ASSERT_FALSE(tables.empty());
  EXPECT_EQ(tables.front(), &reference_table());
  EXPECT_EQ(find_table(""), tables.back());
  EXPECT_EQ(find_table(nullptr), tables.back());
  EXPECT_EQ(find_table("avx1024"), nullptr);
  for (const KernelTable* table : tables) EXPECT_EQ(find_table(table->name), table);
}

TEST(RowOps, int8_rows_equal_the_reference) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t n : testing::kOddSizes) {
      for (const float factor : {1e-20F, 1.0F, 1e30F}) {
        std::vector<float> x = testing::random_floats(n, static_cast<std::uint32_t>(n));
        for (float& each : x) each *= factor;
        std::vector<std::int8_t> expected(x.size());
        std::vector<std::int8_t> actual(x.size(), 99);
        float expected_scale = 0;
        float actual_scale = 1;
        reference_table().f32_to_i8(x.data(), expected.data(), &expected_scale, n);
        table->f32_to_i8(x.data(), actual.data(), &actual_scale, n);
        EXPECT_EQ(expected, actual) << table->name << " n " << n;
        EXPECT_EQ(expected_scale, actual_scale) << table->name << " n " << n;
        for (std::size_t i = 0; i < x.size(); ++i) {
          EXPECT_LE(std::abs(x[i] - static_cast<float>(actual[i]) * actual_scale),
                    0.5001F * actual_scale)
              << table->name;
        }
      }
    }
  }
}

TEST(RowOps, int8_rows_without_a_scale_are_zeros_or_nan) {
  for (const KernelTable* table : supported_tables()) {
    for (const float broken : {0.0F,
                               1e-35F,
                               std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> x(37, 0.0F);
      x[20] = broken;
      std::vector<std::int8_t> y(x.size(), 99);
      float scale = 1;
      table->f32_to_i8(x.data(), y.data(), &scale, 37);
      EXPECT_EQ(y, std::vector<std::int8_t>(37, 0)) << table->name;
      if (std::isfinite(broken)) {
        EXPECT_EQ(scale, 0.0F) << table->name;
      } else {
        EXPECT_TRUE(std::isnan(scale)) << table->name;
      }
    }
  }
}

}  // namespace
}  // namespace inferneo::kernels
