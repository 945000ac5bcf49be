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

// exp(x) for x <= 0: x = n ln 2 + r with |r| <= ln(2)/2, then a polynomial in r scaled by 2^n.
// Spec: coefficients of expf in the Cephes library; ln 2 in two parts keeps r exact.
inline float exp_nonpositive(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x > kExponentMin ? x : kExponentMin;
  const float shifted = clamped * 1.44269504088896341F + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = std::bit_cast<std::uint32_t>(shifted) << 23;
  const float value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + exponent);
  return x > kExponentMin ? value : 0.0F;
}

}  // namespace

RowScan scan_row(std::span<const float> row) {
  std::array<float, kBlockCount> largest;
  std::array<std::uint32_t, kBlockCount> unusable{};
  largest.fill(-kInfinity);
  std::size_t i = 0;
  for (; i + kBlockCount <= row.size(); i += kBlockCount) {
    for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
      const float x = row[i + lane];
      largest[lane] = x > largest[lane] ? x : largest[lane];
      unusable[lane] |= x < kInfinity ? 0U : 1U;  // also true for NaN
    }
  }
  RowScan scan;
  scan.max = *std::max_element(largest.begin(), largest.end());
  std::uint32_t bad = 0;
  for (const std::uint32_t lane : unusable) bad |= lane;
  for (; i < row.size(); ++i) {
    scan.max = std::max(scan.max, row[i]);
    bad |= row[i] < kInfinity ? 0U : 1U;
  }
  scan.finite = bad == 0 && scan.max > -kInfinity;
  if (scan.finite) {
    const auto found = std::find(row.begin(), row.end(), scan.max);
    scan.argmax = static_cast<TokenId>(found - row.begin());
  }
  return scan;
}

double exponentiate(std::span<float> row, float max, float scale) {
  double sum = 0;
  std::size_t i = 0;
  for (; i + kBlockCount <= row.size(); i += kBlockCount) {
    for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
      row[i + lane] = exp_nonpositive((row[i + lane] - max) * scale);
    }
    for (std::size_t lane = 0; lane < kBlockCount; ++lane) sum += row[i + lane];
  }
  for (; i < row.size(); ++i) {
    row[i] = exp_nonpositive((row[i] - max) * scale);
    sum += row[i];
  }
  return sum;
}

double log_sum_exp(std::span<const float> row, float max) {
  double sum = 0;
  std::array<float, kBlockCount> block;
  std::size_t i = 0;
  for (; i + kBlockCount <= row.size(); i += kBlockCount) {
    for (std::size_t lane = 0; lane < kBlockCount; ++lane) {
      block[lane] = exp_nonpositive(row[i + lane] - max);
    }
    for (const float x : block) sum += x;
  }
  for (; i < row.size(); ++i) sum += exp_nonpositive(row[i] - max);
  return static_cast<double>(max) + std::log(sum);
}

}  // namespace inferneo::sample
