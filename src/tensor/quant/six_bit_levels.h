// Eight 6-bit scales and eight 6-bit minimums in 12 bytes: what Q4_K and Q5_K share. Bytes 0 .. 3
// hold scales 0 .. 3 in their low 6 bits and bytes 4 .. 7 minimums 0 .. 3; bytes 8 .. 11 the low
// halves of scales 4 .. 7 (low) and minimums 4 .. 7 (high), whose upper 2 bits are on top of bytes
// 0 .. 3 and 4 .. 7.
// Thread: any (pure functions).
#pragma once

#include <cstdint>

namespace inferneo::tensor {

// scales[g] and mins[g] of group g, in units of the block; the minimums get a negative sign.
inline void unpack_six_bit_levels(
    const std::uint8_t* bytes, float scale_unit, float min_unit, float* scales, float* mins) {
  for (int g = 0; g < 4; ++g) {
    const int scale = bytes[g] & 63;
    const int min = bytes[4 + g] & 63;
    const int upper_scale = (bytes[8 + g] & 15) | (bytes[g] >> 6) << 4;
    const int upper_min = (bytes[8 + g] >> 4) | (bytes[4 + g] >> 6) << 4;
    scales[g] = scale_unit * static_cast<float>(scale);
    scales[4 + g] = scale_unit * static_cast<float>(upper_scale);
    mins[g] = -(min_unit * static_cast<float>(min));
    mins[4 + g] = -(min_unit * static_cast<float>(upper_min));
  }
}

inline void pack_six_bit_levels(const std::uint8_t* scales,
                                const std::uint8_t* mins,
                                std::uint8_t* bytes) {
  for (int g = 0; g < 4; ++g) {
    bytes[g] = static_cast<std::uint8_t>(scales[g] | (scales[4 + g] >> 4) << 6);
    bytes[4 + g] = static_cast<std::uint8_t>(mins[g] | (mins[4 + g] >> 4) << 6);
    bytes[8 + g] = static_cast<std::uint8_t>((scales[4 + g] & 15) | (mins[4 + g] & 15) << 4);
  }
}

}  // namespace inferneo::tensor
