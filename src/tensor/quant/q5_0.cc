// Q5_0: 32 elements in 22 bytes: f16 scale, 4 bytes of fifth bits, 16 bytes of the low 4 bits,
// elements 0 .. 15 in the low halves and 16 .. 31 in the high ones; codes have an offset of 16.
#include "tensor/quant/block.h"
#include "tensor/quant/fifth_bits.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 32;
constexpr int kSize = 22;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = load_f16(block);
    unpack_nibbles<16, 16>(block + 6, out.codes + i * kElements);
    add_fifth_bits(block + 2, out.codes + i * kElements);
  }
  clear_mins(out, k / kElements);
}

// The element of largest magnitude gets the code -16, as the reference has it.
void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    const float scale = signed_extreme(x, kElements) / -16.F;
    const float inverse = inverse_or_zero(scale);
    std::uint8_t codes[kElements];
    for (int j = 0; j < kElements; ++j) {
      codes[j] = static_cast<std::uint8_t>(nearest_within(x[j] * inverse + 16.F, 0, 31));
    }
    store_f16(block, scale);
    pack_fifth_bits(codes, block + 2);
    pack_nibbles<16>(codes, block + 6);
  }
}

}  // namespace

extern const QuantFormat kQ5_0;
const QuantFormat kQ5_0 = {
    .dtype = DType::kQ5_0,
    .ggml_type = 6,
    .group = 32,
    .bits = 8,
    .has_min = false,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
