// Q4_K: 256 elements in 144 bytes: f16 unit of the scales, f16 unit of the minimums, 12 bytes of
// 6-bit scales and minimums of groups of 32, 128 bytes of 4-bit codes. Each 32 bytes of codes hold
// 64 elements, the first 32 in the low halves.
#include "tensor/quant/affine_fit.h"
#include "tensor/quant/six_bit_levels.h"

namespace inferneo::tensor {
namespace {

constexpr int kSize = 144;
constexpr int kLevelsAt = 4;
constexpr int kCodesAt = 16;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kSuperBlock; ++i, block += kSize) {
    unpack_six_bit_levels(block + kLevelsAt,
                          load_f16(block),
                          load_f16(block + 2),
                          out.scales + 8 * i,
                          out.mins + 8 * i);
    for (int j = 0; j < 4; ++j) {
      unpack_nibbles<32, 0>(block + kCodesAt + 32 * j, out.codes + i * kSuperBlock + 64 * j);
    }
  }
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kSuperBlock; ++i, block += kSize, x += kSuperBlock) {
    AffineFit fit;
    fit_affine(x, 32, 15, 63, block, block + 2, fit);
    pack_six_bit_levels(fit.scale_levels, fit.min_levels, block + kLevelsAt);
    for (int j = 0; j < 4; ++j) {
      pack_nibbles<32>(fit.codes + 64 * j, block + kCodesAt + 32 * j);
    }
  }
}

}  // namespace

extern const QuantFormat kQ4_K;
const QuantFormat kQ4_K = {
    .dtype = DType::kQ4_K,
    .ggml_type = 12,
    .group = 32,
    .bits = 4,
    .has_min = true,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
