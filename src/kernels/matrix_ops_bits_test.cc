// Packed matrices of every supported table and format, bit for bit: for every way of cutting the
// work, and with nothing written beside the results.
#include "kernels/matrix_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/str.h"
#include "kernels/kernel_table.h"
#include "kernels/packed_problem.h"
#include "kernels/test_values.h"

namespace inferneo::kernels {
namespace {

using testing::Aligned;
using testing::for_each_ops;
using testing::Matrix;
using testing::pack_inputs;
using testing::Problem;
using testing::random_floats;
using testing::same_bits;

void expect_same(const std::vector<float>& a,
                 const std::vector<float>& b,
                 const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(same_bits(a[i], b[i])) << what << " at " << i << ": " << a[i] << " and " << b[i];
  }
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
    if (ops.pack_panel == nullptr) return;
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
