// The 16 values of IQ4_NL and IQ4_XS, and groups of 32 of their codes in 16 bytes: elements 0 .. 15
// in the low halves, 16 .. 31 in the high ones.
// Thread: any (constants and pure functions).
#pragma once

#include "tensor/quant/block.h"

namespace inferneo::tensor {

inline constexpr std::int8_t kIq4Codebook[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

inline void unpack_iq4(const std::uint8_t* __restrict bytes, std::int8_t* __restrict codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = kIq4Codebook[bytes[i] & 15];
    codes[16 + i] = kIq4Codebook[bytes[i] >> 4];
  }
}

// The nearest value of the codebook for each x * inverse_scale.
inline void pack_iq4(const float* x, float inverse_scale, std::uint8_t* bytes) {
  std::uint8_t indices[32];
  for (int i = 0; i < 32; ++i) {
    const float code = x[i] * inverse_scale;
    int index = 0;
    while (index < 15 &&
           2.F * code > static_cast<float>(kIq4Codebook[index] + kIq4Codebook[index + 1])) {
      ++index;
    }
    indices[i] = static_cast<std::uint8_t>(index);
  }
  pack_nibbles<16>(indices, bytes);
}

}  // namespace inferneo::tensor
