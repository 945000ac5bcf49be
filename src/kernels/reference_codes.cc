// Products of matrices of codes in plain loops. They do the arithmetic that every other table does,
// operation by operation, so that all tables give the same bits.
#include "kernels/reference_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/cpu/codes_pack.h"
#include "kernels/kernel_table.h"

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/codes_layout-inl.h"

// Bound: below this magnitude 127 / largest could overflow, and the elements count as zeros.
constexpr float kTiny = 0x1p-100F;

void quantize_block(const float* x, InputBlock* block) {
  *block = {};
  bool finite = true;
  float largest = 0;
  for (std::int64_t i = 0; i < kBlockK; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::max(largest, std::abs(x[i]));
  }
  if (!finite) block->scale = std::numeric_limits<float>::quiet_NaN();
  if (!finite || largest < kTiny) return;
  block->scale = largest / 127;
  const float inverse = 127 / largest;
  for (std::int64_t i = 0; i < kBlockK; ++i) {
    block->codes[i] = static_cast<std::int8_t>(std::lrint(x[i] * inverse));  // ties to even
    block->half_offsets[i / 16] -= 128 * block->codes[i];
  }
  block->offset = block->half_offsets[0] + block->half_offsets[1];
}

// One output's row of a panel.
template <typename Format>
struct PanelRow {
  const std::byte* panel;
  std::int64_t row;
  std::int64_t k;
  const std::int8_t* codebook;

  [[nodiscard]] int code(std::int64_t i) const {
    constexpr std::int64_t kStep = Format::kBits == 8 ? 4 : 8;
    const std::int64_t line = codes_at<Format>(i / kBlockK) + i % kBlockK / kStep * kLineBytes;
    const auto byte = std::to_integer<int>(panel[line + row * 4 + i % 4]);
    if constexpr (Format::kBits == 8) return byte - 128;
    const int half = i % 8 < 4 ? byte & 15 : byte >> 4;
    if constexpr (Format::kHasCodebook) return codebook[half];
    return Format::kHasMin ? half : half - 8;
  }
  [[nodiscard]] float factor() const { return read<float>(row * 4); }
  [[nodiscard]] float scale(std::int64_t block, std::int64_t group) const {
    return half(scales_at<Format>(block) + group * Format::kGroupScales);
  }
  [[nodiscard]] float min(std::int64_t block, std::int64_t group) const {
    return half(mins_at<Format>(block) + group * Format::kGroupScales);
  }
  template <typename T>
  [[nodiscard]] T read(std::int64_t at) const {
    T value;
    std::memcpy(&value, panel + at, sizeof(value));
    return value;
  }
  [[nodiscard]] float half(std::int64_t at) const {
    const auto bits = read<F16>(at + row * 2);
    float value = 0;
    reference_table().f16_to_f32(&bits, &value, 1);
    return value;
  }
};

template <typename Format>
float dot(const PanelRow<Format>& w, const InputBlock* x) {
  float sum = 0;
  for (std::int64_t block = 0; block < w.k / kBlockK; ++block, ++x) {
    for (std::int64_t group = 0; group < Format::kGroupsPerBlock; ++group) {
      int products = 0;
      for (std::int64_t i = group * Format::kGroup; i < (group + 1) * Format::kGroup; ++i) {
        products += w.code(block * kBlockK + i) * x->codes[i];
      }
      float scaled = static_cast<float>(products) * w.scale(block, group);
      if constexpr (Format::kHasMin) {
        const int offset = Format::kGroup == 32 ? x->offset : x->half_offsets[group];
        scaled = std::fma(static_cast<float>(products),
                          w.scale(block, group),
                          static_cast<float>(offset) * w.min(block, group));
      }
      sum = std::fma(scaled, x->scale, sum);
    }
  }
  return sum * w.factor();
}

template <typename Format>
void codes_linear(const PackedLinearArgs& args) noexcept {
  const auto* inputs = static_cast<const InputBlock*>(args.inputs);
  for (std::int64_t n = args.n_begin; n < args.n_end; ++n) {
    const std::byte* panel = args.panels + n / kPanelOutputs * panel_bytes<Format>(args.k);
    const PanelRow<Format> w{panel, n % kPanelOutputs, args.k, args.codebook};
    for (std::int64_t m = 0; m < args.m; ++m) {
      float sum = dot(w, inputs + m * (args.k / kBlockK));
      if (args.bias != nullptr) sum += args.bias[n];
      float& y = args.y[m * args.y_stride + n];
      y = args.accumulate ? y + sum : sum;
    }
  }
}

#include "kernels/cpu/codes_ops-inl.h"

}  // namespace

const MatrixOps* reference_codes_ops(const MatrixFormat& format) noexcept {
  return codes_matrix_ops(format);
}

}  // namespace inferneo::kernels
