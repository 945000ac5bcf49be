// Q8_0: 32 elements in 34 bytes: f16 scale, 32 signed codes.
#include "tensor/quant/block.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 32;
constexpr int kSize = 34;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = load_f16(block);
    std::memcpy(out.codes + i * kElements, block + 2, kElements);
  }
  clear_mins(out, k / kElements);
}

// Codes stay within -127 .. 127; halves round away from zero, as the reference has it.
void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    const float scale = std::fabs(signed_extreme(x, kElements)) / 127.F;
    const float inverse = inverse_or_zero(scale);
    store_f16(block, scale);
    for (int j = 0; j < kElements; ++j) {
      const int magnitude = nearest_within(std::fabs(x[j] * inverse), 0, 127);
      store(block + 2 + j, static_cast<std::int8_t>(x[j] < 0.F ? -magnitude : magnitude));
    }
  }
}

}  // namespace

extern const QuantFormat kQ8_0;
const QuantFormat kQ8_0 = {
    .dtype = DType::kQ8_0,
    .ggml_type = 8,
    .group = 32,
    .bits = 8,
    .has_min = false,
    .codebook = nullptr,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
