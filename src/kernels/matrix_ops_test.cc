// Packed matrices of every supported table and format: against sums in double of the dequantised
// elements, exactly on integers, and bit for bit for every way of cutting the work.
#include "kernels/matrix_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/str.h"
#include "kernels/kernel_table.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::random_floats;
using testing::same_bits;

// That of IQ4_NL.
constexpr std::int8_t kCodebook[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

constexpr MatrixFormat codes(std::int8_t bits,
                             std::int8_t group,
                             bool has_min,
                             const std::int8_t* codebook = nullptr) {
  return {MatrixFormat::Kind::kCodes, bits, group, has_min, codebook, false};
}

constexpr MatrixFormat kFormats[] = {
    {.kind = MatrixFormat::Kind::kF16},
    {.kind = MatrixFormat::Kind::kBf16},
    {.kind = MatrixFormat::Kind::kBf16, .rounds_inputs = true},
    codes(8, 32, false),
    codes(8, 32, true),
    codes(8, 16, false),
    codes(8, 16, true),
    codes(4, 32, false),
    codes(4, 32, true),
    codes(4, 32, false, kCodebook),
    codes(4, 16, false),
    codes(4, 16, true),
    codes(4, 16, false, kCodebook),
};

bool is_codes(const MatrixFormat& format) { return format.kind == MatrixFormat::Kind::kCodes; }

std::string name_of(const MatrixFormat& format) {
  if (format.kind == MatrixFormat::Kind::kF16) return "f16";
  if (!is_codes(format)) return format.rounds_inputs ? "bf16 with rounded inputs" : "bf16";
  return str(int{format.bits},
             " bits by ",
             int{format.group},
             format.has_min ? " min" : "",
             format.codebook != nullptr ? " codebook" : "");
}

// Bytes at an address that kernels may rely on.
class Aligned {
 public:
  explicit Aligned(std::size_t size, std::byte fill = std::byte{0x7f})
      : bytes_(static_cast<std::byte*>(::operator new (size, std::align_val_t{64}))), size_(size) {
    std::fill_n(bytes_.get(), size, fill);
  }
  [[nodiscard]] std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Delete {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Delete> bytes_;
  std::size_t size_;
};

// A matrix before it is packed.
struct Matrix {
  Matrix(const MatrixFormat& format_, std::int64_t n_, std::int64_t k_, std::uint32_t seed = 1)
      : format(format_), n(n_), k(k_) {
    const auto count = static_cast<std::size_t>(n * k);
    if (!is_codes(format)) {
      const std::vector<float> w = random_floats(n * k, seed);
      halves = format.kind == MatrixFormat::Kind::kF16 ? testing::to_f16(w) : testing::to_bf16(w);
      return;
    }
    std::mt19937 engine(seed);
    const int low = format.bits == 8 ? -128 : format.has_min || format.codebook != nullptr ? 0 : -8;
    std::uniform_int_distribution<int> code(low, format.bits == 8 ? 127 : low + 15);
    code_values.resize(count);
    for (std::int8_t& value : code_values) {
      const int i = code(engine);
      value = format.codebook != nullptr ? format.codebook[i] : static_cast<std::int8_t>(i);
    }
    scales = random_floats(n * k / format.group, seed + 1);
    if (format.has_min) {
      mins = random_floats(n * k / format.group, seed + 2);
      for (float& min : mins) min *= format.bits == 8 ? 64 : 8;
    }
  }

  [[nodiscard]] double scaled_code(std::int64_t row, std::int64_t i) const {
    const auto at = static_cast<std::size_t>(row * k + i);
    return static_cast<double>(scales[at / static_cast<std::size_t>(format.group)]) *
           code_values[at];
  }
  [[nodiscard]] double min(std::int64_t row, std::int64_t i) const {
    const auto at = static_cast<std::size_t>(row * k + i) / static_cast<std::size_t>(format.group);
    return mins.empty() ? 0 : static_cast<double>(mins[at]);
  }
  [[nodiscard]] double element(std::int64_t row, std::int64_t i) const {
    if (is_codes(format)) return scaled_code(row, i) + min(row, i);
    const std::uint16_t half = halves[static_cast<std::size_t>(row * k + i)];
    float value = 0;
    (format.kind == MatrixFormat::Kind::kF16 ? reference_table().f16_to_f32
                                             : reference_table().bf16_to_f32)(&half, &value, 1);
    return static_cast<double>(value);
  }
  // The sizes of the terms that an element is made of, which its rounding is relative to.
  [[nodiscard]] double magnitude(std::int64_t row, std::int64_t i) const {
    if (!is_codes(format)) return std::abs(element(row, i));
    return std::abs(scaled_code(row, i)) + std::abs(min(row, i));
  }

  [[nodiscard]] Aligned pack(const MatrixOps& ops) const {
    const std::size_t size = ops.panel_size(k);
    EXPECT_EQ(size % 64, 0U);
    Aligned panels(size * static_cast<std::size_t>((n + kPanelOutputs - 1) / kPanelOutputs));
    std::byte* panel = panels.data();
    for (std::int64_t row = 0; row < n; row += kPanelOutputs, panel += size) {
      PanelSource source;
      source.row_count = std::min(n - row, kPanelOutputs);
      source.k = k;
      source.codebook = format.codebook;
      if (is_codes(format)) {
        source.codes = code_values.data() + row * k;
        source.scales = scales.data() + row * (k / format.group);
        if (format.has_min) source.mins = mins.data() + row * (k / format.group);
      } else {
        source.halves = halves.data() + row * k;
      }
      ops.pack_panel(source, panel);
    }
    return panels;
  }

  MatrixFormat format;
  std::int64_t n, k;
  std::vector<std::uint16_t> halves;
  std::vector<std::int8_t> code_values;
  std::vector<float> scales, mins;
};

Aligned pack_inputs(const MatrixOps& ops, const float* x, std::int64_t m, std::int64_t k) {
  Aligned inputs(ops.inputs->size(m, k));
  EXPECT_EQ(inputs.size() % 64, 0U);
  ops.inputs->pack(x, k, 0, m, k, inputs.data());
  return inputs;
}

// A product of a matrix and m rows of inputs; y has more columns than outputs.
struct Problem {
  Problem(const MatrixOps& ops_, const Matrix& matrix_, std::int64_t m_, std::vector<float> x_)
      : ops(ops_), matrix(matrix_), m(m_), x(std::move(x_)), panels(matrix.pack(ops)) {
    bias = random_floats(matrix.n, 91);
    y_before = random_floats(m * y_stride(), 92);
  }
  Problem(const MatrixOps& ops_, const Matrix& matrix_, std::int64_t m_)
      : Problem(ops_, matrix_, m_, random_floats(m_ * matrix_.k, 90)) {}

  [[nodiscard]] std::int64_t y_stride() const { return matrix.n + 5; }

  [[nodiscard]] PackedLinearArgs args(const Aligned& inputs, float* y) const {
    PackedLinearArgs args;
    args.inputs = inputs.data();
    args.panels = panels.data();
    args.y = y;
    args.m = m;
    args.n_end = matrix.n;
    args.k = matrix.k;
    args.y_stride = y_stride();
    args.codebook = matrix.format.codebook;
    return args;
  }

  [[nodiscard]] std::vector<float> run(bool with_bias = false, bool accumulate = false) const {
    std::vector<float> y = y_before;
    const Aligned inputs = pack_inputs(ops, x.data(), m, matrix.k);
    PackedLinearArgs a = args(inputs, y.data());
    a.bias = with_bias ? bias.data() : nullptr;
    a.accumulate = accumulate;
    ops.linear(a);
    return y;
  }

  // The first `rows` rows, with bias and accumulation, cut into ranges of `width` outputs.
  [[nodiscard]] std::vector<float> run_cut(std::int64_t rows, std::int64_t width) const {
    std::vector<float> y = y_before;
    const Aligned inputs = pack_inputs(ops, x.data(), rows, matrix.k);
    for (std::int64_t n = 0; n < matrix.n; n += width) {
      PackedLinearArgs a = args(inputs, y.data());
      a.m = rows;
      a.n_begin = n;
      a.n_end = std::min(n + width, matrix.n);
      a.bias = bias.data();
      a.accumulate = true;
      ops.linear(a);
    }
    return y;
  }

  [[nodiscard]] float at(const std::vector<float>& y, std::int64_t row, std::int64_t n) const {
    return y[static_cast<std::size_t>(row * y_stride() + n)];
  }

  const MatrixOps& ops;
  const Matrix& matrix;
  std::int64_t m;
  std::vector<float> x, bias, y_before;
  Aligned panels;
};

template <typename Body>
void for_each_ops(const Body& body) {
  for (const KernelTable* table : supported_tables()) {
    if (table->matrix_ops == nullptr) continue;
    for (const MatrixFormat& format : kFormats) {
      const MatrixOps* ops = table->matrix_ops(format);
      if (ops != nullptr) body(*ops, format, str(table->name, " ", name_of(format)));
    }
  }
}

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
  const bool has_bf16_tiles = std::string_view(ops.layout).starts_with("amx-bf16");
  if (is_codes(format)) {
    // Elements and inputs to bf16; or scales, elements and inputs, each to f16.
    return has_bf16_tiles ? 0x1p-7 : 0x1p-10;
  }
  if (format.kind == MatrixFormat::Kind::kF16) {
    return has_bf16_tiles ? 0x1p-8 : 0x1p-20;  // elements to bf16, or inputs to two f16 numbers
  }
  if (!has_bf16_tiles) return 0x1p-11;             // inputs to one f16 number
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

void expect_same(const std::vector<float>& a,
                 const std::vector<float>& b,
                 const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(same_bits(a[i], b[i])) << what << " at " << i << ": " << a[i] << " and " << b[i];
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

// The same inputs, two matrices of one format, ranges of 32 outputs.
TEST(MatrixOps, gated_products_have_the_bits_of_two_products_and_an_activation) {
  bool has_any = false;
  for_each_ops([&](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    if (ops.gated_linear == nullptr) return;
    has_any = true;
    const Matrix matrix(format, 53, 544, 1);
    const Matrix other(format, 53, 544, 7);
    int activation = 0;
    for (const std::int64_t m : {1, 16, 33, 64, 100, 270}) {
      const Problem gate(ops, matrix, m);
      const Problem up(ops, other, m);
      PackedGatedArgs args;
      args.activation = static_cast<Activation>(activation++);
      args.up_panels = up.panels.data();
      for (const bool with_bias : {false, true}) {
        std::vector<float> products = gate.run(with_bias);
        const std::vector<float> factors = up.run(with_bias);
        for (std::int64_t row = 0; row < m; ++row) {
          float* y = products.data() + row * gate.y_stride();
          const float* factor = factors.data() + row * gate.y_stride();
          find_table("")->activate(args.activation, y, factor, y, matrix.n);
        }
        std::vector<float> y = gate.y_before;
        const Aligned inputs = pack_inputs(ops, gate.x.data(), m, matrix.k);
        for (std::int64_t n = 0; n < matrix.n; n += 32) {
          args.gate = gate.args(inputs, y.data());
          args.gate.n_begin = n;
          args.gate.n_end = std::min(n + 32, matrix.n);
          args.gate.bias = with_bias ? gate.bias.data() : nullptr;
          args.up_bias = with_bias ? up.bias.data() : nullptr;
          ops.gated_linear(args);
        }
        expect_same(y, products, str(what, " m=", m));
      }
    }
  });
  if (!has_any) GTEST_SKIP() << "no table of this processor has gated products";
}

TEST(MatrixOps, add_bias_and_earlier_output_and_write_nothing_else) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 53, 64);
    for (const std::int64_t m : {1, 3, 6, 34}) {
      const Problem problem(ops, matrix, m);
      const std::vector<float> plain = problem.run();
      for (const bool with_bias : {false, true}) {
        for (const bool accumulate : {false, true}) {
          const std::vector<float> y = problem.run(with_bias, accumulate);
          for (std::int64_t i = 0; i < m * problem.y_stride(); ++i) {
            const auto at = static_cast<std::size_t>(i);
            const std::int64_t n = i % problem.y_stride();
            float wanted = problem.y_before[at];
            if (n < matrix.n) {
              const float sum =
                  plain[at] + (with_bias ? problem.bias[static_cast<std::size_t>(n)] : 0);
              wanted = accumulate ? wanted + sum : sum;
            }
            ASSERT_TRUE(same_bits(wanted, y[at]))
                << what << " m=" << m << " at " << i << ": " << wanted << " and " << y[at];
          }
        }
      }
    }
  });
}

TEST(MatrixOps, write_only_the_range_of_outputs) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 75, 64);
    for (const std::int64_t m : {1, 4, 5, 33}) {
      const Problem problem(ops, matrix, m);
      const std::vector<float> whole = problem.run();
      const Aligned inputs = pack_inputs(ops, problem.x.data(), m, matrix.k);
      for (std::int64_t begin = 0; begin < matrix.n; begin += kPanelOutputs) {
        for (std::int64_t end = begin; end < matrix.n + 16; end += kPanelOutputs) {
          std::vector<float> y = problem.y_before;
          PackedLinearArgs args = problem.args(inputs, y.data());
          args.n_begin = begin;
          args.n_end = std::min(end, matrix.n);
          ops.linear(args);
          for (std::int64_t i = 0; i < m * problem.y_stride(); ++i) {
            const auto at = static_cast<std::size_t>(i);
            const std::int64_t n = i % problem.y_stride();
            const bool inside = n >= args.n_begin && n < args.n_end;
            ASSERT_TRUE(same_bits(inside ? whole[at] : problem.y_before[at], y[at]))
                << what << " m=" << m << " range " << begin << " .. " << args.n_end << " at " << i;
          }
        }
      }
    }
  });
}

// Every row's bits are those of a call for that row alone, whatever the batch.
TEST(MatrixOps, bits_do_not_depend_on_the_batch) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    for (const std::int64_t k : {96, 1120}) {
      const Matrix matrix(format, k == 96 ? 70 : 35, k);
      const Problem problem(ops, matrix, 70);
      std::vector<float> alone = problem.y_before;
      for (std::int64_t row = 0; row < problem.m; ++row) {
        const Aligned inputs = pack_inputs(ops, problem.x.data() + row * k, 1, k);
        PackedLinearArgs args = problem.args(inputs, alone.data() + row * problem.y_stride());
        args.m = 1;
        args.bias = problem.bias.data();
        args.accumulate = true;
        ops.linear(args);
      }
      for (std::int64_t rows = 1; rows <= problem.m; rows += k == 96 ? 1 : 23) {
        const std::vector<float> y = problem.run_cut(rows, matrix.n);
        const auto end = rows * problem.y_stride();
        expect_same({alone.begin(), alone.begin() + end},
                    {y.begin(), y.begin() + end},
                    str(what, " rows ", rows));
      }
    }
  });
}

TEST(MatrixOps, bits_do_not_depend_on_the_split_of_outputs) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 203, 160);
    for (const std::int64_t m : {1, 2, 4, 8, 21, 40}) {
      const Problem problem(ops, matrix, m);
      const std::vector<float> whole = problem.run_cut(m, 203);
      for (const std::int64_t width : {16, 32, 48, 80, 112}) {
        expect_same(whole, problem.run_cut(m, width), str(what, " m ", m, " by ", width));
      }
    }
  });
}

// Batches beyond the blocks of tokens that kernels hold in a cache.
TEST(MatrixOps, bits_of_a_long_batch_are_those_of_its_rows_alone) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 40, 320);
    for (const std::int64_t m : {255, 513, 1030}) {
      const Problem problem(ops, matrix, m);
      const std::vector<float> whole = problem.run();
      for (std::int64_t row = 0; row < m; row += 73) {
        std::vector<float> alone(static_cast<std::size_t>(matrix.n));
        const Aligned inputs = pack_inputs(ops, problem.x.data() + row * matrix.k, 1, matrix.k);
        PackedLinearArgs args = problem.args(inputs, alone.data());
        args.m = 1;
        ops.linear(args);
        const auto begin = whole.begin() + row * problem.y_stride();
        expect_same({begin, begin + matrix.n}, alone, str(what, " m ", m, " row ", row));
      }
    }
  });
}

TEST(MatrixOps, inputs_packed_in_parts_equal_those_packed_at_once) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat&, const std::string& what) {
    for (const std::int64_t m : {1, 15, 16, 37, 48}) {
      const std::int64_t k = 96;
      const std::int64_t stride = k + 3;
      const std::vector<float> x = random_floats(m * stride + 1, 4);
      const std::size_t size = ops.inputs->size(m, k);
      const Aligned whole(size + 64);
      const Aligned parts(size + 64);
      ops.inputs->pack(x.data() + 1, stride, 0, m, k, whole.data());
      for (std::int64_t i = (m - 1) / kInputRows * kInputRows; i >= 0; i -= kInputRows) {
        const std::int64_t end = std::min(i + kInputRows, m);
        ops.inputs->pack(x.data() + 1, stride, i, end, k, parts.data());
      }
      EXPECT_EQ(std::memcmp(whole.data(), parts.data(), size + 64), 0) << what << " m " << m;
      EXPECT_EQ(whole.data()[size], std::byte{0x7f}) << what << " m " << m;
    }
  });
}

TEST(MatrixOps, panels_with_missing_rows_stay_within_their_size) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix one(format, 1, 96);
    const std::size_t size = ops.panel_size(96);
    const Aligned panel(size + 64);
    PanelSource source;
    source.row_count = 1;
    source.k = 96;
    source.codebook = format.codebook;
    source.halves = one.halves.data();
    source.codes = one.code_values.data();
    source.scales = one.scales.data();
    source.mins = format.has_min ? one.mins.data() : nullptr;
    ops.pack_panel(source, panel.data());
    for (std::size_t i = size; i < panel.size(); ++i) {
      ASSERT_EQ(panel.data()[i], std::byte{0x7f}) << what;
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

// Packed bytes are kept on disk by the name of their layout.
TEST(MatrixOps, one_layout_means_the_same_bytes_in_every_table) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const Matrix matrix(format, 23, 160);
    const Aligned panels = matrix.pack(ops);
    for (const KernelTable* table : supported_tables()) {
      if (table->matrix_ops == nullptr) continue;
      const MatrixOps* others = table->matrix_ops(format);
      if (others == nullptr || std::string_view(others->layout) != ops.layout) continue;
      const Aligned again = matrix.pack(*others);
      ASSERT_EQ(panels.size(), again.size());
      EXPECT_EQ(std::memcmp(panels.data(), again.data(), panels.size()), 0)
          << what << " " << table->name;
    }
  });
}

TEST(MatrixOps, inputs_as_codes_give_the_bits_of_the_reference) {
  for_each_ops([](const MatrixOps& ops, const MatrixFormat& format, const std::string& what) {
    const MatrixOps* reference = reference_table().matrix_ops(format);
    if (reference == nullptr || std::string_view(reference->layout) != ops.layout) return;
    const Matrix matrix(format, 50, 1120);
    for (const std::int64_t m : {1, 2, 4, 13}) {
      const Problem wanted(*reference, matrix, m);
      const Problem problem(ops, matrix, m);
      expect_same(wanted.run(true, true), problem.run(true, true), str(what, " m ", m));
      const Aligned a = pack_inputs(*reference, problem.x.data(), m, matrix.k);
      const Aligned b = pack_inputs(ops, problem.x.data(), m, matrix.k);
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size()), 0) << what << " m " << m;
    }
  });
}

}  // namespace
}  // namespace inferneo::kernels
