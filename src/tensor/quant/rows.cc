// Rows of any type to f32 and back, over the table of formats.
// The build compiles this file without contraction of multiplications and additions into one
// operation: the reference rounds each.
#include "base/check.h"
#include "tensor/quant/block.h"

namespace inferneo::tensor {
namespace {

// Elements unpacked at a time: one super-block, which every block size divides.
constexpr std::int64_t kChunk = 256;

// Why restrict: codes are bytes, which may alias anything; without it nothing is vectorised.
template <int group>
inline void scale_group(const std::int8_t* __restrict codes, float scale, float* __restrict out) {
  for (int i = 0; i < group; ++i) out[i] = scale * static_cast<float>(codes[i]);
}

template <int group>
void scale_codes(const UnpackedRow& row, bool has_min, std::int64_t group_count, float* out) {
  for (std::int64_t g = 0; g < group_count; ++g) {
    float* elements = out + g * group;
    scale_group<group>(row.codes + g * group, row.scales[g], elements);
    // Why not always: adding a zero would turn -0 into 0.
    if (!has_min) continue;
    const float min = row.mins[g];
    for (int i = 0; i < group; ++i) elements[i] += min;
  }
}

void dequantize_blocks(const QuantFormat& format,
                       const std::byte* row,
                       std::int64_t k,
                       float* out) {
  alignas(64) std::int8_t codes[kChunk];
  alignas(64) float scales[kChunk / 16];
  alignas(64) float mins[kChunk / 16];
  const UnpackedRow chunk = {codes, scales, mins};
  const std::size_t chunk_size =
      static_cast<std::size_t>(kChunk / dtype_block_elements(format.dtype)) *
      dtype_block_size(format.dtype);
  for (std::int64_t begin = 0; begin < k; begin += kChunk, row += chunk_size) {
    const std::int64_t count = std::min(kChunk, k - begin);
    format.unpack(row, count, chunk);
    if (format.group == 16) {
      scale_codes<16>(chunk, format.has_min, count / 16, out + begin);
    } else {
      scale_codes<32>(chunk, format.has_min, count / 32, out + begin);
    }
  }
}

// Rows of a mapped file need not be aligned to their elements, so they are copied in chunks.
template <float (*convert)(std::uint16_t) noexcept>
void widen(const std::byte* row, std::int64_t k, float* out) {
  constexpr std::int64_t kLanes = 16;  // a constant count is what the compiler vectorises
  std::uint16_t halves[kLanes];
  std::int64_t begin = 0;
  for (; begin + kLanes <= k; begin += kLanes) {
    std::memcpy(halves, row + 2 * begin, sizeof(halves));
    for (std::int64_t i = 0; i < kLanes; ++i) out[begin + i] = convert(halves[i]);
  }
  for (; begin < k; ++begin) out[begin] = convert(load<std::uint16_t>(octets(row) + 2 * begin));
}

template <std::uint16_t (*convert)(float) noexcept>
void narrow(const float* x, std::int64_t k, std::byte* row) {
  for (std::int64_t i = 0; i < k; ++i) store(octets(row) + 2 * i, convert(x[i]));
}

}  // namespace

const QuantFormat* find_quant_format(DType dtype) {
  for (const QuantFormat* format : quant_format_table()) {
    if (format->dtype == dtype) return format;
  }
  return nullptr;
}

void dequantize_row(DType dtype, const std::byte* row, std::int64_t k, float* out) noexcept {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, row, static_cast<std::size_t>(k) * sizeof(float));
      return;
    case DType::kF16:
      return widen<f16_to_f32>(row, k, out);
    case DType::kBf16:
      return widen<bf16_to_f32>(row, k, out);
    default: {
      const QuantFormat* format = find_quant_format(dtype);
      CHECK(format != nullptr);
      return dequantize_blocks(*format, row, k, out);
    }
  }
}

void quantize_row(DType dtype, const float* x, std::int64_t k, std::byte* row) noexcept {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(row, x, static_cast<std::size_t>(k) * sizeof(float));
      return;
    case DType::kF16:
      return narrow<f32_to_f16>(x, k, row);
    case DType::kBf16:
      return narrow<f32_to_bf16>(x, k, row);
    default: {
      const QuantFormat* format = find_quant_format(dtype);
      CHECK(format != nullptr);
      return format->pack(x, k, row);
    }
  }
}

}  // namespace inferneo::tensor
