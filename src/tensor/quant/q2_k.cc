// Q2_K: 256 elements in 84 bytes: 16 bytes with a 4-bit scale (low) and minimum (high) for each
// group of 16, 64 bytes of 2-bit codes, f16 unit of the scales, f16 unit of the minimums. Each
// 32 bytes of codes hold 128 elements: 32 in the lowest bits, the next 32 in the next, and so on.
#include "tensor/quant/affine_fit.h"

namespace inferneo::tensor {
namespace {

constexpr int kSize = 84;
constexpr int kCodesAt = 16;
constexpr int kScaleUnitAt = 80;
constexpr int kMinUnitAt = 82;

template <int shift>
inline void unpack_quarter(const std::uint8_t* __restrict bytes, std::int8_t* __restrict codes) {
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<std::int8_t>((bytes[i] >> shift) & 3);
}

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kSuperBlock; ++i, block += kSize) {
    const float scale_unit = load_f16(block + kScaleUnitAt);
    const float min_unit = load_f16(block + kMinUnitAt);
    for (int g = 0; g < 16; ++g) {
      out.scales[16 * i + g] = scale_unit * static_cast<float>(block[g] & 15);
      out.mins[16 * i + g] = -(min_unit * static_cast<float>(block[g] >> 4));
    }
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* bytes = block + kCodesAt + 32 * half;
      std::int8_t* codes = out.codes + i * kSuperBlock + 128 * half;
      unpack_quarter<0>(bytes, codes);
      unpack_quarter<2>(bytes, codes + 32);
      unpack_quarter<4>(bytes, codes + 64);
      unpack_quarter<6>(bytes, codes + 96);
    }
  }
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kSuperBlock; ++i, block += kSize, x += kSuperBlock) {
    AffineFit fit;
    fit_affine(x, 16, 3, 15, block + kScaleUnitAt, block + kMinUnitAt, fit);
    for (int g = 0; g < 16; ++g) {
      block[g] = static_cast<std::uint8_t>(fit.scale_levels[g] | fit.min_levels[g] << 4);
    }
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* codes = fit.codes + 128 * half;
      for (int j = 0; j < 32; ++j) {
        block[kCodesAt + 32 * half + j] = static_cast<std::uint8_t>(
            codes[j] | codes[32 + j] << 2 | codes[64 + j] << 4 | codes[96 + j] << 6);
      }
    }
  }
}

}  // namespace

extern const QuantFormat kQ2_K;
const QuantFormat kQ2_K = {
    .dtype = DType::kQ2_K,
    .ggml_type = 10,
    .group = 16,
    .bits = 4,
    .has_min = true,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
