// Matrices in kernel order. A matrix is packed once into panels of kPanelOutputs rows, in the order
// of bytes that one instruction set reads fastest, and then only read. Inputs of a product are
// packed too, for each step. A table offers MatrixOps for the formats that it reads so.
//
// The rules of kernel_table.h hold: noexcept, no allocation, an output element depends only on its
// own inputs, in a fixed order of additions, for any m, split of work or tile position.
// Thread: any; the caller splits the work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"

namespace inferneo::kernels {

inline constexpr std::int64_t kPanelOutputs = 16;
// Packed inputs come in whole groups of this many rows.
inline constexpr std::int64_t kInputRows = 16;

// What the elements of a matrix are, whatever file they came from.
struct MatrixFormat {
  enum class Kind : std::uint8_t { kF16, kBf16, kCodes };
  Kind kind = Kind::kBf16;
  // Of codes: element = scale * code + min, one scale and one min for `group` elements of a row.
  // 4-bit codes are -8 .. 7, or 0 .. 15 when there is a min, or the 16 values of the codebook.
  std::int8_t bits = 0;   // 4 or 8
  std::int8_t group = 0;  // 16 or 32
  bool has_min = false;
  const std::int8_t* codebook = nullptr;  // Shape: [16], ascending
  // Of bf16: inputs may be rounded to bf16 too, where the processor multiplies nothing finer at its
  // full speed. Otherwise they keep 11 bits at least.
  bool rounds_inputs = false;
};

// Up to kPanelOutputs rows of a matrix as pack_panel reads them. Rows that are missing become
// zeros.
struct PanelSource {
  std::int64_t row_count = 0;
  std::int64_t k = 0;                     // codes: a multiple of 32
  const std::uint16_t* halves = nullptr;  // of f16 and bf16. Shape: [row_count][k]
  const std::int8_t* codes = nullptr;     // Shape: [row_count][k]
  const float* scales = nullptr;          // Shape: [row_count][k / group]
  const float* mins = nullptr;            // the same; null without a min
  const std::int8_t* codebook = nullptr;  // of the format
};

// y[m][n] = sum_k x[m][k] * w[n][k] (+ bias[n]) (+ y[m][n] when accumulate), n in [n_begin, n_end).
struct PackedLinearArgs {
  const void* inputs = nullptr;  // all m rows packed by InputOps::pack
  const std::byte* panels =
      nullptr;  // panel i holds rows 16 i .. 16 i + 15; aligned to 64 bytes if packed
  const float* bias = nullptr;  // Shape: [n], or null
  float* y = nullptr;           // Shape: [m][y_stride]
  std::int64_t m = 0;
  std::int64_t n_begin = 0;  // a multiple of kPanelOutputs
  std::int64_t n_end = 0;    // a multiple of kPanelOutputs, or the number of rows of the matrix
  std::int64_t k = 0;
  std::int64_t y_stride = 0;  // elements
  bool accumulate = false;
  const std::int8_t* codebook = nullptr;  // of the matrix's format
};

// Two products of the same inputs as one: y = activation(gate product) * up product. `gate` has the
// matrix inside the activation, the result's place and everything that both share; it does not
// accumulate. The bits are those of two products and KernelTable::activate.
struct PackedGatedArgs {
  PackedLinearArgs gate;
  const std::byte* up_panels = nullptr;
  const float* up_bias = nullptr;
  Activation activation = Activation::kSilu;
};

// How inputs are packed. Two MatrixOps that point to the same InputOps read the same bytes.
struct InputOps {
  // Bytes of m rows; a multiple of 64. When m is a multiple of kInputRows, the bytes of the rows
  // that follow begin there: packed rows [m, ..) are packed inputs of their own.
  std::size_t (*size)(std::int64_t m, std::int64_t k) noexcept = nullptr;
  // Packs rows [m_begin, m_end) of x, Shape [m][x_stride], into the buffer of all rows, which is
  // aligned to 64 bytes. m_begin is a multiple of kInputRows, and m_end is one or m.
  void (*pack)(const float* x,
               std::int64_t x_stride,
               std::int64_t m_begin,
               std::int64_t m_end,
               std::int64_t k,
               void* packed) noexcept = nullptr;
};

struct MatrixOps {
  // Names the order of bytes, version included: packed bytes of one layout may be read by any
  // table that names it so.
  const char* layout = nullptr;
  const InputOps* inputs = nullptr;
  // Bytes of a panel of rows of k elements; a multiple of 64 where panels are packed.
  std::size_t (*panel_size)(std::int64_t k) noexcept = nullptr;
  // Null where panels are the rows of the matrix as they lie in its file, the last of them short
  // and none of them aligned to more than an element.
  void (*pack_panel)(const PanelSource& source, std::byte* panel) noexcept = nullptr;
  void (*linear)(const PackedLinearArgs& args) noexcept = nullptr;
  // Null where the table has none. Meant for many rows.
  void (*gated_linear)(const PackedGatedArgs& args) noexcept = nullptr;
};

}  // namespace inferneo::kernels
