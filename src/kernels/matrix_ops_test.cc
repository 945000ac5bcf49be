// Packed matrices of every supported table and format: against sums in double of the dequantised
// elements, exactly on integers, and with elements that are not ordinary numbers.
#include "kernels/matrix_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/packed_problem.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::codes;
using testing::for_each_ops;
using testing::is_codes;
using testing::kFormats;
using testing::Matrix;
using testing::name_of;
using testing::Problem;
using testing::random_floats;

// Tables whose inputs are 8-bit codes, one scale for 32.
bool has_code_inputs(const MatrixOps& ops) {
  return std::string_view(ops.layout).starts_with("codes");
}

// Tables whose weights are rounded to 8 bits of precision, bf16.
bool rounds_weights(const MatrixOps& ops, const MatrixFormat& format) {
  return std::string_view(ops.layout).starts_with("amx-bf16") &&
         format.kind != MatrixFormat::Kind::kBf16;
}

struct Expected {
  double y = 0;
  double bound = 0;
  double variance = 0;  // of the error that 8-bit inputs bring, for elements rounded at random
};

// What the terms of a product may be off by, as a share of themselves; half of it is lost at most
// where nothing else is said. Beside inputs that are codes, whose rounding comes apart, scales and
// mins are rounded to f16. Bound: sums in f32 add less than 2^-21 at the sizes tested.
double relative_rounding(const MatrixOps& ops, const MatrixFormat& format) {
  if (has_code_inputs(ops)) return 0x1p-11;
  const std::string_view layout = ops.layout;
  const bool multiplies_bf16 = layout.starts_with("amx-bf16") || layout.starts_with("bf16");
  if (is_codes(format)) {
    // Elements and inputs to bf16; or scales, elements and inputs, each to f16.
    return multiplies_bf16 ? 0x1p-7 : 0x1p-10;
  }
  if (format.kind == MatrixFormat::Kind::kF16) {
    return multiplies_bf16 ? 0x1p-8 : 0x1p-20;  // elements to bf16, or inputs to two f16 numbers
  }
  if (!multiplies_bf16) return 0x1p-11;            // inputs to one f16 number
  return format.rounds_inputs ? 0x1p-8 : 0x1p-15;  // to one bf16 number, or two
}

// Bound: an input that is a code is off by half of its group's scale.
Expected expected(const Problem& problem, std::int64_t row, std::int64_t n) {
  constexpr std::int64_t kGroup = 32;
  const bool codes_in = has_code_inputs(problem.ops);
  const double rounding = relative_rounding(problem.ops, problem.matrix.format);
  const std::int64_t k = problem.matrix.k;
  const float* x = problem.x.data() + row * k;
  Expected e;
  for (std::int64_t begin = 0; begin < k; begin += kGroup) {
    double largest = 0;
    const std::int64_t end = std::min(begin + kGroup, k);
    for (std::int64_t i = begin; i < end; ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(x[i])));
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const double xi = static_cast<double>(x[i]);
      const double w = problem.matrix.element(n, i);
      e.y += xi * w;
      e.bound += problem.matrix.magnitude(n, i) * std::abs(xi) * rounding;
      if (codes_in) {
        e.bound += std::abs(w) * largest / 127 * 0.501;
        e.variance += w * w * largest / 127 * largest / 127 / 12;
      }
    }
  }
  return e;
}

void expect_close(const Problem& problem, const std::vector<float>& y, const std::string& what) {
  for (std::int64_t row = 0; row < problem.m; ++row) {
    for (std::int64_t n = 0; n < problem.matrix.n; ++n) {
      const Expected e = expected(problem, row, n);
      const auto found = static_cast<double>(problem.at(y, row, n));
      ASSERT_LE(std::abs(found - e.y), e.bound + 1e-30)
          << what << " m=" << problem.m << " n=" << problem.matrix.n << " k=" << problem.matrix.k
          << " at " << row << ", " << n << ": " << found << " for " << e.y;
    }
  }
}

TEST(MatrixOps, every_table_reads_matrices_of_codes_or_none) {
  ASSERT_NE(reference_table().matrix_ops, nullptr);
  for (const KernelTable* table : supported_tables()) {
    if (table->matrix_ops == nullptr) continue;
    for (const MatrixFormat& format : kFormats) {
      if (!is_codes(format)) continue;
      EXPECT_NE(table->matrix_ops(format), nullptr) << table->name << " " << name_of(format);
    }
  }
  EXPECT_EQ(reference_table().matrix_ops(codes(5, 32, false)), nullptr);
  EXPECT_EQ(reference_table().matrix_ops(codes(8, 64, false)), nullptr);
}

TEST(MatrixOps, agree_with_sums_of_dequantised_elements) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    for (const std::int64_t k : {32, 64, 96, 224, 512, 544, 1056}) {
      const Matrix matrix(format, 19, k);
      for (const std::int64_t m : {1, 3, 9}) {
        const Problem problem(ops, matrix, m);
        expect_close(problem, problem.run(), what);
      }
    }
  });
}

TEST(MatrixOps, agree_for_odd_m_and_n) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    for (const std::int64_t n : {1, 15, 16, 17, 33, 70}) {
      const Matrix matrix(format, n, 96);
      for (std::int64_t m = 1; m < 40; m += m < 18 ? 1 : 5) {
        const Problem problem(ops, matrix, m);
        expect_close(problem, problem.run(), what);
      }
    }
  });
}

// The largest errors are bounded above; this bounds what they are on average.
TEST(MatrixOps, errors_are_those_of_rounding_inputs_to_8_bits_at_most) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    if (!has_code_inputs(ops)) return;
    const Matrix matrix(format, 48, 512);
    const Problem problem(ops, matrix, 20);
    const std::vector<float> y = problem.run();
    double squares = 0;
    double variance = 0;
    for (std::int64_t row = 0; row < problem.m; ++row) {
      for (std::int64_t n = 0; n < matrix.n; ++n) {
        const Expected e = expected(problem, row, n);
        squares += std::pow(static_cast<double>(problem.at(y, row, n)) - e.y, 2);
        variance += e.variance;
      }
    }
    EXPECT_LE(std::sqrt(squares), 1.1 * std::sqrt(variance)) << what;
  });
}

// Integers of up to 7 bits and scales that are powers of two lose nothing on their way.
TEST(MatrixOps, are_exact_on_small_integers) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    if (rounds_weights(ops, format)) return;
    Matrix matrix(format, 37, 192);
    for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
      matrix.scales[i] = std::ldexp(i % 3 == 0 ? -1.0F : 1.0F, static_cast<int>(i % 4));
      if (format.has_min) matrix.mins[i] = static_cast<float>(static_cast<int>(i % 23) - 11);
    }
    for (std::size_t i = 0; i < matrix.halves.size(); ++i) {
      // 1, -1 and 0
      const std::uint16_t one = format.kind == MatrixFormat::Kind::kF16 ? 0x3c00 : 0x3f80;
      matrix.halves[i] = i % 5 == 0 ? 0 : static_cast<std::uint16_t>(one | (i % 2) << 15);
    }
    for (const std::int64_t m : {1, 2, 4, 7, 16, 33}) {
      std::mt19937 engine(3);
      std::uniform_int_distribution<int> integer(-127, 127);
      std::vector<float> x(static_cast<std::size_t>(m * matrix.k));
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = i % 32 == 5 ? 127.0F : static_cast<float>(integer(engine));
      }
      const Problem problem(ops, matrix, m, std::move(x));
      const std::vector<float> y = problem.run();
      for (std::int64_t row = 0; row < m; ++row) {
        for (std::int64_t n = 0; n < matrix.n; ++n) {
          const auto found = static_cast<double>(problem.at(y, row, n));
          ASSERT_EQ(found, expected(problem, row, n).y)
              << what << " m=" << m << " at " << row << ", " << n;
        }
      }
    }
  });
}

// A row that overflowed must be seen as such, and only that row.
TEST(MatrixOps, infinities_and_nans_reach_every_output_of_their_row_and_no_other) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 35, 96);
    for (const float bad : {std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN(),
                            -std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::int64_t m : {1, 4, 21}) {
        for (const std::int64_t at : {0, 15, 31, 32, 95}) {
          const std::int64_t row = m / 2;
          std::vector<float> x = random_floats(m * matrix.k, 5);
          x[static_cast<std::size_t>(row * matrix.k + at)] = bad;
          const Problem problem(ops, matrix, m, std::move(x));
          const std::vector<float> y = problem.run(true);
          for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t n = 0; n < matrix.n; ++n) {
              ASSERT_EQ(std::isfinite(problem.at(y, i, n)), i != row)
                  << what << " m " << m << " " << bad << " at " << at << " row " << i;
            }
          }
        }
      }
    }
  });
}

TEST(MatrixOps, scales_that_are_not_finite_spoil_their_output_only) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    if (!is_codes(format)) return;
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Matrix matrix(format, 20, 64);
      matrix.scales[static_cast<std::size_t>(5 * 64 / format.group)] = bad;
      const Problem problem(ops, matrix, 6);
      const std::vector<float> y = problem.run();
      for (std::int64_t row = 0; row < problem.m; ++row) {
        for (std::int64_t n = 0; n < matrix.n; ++n) {
          if (n == 5) continue;
          ASSERT_TRUE(std::isfinite(problem.at(y, row, n))) << what << " " << row << " " << n;
        }
      }
    }
  });
}

// Scales of any size keep their precision; one output's do not depend on another's.
TEST(MatrixOps, large_and_small_scales_keep_their_precision) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    if (!is_codes(format)) return;
    Matrix matrix(format, 40, 64);
    const std::int64_t groups = matrix.k / format.group;
    for (std::int64_t n = 0; n < matrix.n; ++n) {
      const float size = std::ldexp(1.0F, static_cast<int>(n) * 3 - 60);
      for (std::int64_t i = n * groups; i < (n + 1) * groups; ++i) {
        const auto at = static_cast<std::size_t>(i);
        matrix.scales[at] *= size;
        if (format.has_min) matrix.mins[at] *= size;
      }
    }
    const Problem problem(ops, matrix, 7);
    expect_close(problem, problem.run(), what);
  });
}

TEST(MatrixOps, zeros_and_denormals_are_harmless) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 20, 96);
    std::vector<float> x(static_cast<std::size_t>(5 * 96), 0.0F);
    for (std::size_t i = 96; i < x.size(); i += 3) x[i] = i % 2 == 0 ? 1e-40F : -3e-45F;
    const Problem problem(ops, matrix, 5, std::move(x));
    const std::vector<float> y = problem.run();
    for (std::int64_t row = 0; row < problem.m; ++row) {
      for (std::int64_t n = 0; n < matrix.n; ++n) {
        ASSERT_LE(std::abs(problem.at(y, row, n)), 1e-35F) << what;
      }
    }
  });
}

}  // namespace
}  // namespace inferneo::kernels
