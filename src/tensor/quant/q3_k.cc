// Q3_K: 256 elements in 110 bytes: 32 bytes of high bits, 64 bytes of the low 2 bits, 12 bytes of
// 6-bit scales with an offset of 32 for groups of 16, f16 unit of the scales. Codes are -4 .. 3.
// Low bits: each 32 bytes hold 128 elements, 32 in the lowest bits, the next 32 in the next, and so
// on. High bits: bit n of byte i is of element 32 n + i; set means not less than zero.
// Scales: scale g has its low 4 bits in byte g mod 8 (low half for g < 8) and its high 2 bits in
// byte 8 + g mod 4, shifted by 2 (g / 4).
#include "tensor/quant/signed_fit.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 256;
constexpr int kSize = 110;
constexpr int kLowAt = 32;
constexpr int kScalesAt = 96;
constexpr int kUnitAt = 108;

template <int low_shift>
inline void unpack_quarter(const std::uint8_t* __restrict low,
                           const std::uint8_t* __restrict high,
                           int high_shift,
                           std::int8_t* __restrict codes) {
  for (int i = 0; i < 32; ++i) {
    const int bit = (high[i] >> high_shift) & 1;
    codes[i] = static_cast<std::int8_t>(((low[i] >> low_shift) & 3) + 4 * bit - 4);
  }
}

void unpack_scales(const std::uint8_t* bytes, float unit, float* scales) {
  for (int g = 0; g < 16; ++g) {
    const int low = (bytes[g % 8] >> (g < 8 ? 0 : 4)) & 15;
    const int high = (bytes[8 + g % 4] >> (2 * (g / 4))) & 3;
    scales[g] = unit * static_cast<float>((low | high << 4) - 32);
  }
}

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    unpack_scales(block + kScalesAt, load_f16(block + kUnitAt), out.scales + 16 * i);
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* low = block + kLowAt + 32 * half;
      std::int8_t* codes = out.codes + i * kElements + 128 * half;
      unpack_quarter<0>(low, block, 4 * half, codes);
      unpack_quarter<2>(low, block, 4 * half + 1, codes + 32);
      unpack_quarter<4>(low, block, 4 * half + 2, codes + 64);
      unpack_quarter<6>(low, block, 4 * half + 3, codes + 96);
    }
  }
  clear_mins(out, k / 16);
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    std::memset(block, 0, kSize);
    SignedFit fit;
    fit_signed(x, -4, -32, block + kUnitAt, fit);
    const auto put = [&](int at, int bits) {
      block[at] = static_cast<std::uint8_t>(block[at] | bits);
    };
    for (int g = 0; g < 16; ++g) {
      const int level = fit.levels[g] + 32;
      put(kScalesAt + g % 8, (level & 15) << (g < 8 ? 0 : 4));
      put(kScalesAt + 8 + g % 4, (level >> 4) << (2 * (g / 4)));
    }
    for (int j = 0; j < kElements; ++j) {
      const int code = fit.codes[j] + 4;
      put(kLowAt + 32 * (j / 128) + j % 32, (code & 3) << (2 * (j % 128 / 32)));
      put(j % 32, (code >> 2) << (j / 32));
    }
  }
}

}  // namespace

extern const QuantFormat kQ3_K;
const QuantFormat kQ3_K = {
    .dtype = DType::kQ3_K,
    .ggml_type = 11,
    .group = 16,
    .bits = 4,
    .has_min = false,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
