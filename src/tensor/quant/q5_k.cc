// Q5_K: 256 elements in 176 bytes: f16 unit of the scales, f16 unit of the minimums, 12 bytes of
// 6-bit scales and minimums of groups of 32, 32 bytes of fifth bits, 128 bytes of the low 4 bits.
// Each 32 bytes of low bits hold 64 elements, the first 32 in the low halves; bit g of fifth byte i
// is of element i of group g.
#include "tensor/quant/affine_fit.h"
#include "tensor/quant/six_bit_levels.h"

namespace inferneo::tensor {
namespace {

constexpr int kSize = 176;
constexpr int kLevelsAt = 4;
constexpr int kFifthAt = 16;
constexpr int kLowAt = 48;

inline void unpack_pair(const std::uint8_t* __restrict low,
                        const std::uint8_t* __restrict fifth,
                        int group,
                        std::int8_t* __restrict codes) {
  for (int i = 0; i < 32; ++i) {
    codes[i] = static_cast<std::int8_t>((low[i] & 15) | ((fifth[i] >> group) & 1) << 4);
  }
  for (int i = 0; i < 32; ++i) {
    codes[32 + i] = static_cast<std::int8_t>((low[i] >> 4) | ((fifth[i] >> (group + 1)) & 1) << 4);
  }
}

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kSuperBlock; ++i, block += kSize) {
    unpack_six_bit_levels(block + kLevelsAt,
                          load_f16(block),
                          load_f16(block + 2),
                          out.scales + 8 * i,
                          out.mins + 8 * i);
    for (int j = 0; j < 4; ++j) {
      unpack_pair(
          block + kLowAt + 32 * j, block + kFifthAt, 2 * j, out.codes + i * kSuperBlock + 64 * j);
    }
  }
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kSuperBlock; ++i, block += kSize, x += kSuperBlock) {
    AffineFit fit;
    fit_affine(x, 32, 31, 63, block, block + 2, fit);
    pack_six_bit_levels(fit.scale_levels, fit.min_levels, block + kLevelsAt);
    std::memset(block + kFifthAt, 0, 32);
    for (int j = 0; j < kSuperBlock; ++j) {
      std::uint8_t& fifth = block[kFifthAt + j % 32];
      fifth = static_cast<std::uint8_t>(fifth | (fit.codes[j] >> 4) << (j / 32));
    }
    for (int j = 0; j < 4; ++j) pack_nibbles<32>(fit.codes + 64 * j, block + kLowAt + 32 * j);
  }
}

}  // namespace

extern const QuantFormat kQ5_K;
const QuantFormat kQ5_K = {
    .dtype = DType::kQ5_K,
    .ggml_type = 13,
    .group = 32,
    .bits = 8,
    .has_min = true,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
