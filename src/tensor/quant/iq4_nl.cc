// IQ4_NL: 32 elements in 18 bytes: f16 scale, 16 bytes of 4-bit indices into a codebook.
#include "tensor/quant/iq4_codebook.h"

namespace inferneo::tensor {
namespace {

constexpr int kElements = 32;
constexpr int kSize = 18;

void unpack(const std::byte* blocks, std::int64_t k, const UnpackedRow& out) noexcept {
  const std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize) {
    out.scales[i] = load_f16(block);
    unpack_iq4(block + 2, out.codes + i * kElements);
  }
  clear_mins(out, k / kElements);
}

void pack(const float* x, std::int64_t k, std::byte* blocks) noexcept {
  std::uint8_t* block = octets(blocks);
  for (std::int64_t i = 0; i < k / kElements; ++i, block += kSize, x += kElements) {
    const float scale = store_f16(block, signed_extreme(x, kElements) / -127.F);
    pack_iq4(x, inverse_or_zero(scale), block + 2);
  }
}

}  // namespace

extern const QuantFormat kIq4Nl;
const QuantFormat kIq4Nl = {
    .dtype = DType::kIq4Nl,
    .ggml_type = 20,
    .group = 32,
    .bits = 4,
    .has_min = false,
    .codebook = kIq4Codebook,
    .unpack = unpack,
    .pack = pack,
};

}  // namespace inferneo::tensor
