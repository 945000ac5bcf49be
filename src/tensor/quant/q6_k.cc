// Q6_K: 256 elements in 210 bytes: 128 bytes of the low 4 bits, 64 bytes of the high 2 bits, 16
// signed scales of groups of 16, f16 unit of the scales; codes have an offset of 32. Each half of
// 128 elements has 64 bytes of low bits (its first 64 elements in the low halves) and 32 bytes of
// high bits (32 elements in the lowest bits, the next 32 in the next, and so on).
#include "tensor/quant/signed_fit.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 256;
constexpr int kSize = 210;
constexpr int kHighAt = 128;
constexpr int kScalesAt = 192;
constexpr int kUnitAt = 208;

template <int low_shift, int high_shift>
inline void unpack_quarter(const std::uint8_t* __restrict low,
                           const std::uint8_t* __restrict high,
                           std::int8_t* __restrict codes) {
  for (int i = 0; i < 32; ++i) {
    const int upper = (high[i] >> high_shift) & 3;
    codes[i] = static_cast<std::int8_t>((((low[i] >> low_shift) & 15) | upper << 4) - 32);
  }
}

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    const float unit = load_f16(block + kUnitAt);
    for (int g = 0; g < 16; ++g) {
      const auto level = load<std::int8_t>(block + kScalesAt + g);
      out.scales[16 * i + g] = unit * static_cast<float>(level);
    }
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* low = block + 64 * half;
      const std::uint8_t* high = block + kHighAt + 32 * half;
      std::int8_t* codes = out.codes + i * kElements + 128 * half;
      unpack_quarter<0, 0>(low, high, codes);
      unpack_quarter<0, 2>(low + 32, high, codes + 32);
      unpack_quarter<4, 4>(low, high, codes + 64);
      unpack_quarter<4, 6>(low + 32, high, codes + 96);
    }
  }
  clear_mins(out, k / 16);
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    std::memset(block, 0, kSize);
    SignedFit fit;
    fit_signed(x, -32, -128, block + kUnitAt, fit);
    std::memcpy(block + kScalesAt, fit.levels, sizeof(fit.levels));
    const auto put = [&](int at, int bits) {
      block[at] = static_cast<std::uint8_t>(block[at] | bits);
    };
    for (int j = 0; j < kElements; ++j) {
      const int code = fit.codes[j] + 32;
      const int half = j / 128;
      put(64 * half + j % 64, (code & 15) << (j % 128 < 64 ? 0 : 4));
      put(kHighAt + 32 * half + j % 32, (code >> 4) << (2 * (j % 128 / 32)));
    }
  }
}

}  // namespace

extern const QuantFormat kQ6_K;
const QuantFormat kQ6_K = {
    .dtype = DType::kQ6_K,
    .ggml_type = 14,
    .group = 16,
    .bits = 8,
    .has_min = false,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
