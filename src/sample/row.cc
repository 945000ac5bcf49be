#include "sample/row.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace inferneo::sample {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Elements of one vectorised block; a multiple of every vector width in use.
constexpr std::size_t kBlockCount = 16;
// exp(-87) is still a normal float, so no result is denormal.
constexpr float kExponentMin = -87.0F;

using Block = std::array<float, kBlockCount>;
using Bits = std::array<std::uint32_t, kBlockCount>;

// exp of every x <= 0: x = n ln 2 + r with |r| <= ln(2)/2, then a polynomial in r times 2^n.
// Spec: coefficients of expf in the Cephes library; ln 2 in two parts keeps r exact.
// Why loops between bit casts and comparisons on bits: g++ 12 vectorises each of them, but no loop
// with a cast inside, nor a choice that hangs on a comparison of floats (it could trap).
Block exp_nonpositive(const Block& x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  // Among negative floats the bits grow with the magnitude; 0 has smaller ones.
  constexpr auto kBitsMax = std::bit_cast<std::uint32_t>(kExponentMin);
  Bits bits = std::bit_cast<Bits>(x);
  Bits mask;
  for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
    mask[lane] = bits[lane] < kBitsMax ? ~0U : 0U;
    bits[lane] = bits[lane] < kBitsMax ? bits[lane] : kBitsMax;
  }
  const Block clamped = std::bit_cast<Block>(bits);
  Block shifted;
  Block polynomial;
  for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
    shifted[lane] = clamped[lane] * 1.44269504088896341F + kRound;
    const float n = shifted[lane] - kRound;
    const float r = (clamped[lane] - n * 0.693359375F) + n * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    polynomial[lane] = p * r * r + r + 1.0F;
  }
  // The low bits of the shifted number are n; adding them to the exponent multiplies by 2^n.
  const Bits exponents = std::bit_cast<Bits>(shifted);
  Bits result = std::bit_cast<Bits>(polynomial);
  for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
    result[lane] = (result[lane] + (exponents[lane] << 23)) & mask[lane];
  }
  return std::bit_cast<Block>(result);
}

// The sum of one block. Why four chains: one would wait for each addition to end.
double block_sum(const Block& block) {
  std::array<double, 4> sums{};
  for (std::size_t lane = 0; lane < kBlockCount; lane += 4) {
    for (std::size_t chain = 0; chain < 4; ++chain) {
      sums[chain] += static_cast<double>(block[lane + chain]);
    }
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// exp((x - max) * scale) of up to a block of elements; the rest of the block is 0.
Block exp_block(std::span<const float> part, float max, float scale) {
  Block block;
  if (part.size() == kBlockCount) {
    for (std::size_t lane = 0; lane < kBlockCount; ++lane) block[lane] = (part[lane] - max) * scale;
  } else {
    block.fill(-kInfinity);
    for (std::size_t lane = 0; lane < part.size(); ++lane) block[lane] = (part[lane] - max) * scale;
  }
  return exp_nonpositive(block);
}

}  // namespace

double exponentiate(std::span<float> row, float max, float scale) {
  double sum = 0;
  for (std::size_t i = 0; i < row.size(); i += kBlockCount) {
    const std::size_t count = std::min(kBlockCount, row.size() - i);
    const Block block = exp_block(row.subspan(i, count), max, scale);
    std::copy_n(block.begin(), count, row.begin() + static_cast<std::ptrdiff_t>(i));
    sum += block_sum(block);
  }
  return sum;
}

double sum_of(std::span<const float> part) {
  double sum = 0;
  std::size_t i = 0;
  Block block;
  for (; i + kBlockCount <= part.size(); i += kBlockCount) {
    std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(i), kBlockCount, block.begin());
    sum += block_sum(block);
  }
  for (; i < part.size(); ++i) sum += static_cast<double>(part[i]);
  return sum;
}

void drop_below(std::span<float> weights, float least) {
  // The bits of floats that are not negative are in the order of the floats.
  const auto least_bits = std::bit_cast<std::uint32_t>(least);
  Block block{};
  for (std::size_t i = 0; i < weights.size(); i += kBlockCount) {
    const std::size_t count = std::min(kBlockCount, weights.size() - i);
    const auto part = weights.subspan(i, count);
    std::copy_n(part.begin(), count, block.begin());
    Bits bits = std::bit_cast<Bits>(block);
    for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
      bits[lane] = bits[lane] < least_bits ? 0U : bits[lane];
    }
    block = std::bit_cast<Block>(bits);
    std::copy_n(block.begin(), count, part.begin());
  }
}

double log_sum_exp(std::span<const float> row, float max) {
  double sum = 0;
  for (std::size_t i = 0; i < row.size(); i += kBlockCount) {
    const std::size_t count = std::min(kBlockCount, row.size() - i);
    sum += block_sum(exp_block(row.subspan(i, count), max, 1.0F));
  }
  return static_cast<double>(max) + std::log(sum);
}

}  // namespace inferneo::sample
