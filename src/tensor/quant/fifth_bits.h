// The fifth bits of 32 codes in four bytes, bit i of them for element i: what Q5_0 and Q5_1 share.
// Thread: any (pure functions).
#pragma once

#include <cstdint>

namespace inferneo::tensor {

// codes[i] += 16 where bit i is set.
inline void add_fifth_bits(const std::uint8_t* __restrict bits, std::int8_t* __restrict codes) {
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 8; ++j) {
      codes[8 * i + j] = static_cast<std::int8_t>(codes[8 * i + j] + (((bits[i] >> j) & 1) << 4));
    }
  }
}

inline void pack_fifth_bits(const std::uint8_t* codes, std::uint8_t* bits) {
  for (int i = 0; i < 4; ++i) {
    bits[i] = 0;
    for (int j = 0; j < 8; ++j) {
      bits[i] = static_cast<std::uint8_t>(bits[i] | ((codes[8 * i + j] >> 4) & 1) << j);
    }
  }
}

}  // namespace inferneo::tensor
