// Q4_0: 32 elements in 18 bytes: f16 scale, 16 bytes of 4-bit codes with an offset of 8, elements
// 0 .. 15 in the low halves and 16 .. 31 in the high ones.
#include "tensor/quant/block.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 32;
constexpr int kSize = 18;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = load_f16(block);
    unpack_nibbles<16, 8>(block + 2, out.codes + i * kElements);
  }
  clear_mins(out, k / kElements);
}

// The element of largest magnitude gets the code -8, as the reference has it.
void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    const float scale = signed_extreme(x, kElements) / -8.F;
    const float inverse = inverse_or_zero(scale);
    std::uint8_t codes[kElements];
    for (int j = 0; j < kElements; ++j) {
      codes[j] = static_cast<std::uint8_t>(nearest_within(x[j] * inverse + 8.F, 0, 15));
    }
    store_f16(block, scale);
    pack_nibbles<16>(codes, block + 2);
  }
}

}  // namespace

extern const QuantFormat kQ4_0;
const QuantFormat kQ4_0 = {
    .dtype = DType::kQ4_0,
    .ggml_type = 2,
    .group = 32,
    .bits = 4,
    .has_min = false,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
