// The hot operations as a plain struct of function pointers, one table per instruction set. The
// scalar reference table is written to be obviously right; every other table is tested against it.
//
// Rules for every kernel: noexcept, allocates nothing, logs nothing, reads and writes only what its
// arguments name. Pointers need no alignment beyond their element type.
// Invariant: an output element depends only on its own inputs, in a fixed order of additions. It is
// bit-identical for any batch size, tile position, chunking or split of the work between threads.
// Thread: any; the caller splits the work.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/activation.h"
#include "kernels/matrix_ops.h"

namespace inferneo::kernels {

using Bf16 = std::uint16_t;  // upper half of an IEEE-754 binary32
using F16 = std::uint16_t;   // IEEE-754 binary16

// y[m][n] = sum_k x[m][k] * w[n][k] (+ bias[n]) (+ y[m][n] when accumulate), n in [n_begin, n_end).
// Weights stay in their file layout: one row of k elements per output.
struct LinearArgs {
  const void* x = nullptr;      // Shape: [m][x_stride], element type by entry
  const void* w = nullptr;      // Shape: [n][k] contiguous, element type by entry
  const float* bias = nullptr;  // Shape: [n], or null
  float* y = nullptr;           // Shape: [m][y_stride]
  std::int64_t m = 0;
  std::int64_t n_begin = 0;
  std::int64_t n_end = 0;
  std::int64_t k = 0;
  std::int64_t x_stride = 0;  // elements
  std::int64_t y_stride = 0;  // elements
  bool accumulate = false;
};
using LinearFn = void (*)(const LinearArgs&) noexcept;

// Attention takes keys in ranges that begin at multiples of this, and merges the ranges' results in
// order. Why a constant: the ranges decide about the order of additions, so they depend on nothing
// but the position. Why 1024: enough to make a merge cheap, few enough to give each thread work.
inline constexpr std::int32_t kAttentionRange = 1024;

// No bound on how far a row sees.
inline constexpr std::int32_t kUnlimitedReach = 1 << 30;

// Softmax attention of one sequence's query rows against its paged keys and values, for one
// key/value head and all query heads that share it, in one pass (online softmax); no score matrix.
// Query row i has position p = context_before + i and sees the keys from p - reach_before to
// p + reach_after that exist, which are 0 .. key_count - 1. Its own is always among them.
// Key/value element (block b, slot t, dim d) of the head is at
//   cache + ((blocks[b] * kv_heads + kv_head) * block_size + t) * head_dim + d.
struct AttentionArgs {
  const float* q = nullptr;  // Shape: [rows][q_stride], head h at offset h * head_dim; rope applied
  const void* k_cache = nullptr;  // this layer's keys; element type by entry
  const void* v_cache = nullptr;
  // Of int8 caches: element = scale * code. Shape: [block][kv_heads][block_size]
  const float* k_scales = nullptr;
  const float* v_scales = nullptr;
  const std::uint32_t* blocks = nullptr;  // block table of the sequence
  float* out = nullptr;                   // Shape: [rows][out_stride], laid out like q
  std::int64_t q_stride = 0;              // elements
  std::int64_t out_stride = 0;
  std::int32_t row_begin = 0;  // rows [row_begin, row_end) of this sequence's chunk
  std::int32_t row_end = 0;
  std::int32_t context_before = 0;  // position of row 0
  std::int32_t kv_head = 0;
  std::int32_t kv_heads = 0;
  std::int32_t group = 0;  // query heads per key/value head
  std::int32_t head_dim = 0;
  std::int32_t block_size = 0;
  float scale = 0;  // usually 1 / sqrt(head_dim)
  std::int32_t reach_before = kUnlimitedReach;
  std::int32_t reach_after = 0;
  std::int32_t key_count = kUnlimitedReach;
  float soft_cap = 0;  // where set, a scaled score s becomes soft_cap * tanh(s / soft_cap)
  // ALiBi: slopes[head] * (position of key - position of row) is added to a score. Shape: [heads],
  // or null.
  const float* slopes = nullptr;
  // Scores of a key for each head whose value is zero. Shape: [heads], or null.
  const float* sinks = nullptr;
  float* scratch = nullptr;  // attention_scratch_floats(head_dim, group) floats, per thread
  // Where set, only ranges [range_begin, range_end) are computed, and the result of range r goes to
  // partials + r * attention_partial_floats(rows * group, head_dim) instead of out. When all ranges
  // of the call's last row are there, attention_merge makes out of them, with the bits of a call
  // without partials.
  float* partials = nullptr;
  std::int32_t range_begin = 0;
  std::int32_t range_end = 0;
  // Partials begin with this range instead of the first, of which and of those before it no row of
  // the call sees a key but in this one.
  std::int32_t partials_begin = 0;
};
using AttentionFn = void (*)(const AttentionArgs&) noexcept;

// Floats of scratch that any table's attention needs.
std::int64_t attention_scratch_floats(std::int32_t head_dim, std::int32_t group);
// Floats of the result of one range for this many queries (a head of a row is a query).
std::int64_t attention_partial_floats(std::int64_t query_count, std::int32_t head_dim);

struct KernelTable {
  const char* name = nullptr;  // "reference", "avx2", "avx512", ...

  // Named <activation type>_<weight type>. Accumulation is in f32.
  LinearFn linear_f32_f32 = nullptr;
  LinearFn linear_f32_f16 = nullptr;
  LinearFn linear_f32_bf16 = nullptr;

  // Products of packed matrices of a format; null where this table does not pack it (the entry as a
  // whole may be null).
  const MatrixOps* (*matrix_ops)(const MatrixFormat& format) noexcept = nullptr;

  AttentionFn attention_f32 = nullptr;  // f32 keys and values
  // f16 keys and values. A table may round scaled queries and softmax weights to f16 (relative
  // error up to 2^-11), where the sums are f32 all the same.
  AttentionFn attention_f16 = nullptr;
  // The same where queries and weights keep 18 bits at least, for models whose matrices round no
  // more than that either. A key that is not finite may make NaN of the outputs of any query that
  // sees it.
  AttentionFn attention_f16_fine = nullptr;
  AttentionFn attention_bf16 = nullptr;
  // int8 keys and values with one scale a row. As attention_f16, a table may round, values too.
  AttentionFn attention_i8 = nullptr;
  // Merges the partials of ranges 0 .. of the call's last row and writes out.
  AttentionFn attention_merge = nullptr;

  // y[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps), one row of n.
  void (*rms_norm)(
      const float* x, const float* weight, float eps, float* y, std::int64_t n) noexcept;
  // y[i] = (x[i] - mean(x)) * weight[i] / sqrt(variance(x) + eps) + bias[i], one row of n. A null
  // weight is 1, a null bias 0.
  void (*layer_norm)(const float* x,
                     const float* weight,
                     const float* bias,
                     float eps,
                     float* y,
                     std::int64_t n) noexcept;
  // Rotates pairs (i, i + rotary_dim/2) of each head in place. Shape: x [heads][head_dim],
  // cos and sin [rotary_dim/2] of the row's position. Spec: RoFormer, half-split layout of HF.
  void (*rope)(float* x,
               const float* cos,
               const float* sin,
               std::int64_t heads,
               std::int64_t head_dim,
               std::int64_t rotary_dim) noexcept;
  // As rope, with pairs (2i, 2i + 1): the layout of RoFormer itself, and of GGUF files.
  void (*rope_adjacent)(float* x,
                        const float* cos,
                        const float* sin,
                        std::int64_t heads,
                        std::int64_t head_dim,
                        std::int64_t rotary_dim) noexcept;
  // y[i] = activation(x[i]) * factor[i]; a null factor is 1. y may be x.
  void (*activate)(Activation activation,
                   const float* x,
                   const float* factor,
                   float* y,
                   std::int64_t n) noexcept;
  // y[i] = cap * tanh(x[i] / cap); y may be x.
  void (*soft_cap)(const float* x, float cap, float* y, std::int64_t n) noexcept;
  void (*add)(const float* a, const float* b, float* y, std::int64_t n) noexcept;

  // Round to nearest even, to infinity what is too large; NaN stays NaN.
  void (*f32_to_bf16)(const float* x, Bf16* y, std::int64_t n) noexcept;
  void (*f32_to_f16)(const float* x, F16* y, std::int64_t n) noexcept;
  void (*bf16_to_f32)(const Bf16* x, float* y, std::int64_t n) noexcept;
  void (*f16_to_f32)(const F16* x, float* y, std::int64_t n) noexcept;
  // y[i] = x[i] / *scale, rounded to nearest even, with the scale that takes the largest magnitude
  // to 127. Rows whose magnitudes stay below 1e-30 become zeros. The scale of a row with an element
  // that is not finite is NaN.
  void (*f32_to_i8)(const float* x, std::int8_t* y, float* scale, std::int64_t n) noexcept;

  // Index of the largest element, the lowest index of equals. *all_finite is false when any element
  // is NaN or infinite (then the index has no meaning).
  std::int64_t (*argmax)(const float* x, std::int64_t n, bool* all_finite) noexcept;
  // log(sum(exp(x))) with the maximum taken out.
  float (*log_sum_exp)(const float* x, std::int64_t n) noexcept;

  // Keep the table's fastest multiply-adds of f32 and bf16 operands busy on registers alone,
  // without loads, and return the floating-point operations done: the limits that products are
  // compared with. One round is a few nanoseconds to a microsecond.
  double (*spin_f32)(std::int64_t rounds) noexcept;
  double (*spin_bf16)(std::int64_t rounds) noexcept;
  // The same with operands of bf16 products loaded for each step; null where that is no slower.
  double (*spin_bf16_loaded)(std::int64_t rounds) noexcept = nullptr;
  // As the first two for the dot product vdpbf16ps; null on tables for processors without it.
  double (*spin_bf16_dot)(std::int64_t rounds) noexcept = nullptr;
  // The same for products of bytes that matrices of codes are made of; null where there are none.
  double (*spin_int8)(std::int64_t rounds) noexcept = nullptr;
};

const KernelTable& reference_table();

// Tables this program holds that the running processor supports, slowest first; the reference table
// is always the first.
std::span<const KernelTable* const> supported_tables();

// The fastest supported table, or the one that `name` asks for ("" for the fastest). Null when the
// name is unknown or not supported here.
const KernelTable* find_table(const char* name);

}  // namespace inferneo::kernels
