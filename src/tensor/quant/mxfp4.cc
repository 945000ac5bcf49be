// MXFP4: 32 elements in 17 bytes: a power of two, then 16 bytes of 4-bit elements, the first half
// of them in the low halves. Codes are the elements times two.
#include "tensor/quant/mxfp4.h"

#include "tensor/quant/block.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = kMxfp4Elements;
constexpr int kSize = kMxfp4Size;
constexpr int kBytes = kElements / 2;

// Magnitudes of the codes; the highest bit of an element is its sign.
constexpr std::int8_t kMagnitudes[8] = {0, 1, 2, 3, 4, 6, 8, 12};
constexpr std::int8_t kCodes[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
// The same in order, for kernels that look codes up.
constexpr std::int8_t kCodebook[16] = {-12, -8, -6, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4, 6, 8, 12};

// The value of code 1 under the power that `byte` says: 2^(byte - 128), a denormal for 0 and 1.
// Spec: ggml, ggml_e8m0_to_fp32_half; 255, which the OCP leaves undefined, goes on as a number.
float unit_of(std::uint8_t byte) {
  return std::bit_cast<float>(byte < 2 ? 0x00200000U << byte : (byte - 1U) << 23);
}

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = unit_of(block[0]);
    std::int8_t* codes = out.codes + i * kElements;
    for (int j = 0; j < kBytes; ++j) {
      codes[j] = kCodes[block[1 + j] & 15];
      codes[kBytes + j] = kCodes[block[1 + j] >> 4];
    }
  }
  clear_mins(out, k / kElements);
}

// The power under which the largest element is from 4 to below 8; the largest number is 6.
std::uint8_t power_of(float largest) {
  if (largest == 0) return 0;
  const int exponent = std::isfinite(largest) ? std::ilogb(largest) : 127;
  return static_cast<std::uint8_t>(std::clamp(exponent - 2 + 127, 0, 254));
}

std::uint8_t nearest_element(float code) {
  const float magnitude = std::fabs(code);
  std::uint8_t index = 0;
  while (index < 7 &&
         2.F * magnitude > static_cast<float>(kMagnitudes[index] + kMagnitudes[index + 1])) {
    ++index;
  }
  return static_cast<std::uint8_t>(std::signbit(code) ? index | 8 : index);
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    block[0] = power_of(std::fabs(signed_extreme(x, kElements)));
    std::uint8_t elements[kElements];
    for (int j = 0; j < kElements; ++j) {
      elements[j] = nearest_element(std::ldexp(x[j], 128 - block[0]));
    }
    pack_nibbles<kBytes>(elements, block + 1);
  }
}

}  // namespace

void join_mxfp4(const std::byte* blocks,
                const std::byte* powers,
                std::int64_t count,
                std::byte* out) noexcept {
  const std::uint8_t* from = octets(blocks);
  std::uint8_t* to = octets(out);
  for (std::int64_t i = 0; i < count; ++i, from += kMxfp4ApartSize, to += kSize) {
    to[0] = octets(powers)[i];
    std::uint8_t elements[kElements];
    for (int j = 0; j < kBytes; ++j) {
      elements[2 * j] = from[j] & 15;
      elements[2 * j + 1] = from[j] >> 4;
    }
    pack_nibbles<kBytes>(elements, to + 1);
  }
}

extern const QuantFormat kMxfp4;
const QuantFormat kMxfp4 = {
    .dtype = DType::kMxfp4,
    .ggml_type = 39,
    .group = 32,
    .bits = 4,
    .has_min = false,
    .codebook = kCodebook,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
