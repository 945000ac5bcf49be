// Q4_1: 32 elements in 20 bytes: f16 scale, f16 minimum, 16 bytes of 4-bit codes, elements 0 .. 15
// in the low halves and 16 .. 31 in the high ones.
#include "tensor/quant/block.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 32;
constexpr int kSize = 20;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = load_f16(block);
    out.mins[i] = load_f16(block + 2);
    unpack_nibbles<16, 0>(block + 4, out.codes + i * kElements);
  }
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    const auto [low, high] = std::minmax_element(x, x + kElements);
    const float scale = (*high - *low) / 15.F;
    const float inverse = inverse_or_zero(scale);
    std::uint8_t codes[kElements];
    for (int j = 0; j < kElements; ++j) {
      codes[j] = static_cast<std::uint8_t>(nearest_within((x[j] - *low) * inverse, 0, 15));
    }
    store_f16(block, scale);
    store_f16(block + 2, *low);
    pack_nibbles<16>(codes, block + 4);
  }
}

}  // namespace

extern const QuantFormat kQ4_1;
const QuantFormat kQ4_1 = {
    .dtype = DType::kQ4_1,
    .ggml_type = 3,
    .group = 32,
    .bits = 4,
    .has_min = true,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
