// IQ4_XS: 256 elements in 136 bytes: f16 unit of the scales, 2 bytes of the high 2 bits of 6-bit
// scales with an offset of 32 for groups of 32, 4 bytes of their low 4 bits, 128 bytes of 4-bit
// indices into a codebook, 16 bytes a group.
#include "tensor/quant/iq4_codebook.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 256;
constexpr int kSize = 136;
constexpr int kHighAt = 2;
constexpr int kLowAt = 4;
constexpr int kCodesAt = 8;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    const float unit = load_f16(block);
    const int high_bits = load<std::uint16_t>(block + kHighAt);
    for (int g = 0; g < 8; ++g) {
      const int low = (block[kLowAt + g / 2] >> (4 * (g % 2))) & 15;
      const int high = (high_bits >> (2 * g)) & 3;
      out.scales[8 * i + g] = unit * static_cast<float>((low | high << 4) - 32);
      unpack_iq4(block + kCodesAt + 16 * g, out.codes + i * kElements + 32 * g);
    }
  }
  clear_mins(out, k / 32);
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    float scales[8];
    for (int g = 0; g < 8; ++g) scales[g] = signed_extreme(x + 32 * g, 32) / -127.F;
    const float unit = store_f16(block, signed_extreme(scales, 8) / -32.F);
    const float unit_inverse = inverse_or_zero(unit);
    int high_bits = 0;
    std::memset(block + kLowAt, 0, 4);
    for (int g = 0; g < 8; ++g) {
      // Why away from zero: the scale then reaches the group's largest element.
      const float level = scales[g] * unit_inverse;
      const float away = level < 0.F ? std::floor(level) : std::ceil(level);
      const int stored = nearest_within(away, -32, 31) + 32;
      std::uint8_t& low = block[kLowAt + g / 2];
      low = static_cast<std::uint8_t>(low | (stored & 15) << (4 * (g % 2)));
      high_bits |= (stored >> 4) << (2 * g);
      pack_iq4(x + 32 * g,
               inverse_or_zero(unit * static_cast<float>(stored - 32)),
               block + kCodesAt + 16 * g);
    }
    store(block + kHighAt, static_cast<std::uint16_t>(high_bits));
  }
}

}  // namespace

extern const QuantFormat kIq4Xs;
const QuantFormat kIq4Xs = {
    .dtype = DType::kIq4Xs,
    .ggml_type = 23,
    .group = 32,
    .bits = 4,
    .has_min = false,
    .codebook = kIq4Codebook,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
