// Packed matrices and products for tests: every format a table may pack, filled at random. No
// product code includes it. Thread: any.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/str.h"
#include "kernels/kernel_table.h"
#include "kernels/matrix_ops.h"
#include "kernels/test_values.h"

namespace inferneo::kernels::testing {

// That of IQ4_NL.
inline constexpr std::int8_t kCodebook[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

constexpr MatrixFormat codes(std::int8_t bits,
                             std::int8_t group,
                             bool has_min,
                             const std::int8_t* codebook = nullptr) {
  return {MatrixFormat::Kind::kCodes, bits, group, has_min, codebook, false};
}

inline constexpr MatrixFormat kFormats[] = {
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

inline bool is_codes(const MatrixFormat& format) {
  return format.kind == MatrixFormat::Kind::kCodes;
}

inline std::string name_of(const MatrixFormat& format) {
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
      halves = format.kind == MatrixFormat::Kind::kF16 ? to_f16(w) : to_bf16(w);
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
    if (ops.pack_panel == nullptr) {
      Aligned rows(halves.size() * sizeof(std::uint16_t));
      std::memcpy(rows.data(), halves.data(), rows.size());
      return rows;
    }
    CHECK(size % 64 == 0);
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

inline Aligned pack_inputs(const MatrixOps& ops, const float* x, std::int64_t m, std::int64_t k) {
  Aligned inputs(ops.inputs->size(m, k));
  CHECK(inputs.size() % 64 == 0);
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

}  // namespace inferneo::kernels::testing
