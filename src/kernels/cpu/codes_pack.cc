#include "kernels/cpu/codes_pack.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/kernel_table.h"

namespace inferneo::kernels {
namespace {

#include "kernels/cpu/codes_layout-inl.h"

std::uint32_t load_four(const std::int8_t* codes) {
  std::uint32_t four = 0;
  std::memcpy(&four, codes, sizeof(four));
  return four;
}

// Place of each code in the codebook, by the code as an unsigned byte.
std::array<std::uint8_t, 256> places_of(const std::int8_t* codebook) {
  std::array<std::uint8_t, 256> places{};
  for (std::uint8_t i = 0; i < 16; ++i) places[static_cast<std::uint8_t>(codebook[i])] = i;
  return places;
}

// Four codes as four bytes whose low halves are stored.
template <typename Format>
std::uint32_t halves_of(const std::int8_t* codes, const std::array<std::uint8_t, 256>& places) {
  if constexpr (Format::kHasCodebook) {
    std::array<std::uint8_t, 4> four{};
    for (std::size_t i = 0; i < 4; ++i) four[i] = places[static_cast<std::uint8_t>(codes[i])];
    std::uint32_t result = 0;
    std::memcpy(&result, four.data(), sizeof(result));
    return result;
  }
  // Why exclusive or: it adds 8 to a two's complement number of four bits.
  const std::uint32_t four = load_four(codes);
  return (Format::kHasMin ? four : four ^ 0x08080808U) & 0x0f0f0f0fU;
}

template <typename Format>
void pack_codes(const PanelSource& source, std::byte* panel) {
  constexpr std::int64_t kStep = Format::kBits == 8 ? 4 : 8;
  std::array<std::uint8_t, 256> places{};
  if constexpr (Format::kHasCodebook) places = places_of(source.codebook);
  for (std::int64_t row = 0; row < source.row_count; ++row) {
    const std::int8_t* codes = source.codes + row * source.k;
    for (std::int64_t block = 0; block < source.k / kBlockK; ++block) {
      std::byte* to = panel + codes_at<Format>(block) + 4 * row;
      for (std::int64_t i = 0; i < kBlockK; i += kStep, codes += kStep, to += kLineBytes) {
        std::uint32_t four = 0;
        if constexpr (Format::kBits == 8) {
          four = load_four(codes) ^ 0x80808080U;
        } else {
          four = halves_of<Format>(codes, places) | halves_of<Format>(codes + 4, places) << 4;
        }
        std::memcpy(to, &four, sizeof(four));
      }
    }
  }
}

// Exponent of the factor that brings the largest of the numbers to [2^14, 2^15), where numbers down
// to 2^-28 of it still have all bits of f16. Bound: at least -100, so that products with the factor
// do not lose bits to denormals.
int factor_exponent(float largest) {
  return largest == 0 ? 0 : std::max(std::ilogb(largest) - 14, -100);
}

float largest_finite(const float* values, std::int64_t count) {
  float largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) largest = std::max(largest, std::abs(values[i]));
  }
  return largest;
}

// Writes values * unit as f16, at one output's place of their groups.
template <typename Format>
void pack_halves(const float* values, float unit, std::byte* to) {
  std::array<float, Format::kGroupsPerBlock> scaled{};
  std::array<F16, Format::kGroupsPerBlock> halves{};
  for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = values[i] * unit;
  reference_table().f32_to_f16(scaled.data(), halves.data(), Format::kGroupsPerBlock);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    std::memcpy(to + i * Format::kGroupScales, &halves[i], sizeof(F16));
  }
}

template <typename Format>
void pack(const PanelSource& source, std::byte* panel) {
  constexpr float kMinUnit = -1.0F / 128;
  std::memset(panel, 0, static_cast<std::size_t>(panel_bytes<Format>(source.k)));
  pack_codes<Format>(source, panel);
  const std::int64_t groups = source.k / Format::kGroup;
  for (std::int64_t row = 0; row < source.row_count; ++row) {
    const float* scales = source.scales + row * groups;
    const float* mins = Format::kHasMin ? source.mins + row * groups : nullptr;
    float largest = largest_finite(scales, groups);
    if (mins != nullptr) largest = std::max(largest, largest_finite(mins, groups) * -kMinUnit);
    const int exponent = factor_exponent(largest);
    const float factor = std::ldexp(1.0F, exponent);
    std::memcpy(panel + static_cast<std::size_t>(row) * sizeof(float), &factor, sizeof(factor));
    const float unit = std::ldexp(1.0F, -exponent);
    std::byte* to = panel + static_cast<std::size_t>(row) * sizeof(F16);
    for (std::int64_t block = 0; block < source.k / kBlockK; ++block) {
      const std::int64_t group = block * Format::kGroupsPerBlock;
      pack_halves<Format>(scales + group, unit, to + scales_at<Format>(block));
      if (mins != nullptr) {
        pack_halves<Format>(mins + group, unit * kMinUnit, to + mins_at<Format>(block));
      }
    }
  }
}

}  // namespace

template <int bits, int group, bool has_min, bool has_codebook>
std::size_t CodesPacker<bits, group, has_min, has_codebook>::panel_size(std::int64_t k) noexcept {
  using Format = CodesFormat<bits, group, has_min, has_codebook>;
  return static_cast<std::size_t>(panel_bytes<Format>(k));
}

template <int bits, int group, bool has_min, bool has_codebook>
void CodesPacker<bits, group, has_min, has_codebook>::pack_panel(const PanelSource& source,
                                                                 std::byte* panel) noexcept {
  pack<CodesFormat<bits, group, has_min, has_codebook>>(source, panel);
}

template struct CodesPacker<8, 16, false, false>;
template struct CodesPacker<8, 16, true, false>;
template struct CodesPacker<8, 32, false, false>;
template struct CodesPacker<8, 32, true, false>;
template struct CodesPacker<4, 16, false, false>;
template struct CodesPacker<4, 16, true, false>;
template struct CodesPacker<4, 16, false, true>;
template struct CodesPacker<4, 32, false, false>;
template struct CodesPacker<4, 32, true, false>;
template struct CodesPacker<4, 32, false, true>;

std::size_t codes_input_size(std::int64_t m, std::int64_t k) noexcept {
  return static_cast<std::size_t>(input_rows(m) * (k / kBlockK)) * sizeof(InputBlock);
}

}  // namespace inferneo::kernels
