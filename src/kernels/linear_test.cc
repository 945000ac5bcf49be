// Linear layers of every supported table against the reference, and bit equality for every way of
// cutting the work.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/str.h"
#include "kernels/kernel_table.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::close;
using testing::random_floats;
using testing::same_bits;

struct Entry {
  const char* name;
  LinearFn KernelTable::*function;
  enum { kF32, kF16, kBf16 } weights;
};

constexpr Entry kEntries[] = {
    {"f32_f32", &KernelTable::linear_f32_f32, Entry::kF32},
    {"f32_f16", &KernelTable::linear_f32_f16, Entry::kF16},
    {"f32_bf16", &KernelTable::linear_f32_bf16, Entry::kBf16},
};

void call(const KernelTable& table, const Entry& entry, const LinearArgs& args) {
  (table.*entry.function)(args);
}

// Operands of one product in all the element types, at odd addresses and with padded rows.
struct Problem {
  Problem(std::int64_t m_, std::int64_t n_, std::int64_t k_, std::uint32_t seed = 1)
      : m(m_), n(n_), k(k_), x_stride(k_ + 3) {
    x = random_floats(m * x_stride + 1, seed);
    w = random_floats(n * k + 1, seed + 1);
    bias = random_floats(n, seed + 2);
    y_before = random_floats(m * y_stride(), seed + 3);
    convert();
  }

  void convert() {
    w_bf16 = testing::to_bf16(w);
    w_f16 = testing::to_f16(w);
  }

  [[nodiscard]] std::int64_t y_stride() const { return n + 5; }

  // Arguments whose operands start one element past the allocation.
  [[nodiscard]] LinearArgs args(const Entry& entry, float* y) const {
    LinearArgs args;
    args.x = x.data() + 1;
    switch (entry.weights) {
      case Entry::kF32:
        args.w = w.data() + 1;
        break;
      case Entry::kF16:
        args.w = w_f16.data() + 1;
        break;
      case Entry::kBf16:
        args.w = w_bf16.data() + 1;
        break;
    }
    args.y = y;
    args.m = m;
    args.n_end = n;
    args.k = k;
    args.x_stride = x_stride;
    args.y_stride = y_stride();
    return args;
  }

  [[nodiscard]] std::vector<float> run(const KernelTable& table,
                                       const Entry& entry,
                                       bool with_bias = false,
                                       bool accumulate = false) const {
    std::vector<float> y = y_before;
    LinearArgs a = args(entry, y.data());
    a.bias = with_bias ? bias.data() : nullptr;
    a.accumulate = accumulate;
    call(table, entry, a);
    return y;
  }

  std::int64_t m, n, k, x_stride;
  std::vector<float> x, w, bias, y_before;
  std::vector<Bf16> w_bf16;
  std::vector<F16> w_f16;
};

// Bound: both sums of k products of magnitude up to 1 round k times; the errors are random, and
// 2^-24 times k is far above what they add up to.
double bound(std::int64_t k) { return static_cast<double>(k + 4) * 0x1p-23; }

void expect_close(const Problem& problem,
                  const std::vector<float>& expected,
                  const std::vector<float>& actual,
                  const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(close(expected[i], actual[i], bound(problem.k)))
        << what << " m=" << problem.m << " n=" << problem.n << " k=" << problem.k << " at " << i
        << ": " << expected[i] << " and " << actual[i];
  }
}

void expect_same(const std::vector<float>& expected,
                 const std::vector<float>& actual,
                 const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(same_bits(expected[i], actual[i]))
        << what << " at " << i << ": " << expected[i] << " and " << actual[i];
  }
}

TEST(Linear, agrees_with_the_reference_for_odd_k) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      for (const std::int64_t k : testing::kOddSizes) {
        for (const std::int64_t m : {1, 2, 5, 7}) {
          const Problem problem(m, 13, k);
          expect_close(problem,
                       problem.run(reference_table(), entry),
                       problem.run(*table, entry),
                       std::string(table->name) + " " + entry.name);
        }
      }
    }
  }
}

TEST(Linear, agrees_with_the_reference_for_odd_m_and_n) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      for (std::int64_t m = 1; m <= 40; m += m < 14 ? 1 : 5) {
        for (const std::int64_t n : {1, 3, 4, 7, 8, 9, 16, 31, 50}) {
          const Problem problem(m, n, 67);
          expect_close(problem,
                       problem.run(reference_table(), entry),
                       problem.run(*table, entry),
                       std::string(table->name) + " " + entry.name);
        }
      }
    }
  }
}

TEST(Linear, agrees_with_the_reference_beyond_a_block_of_k) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      for (const std::int64_t k : {1023, 1024, 1025, 2048, 2049, 5632}) {
        const Problem problem(9, 21, k);
        expect_close(problem,
                     problem.run(reference_table(), entry, true, true),
                     problem.run(*table, entry, true, true),
                     std::string(table->name) + " " + entry.name);
      }
    }
  }
}

TEST(Linear, adds_bias_and_earlier_output) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      for (const bool with_bias : {false, true}) {
        for (const bool accumulate : {false, true}) {
          const Problem problem(6, 17, 40);
          expect_close(problem,
                       problem.run(reference_table(), entry, with_bias, accumulate),
                       problem.run(*table, entry, with_bias, accumulate),
                       std::string(table->name) + " " + entry.name);
        }
      }
    }
  }
}

// Every element's bits are those of a call for its row and column alone.
TEST(Linear, bits_do_not_depend_on_the_batch_or_the_range) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      const std::string what = std::string(table->name) + " " + entry.name;
      for (const std::int64_t k : {70, 2100}) {
        const Problem problem(37, 27, k);
        const std::vector<float> whole = problem.run(*table, entry, true, true);

        std::vector<float> one_by_one = problem.y_before;
        for (std::int64_t m = 0; m < problem.m; ++m) {
          for (std::int64_t n = 0; n < problem.n; ++n) {
            LinearArgs args = problem.args(entry, one_by_one.data() + m * problem.y_stride());
            args.x = static_cast<const float*>(args.x) + m * problem.x_stride;
            args.bias = problem.bias.data();
            args.accumulate = true;
            args.m = 1;
            args.n_begin = n;
            args.n_end = n + 1;
            call(*table, entry, args);
          }
        }
        expect_same(whole, one_by_one, what + " one by one");

        for (std::int64_t rows = 2; rows < problem.m; rows += 3) {
          std::vector<float> y = problem.y_before;
          for (std::int64_t n = 0; n < problem.n; n += 5) {
            LinearArgs args = problem.args(entry, y.data());
            args.bias = problem.bias.data();
            args.accumulate = true;
            args.m = rows;
            args.n_begin = n;
            args.n_end = std::min(n + 5, problem.n);
            call(*table, entry, args);
          }
          const auto end = rows * problem.y_stride() - 5;
          expect_same({whole.begin(), whole.begin() + end},
                      {y.begin(), y.begin() + end},
                      what + " rows " + std::to_string(rows));
        }
      }
    }
  }
}

// Batches around the row blocks of the tile kernels.
TEST(Linear, bits_of_a_long_batch_are_those_of_its_rows_alone) {
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t m : {33, 255, 257, 300, 530}) {
      const Problem problem(m, 36, 2080);
      const Entry& entry = kEntries[2];
      const std::vector<float> whole = problem.run(*table, entry);
      for (const std::int64_t row : {std::int64_t{0}, m / 2, m - 1}) {
        std::vector<float> alone(static_cast<std::size_t>(problem.n));
        LinearArgs args = problem.args(entry, alone.data());
        args.x = static_cast<const float*>(args.x) + row * problem.x_stride;
        args.m = 1;
        call(*table, entry, args);
        const auto begin = whole.begin() + row * problem.y_stride();
        expect_same({begin, begin + problem.n}, alone, table->name);
      }
    }
  }
}

// Outputs around the column blocks of the tile kernels, in ranges of every kind.
TEST(Linear, bits_of_many_outputs_are_those_of_their_ranges_alone) {
  const Entry& entry = kEntries[2];
  for (const KernelTable* table : supported_tables()) {
    for (const std::int64_t m : {1, 20, 40}) {
      const Problem problem(m, 1077, 320);
      const std::vector<float> whole = problem.run(*table, entry, true, true);
      for (const std::int64_t size : {32, 64, 100, 300}) {
        std::vector<float> y = problem.y_before;
        for (std::int64_t n = 0; n < problem.n; n += size) {
          LinearArgs args = problem.args(entry, y.data());
          args.bias = problem.bias.data();
          args.accumulate = true;
          args.n_begin = n;
          args.n_end = std::min(n + size, problem.n);
          call(*table, entry, args);
        }
        expect_same(whole, y, str(table->name, " m ", m, " by ", size));
      }
    }
  }
}

TEST(Linear, infinities_and_nans_reach_every_output_they_touch_and_no_other) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      for (const float bad : {std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()}) {
        for (const std::int64_t at : {0, 15, 31, 32, 40}) {
          Problem problem(8, 11, 41);
          problem.x[static_cast<std::size_t>(1 + 3 * problem.x_stride + at)] = bad;
          problem.convert();
          const std::vector<float> y = problem.run(*table, entry);
          for (std::int64_t m = 0; m < problem.m; ++m) {
            for (std::int64_t n = 0; n < problem.n; ++n) {
              EXPECT_EQ(std::isfinite(y[static_cast<std::size_t>(m * problem.y_stride() + n)]),
                        m != 3)
                  << table->name << " " << entry.name << " " << bad;
            }
          }
        }
      }
    }
  }
}

// Denormal operands may count as zero (vdpbf16ps), which no bound above 1e-37 can see.
TEST(Linear, denormals_are_harmless) {
  for (const KernelTable* table : supported_tables()) {
    for (const Entry& entry : kEntries) {
      Problem problem(3, 6, 35);
      for (std::size_t i = 0; i < problem.x.size(); i += 2) problem.x[i] = 1e-40F;
      for (std::size_t i = 0; i < problem.w.size(); i += 3) problem.w[i] = -3e-41F;
      problem.convert();
      expect_close(problem,
                   problem.run(reference_table(), entry),
                   problem.run(*table, entry),
                   std::string(table->name) + " " + entry.name);
    }
  }
}

}  // namespace
}  // namespace inferneo::kernels
