// Q5_1: 32 elements in 24 bytes: f16 scale, f16 minimum, 4 bytes of fifth bits, 16 bytes of the low
// 4 bits, elements 0 .. 15 in the low halves and 16 .. 31 in the high ones.
#include "tensor/quant/block.h"
#include "tensor/quant/fifth_bits.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 32;
constexpr int kSize = 24;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = load_f16(block);
    out.mins[i] = load_f16(block + 2);
    unpack_nibbles<16, 0>(block + 8, out.codes + i * kElements);
    add_fifth_bits(block + 4, out.codes + i * kElements);
  }
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    const auto [low, high] = std::minmax_element(x, x + kElements);
    const float scale = (*high - *low) / 31.F;
    const float inverse = inverse_or_zero(scale);
    std::uint8_t codes[kElements];
    for (int j = 0; j < kElements; ++j) {
      codes[j] = static_cast<std::uint8_t>(nearest_within((x[j] - *low) * inverse, 0, 31));
    }
    store_f16(block, scale);
    store_f16(block + 2, *low);
    pack_fifth_bits(codes, block + 4);
    pack_nibbles<16>(codes, block + 8);
  }
}

}  // namespace

extern const QuantFormat kQ5_1;
const QuantFormat kQ5_1 = {
    .dtype = DType::kQ5_1,
    .ggml_type = 7,
    .group = 32,
    .bits = 8,
    .has_min = true,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
