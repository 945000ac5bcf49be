#include "tensor/quant/quant_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace inferneo::tensor {
namespace {

std::vector<std::byte> random_blocks(const QuantFormat& format, std::int64_t k, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> blocks(static_cast<std::size_t>(k / dtype_block_elements(format.dtype)) *
                                dtype_block_size(format.dtype));
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(random());
  return blocks;
}

struct Unpacked {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<float> mins;
};

Unpacked unpack(const QuantFormat& format, const std::vector<std::byte>& blocks, std::int64_t k) {
  const auto groups = static_cast<std::size_t>(k / format.group);
  Unpacked row;
  row.codes.resize(static_cast<std::size_t>(k));
  row.scales.resize(groups, std::numeric_limits<float>::quiet_NaN());
  row.mins.resize(groups, std::numeric_limits<float>::quiet_NaN());
  format.unpack(blocks.data(), k, {row.codes.data(), row.scales.data(), row.mins.data()});
  return row;
}

// The same bits, where any not-a-number stands for any other.
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

class EachFormat : public testing::TestWithParam<const QuantFormat*> {};

TEST_P(EachFormat, dequantises_to_the_bits_of_the_reference) {
  std::ifstream file(INFERNEO_SOURCE_DIR "/tests/quant/goldens.bin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(bytes.empty());
  int records = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint32_t ggml_type = 0;
    std::uint32_t k = 0;
    std::memcpy(&ggml_type, bytes.data() + at, 4);
    std::memcpy(&k, bytes.data() + at + 4, 4);
    const auto formats = quant_format_table();
    const auto found = std::find_if(formats.begin(), formats.end(), [&](const QuantFormat* format) {
      return static_cast<std::uint32_t>(format->ggml_type) == ggml_type;
    });
    ASSERT_NE(found, formats.end()) << ggml_type;
    const DType dtype = (*found)->dtype;
    const std::size_t size =
        static_cast<std::size_t>(k / dtype_block_elements(dtype)) * dtype_block_size(dtype);
    const char* blocks = bytes.data() + at + 8;
    at += 8 + size + k * sizeof(float);
    ASSERT_LE(at, bytes.size());
    if (dtype != GetParam()->dtype) continue;
    ++records;
    std::vector<float> expected(k);
    std::memcpy(expected.data(), blocks + size, k * sizeof(float));
    std::vector<float> found_values(k);
    dequantize_row(dtype, reinterpret_cast<const std::byte*>(blocks), k, found_values.data());
    for (std::size_t i = 0; i < k; ++i) {
      ASSERT_TRUE(same(found_values[i], expected[i]))
          << "record " << records << " element " << i << ": " << found_values[i] << " is not "
          << expected[i];
    }
  }
  EXPECT_EQ(records, 2);
}

TEST_P(EachFormat, codes_fit_in_the_stated_bits) {
  const QuantFormat& format = *GetParam();
  const auto row = unpack(format, random_blocks(format, 4096, 1), 4096);
  const auto [low, high] = std::minmax_element(row.codes.begin(), row.codes.end());
  ASSERT_TRUE(format.bits == 4 || format.bits == 8);
  ASSERT_TRUE(format.group == 16 || format.group == 32);
  if (format.codebook != nullptr) {
    EXPECT_EQ(format.bits, 4);
    EXPECT_FALSE(format.has_min);
    EXPECT_TRUE(std::is_sorted(format.codebook, format.codebook + 16));
    for (const std::int8_t code : row.codes) {
      EXPECT_TRUE(std::binary_search(format.codebook, format.codebook + 16, code));
    }
  } else if (format.bits == 4) {
    EXPECT_GE(*low, format.has_min ? 0 : -8);
    EXPECT_LE(*high, format.has_min ? 15 : 7);
  } else {
    EXPECT_TRUE(*low < -8 || *high > 15) << "4 bits would do";
  }
}

TEST_P(EachFormat, elements_are_scale_times_code_plus_min) {
  const QuantFormat& format = *GetParam();
  constexpr std::int64_t kElements = 256 * 5;
  for (const std::int64_t k : {dtype_block_elements(format.dtype), kElements}) {
    const auto blocks = random_blocks(format, k, 2);
    const auto row = unpack(format, blocks, k);
    std::vector<float> out(static_cast<std::size_t>(k));
    dequantize_row(format.dtype, blocks.data(), k, out.data());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t group = i / static_cast<std::size_t>(format.group);
      if (!format.has_min) {
        ASSERT_EQ(row.mins[group], 0.F);
      }
      // Why volatile: a product that is stored is rounded, whatever the compiler may contract.
      volatile float element = row.scales[group] * static_cast<float>(row.codes[i]);
      if (format.has_min) element = element + row.mins[group];
      ASSERT_TRUE(same(out[i], element)) << i;
    }
  }
}

TEST_P(EachFormat, packs_within_a_step) {
  const QuantFormat& format = *GetParam();
  constexpr std::int64_t k = 4096;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(k);
  for (std::int64_t i = 0; i < k; ++i) {
    // Groups of different size and place, one of them of zeros.
    const auto group = static_cast<float>(i / 32 % 7);
    const float place = i / 512 % 3 == 0 ? 0.05F : 0.F;
    x[static_cast<std::size_t>(i)] = normal(random) * 0.01F * group + place * (group > 0 ? 1 : 0);
  }
  const auto size = static_cast<std::size_t>(k / dtype_block_elements(format.dtype)) *
                    dtype_block_size(format.dtype);
  std::vector<std::byte> blocks(size, std::byte{0xA5});
  quantize_row(format.dtype, x.data(), k, blocks.data());
  const auto row = unpack(format, blocks, k);
  std::vector<float> out(k);
  dequantize_row(format.dtype, blocks.data(), k, out.data());
  const float step = format.codebook != nullptr ? 16.F : 1.F;
  double error_sum = 0;
  double step_sum = 0;
  for (std::size_t i = 0; i < k; ++i) {
    const float scale = std::fabs(row.scales[i / static_cast<std::size_t>(format.group)]) * step;
    // The f16 scale and minimum are themselves rounded: 2^-11 of the largest code or value.
    ASSERT_LE(std::fabs(out[i] - x[i]), scale * 1.02F + 1e-4F * std::fabs(x[i]) + 1e-7F) << i;
    error_sum += std::fabs(out[i] - x[i]);
    step_sum += scale;
  }
  EXPECT_LT(error_sum, 0.3 * step_sum);
}

TEST_P(EachFormat, packs_any_numbers_to_blocks_that_can_be_read) {
  const QuantFormat& format = *GetParam();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float specials[] = {std::numeric_limits<float>::quiet_NaN(),
                            kInfinity,
                            -kInfinity,
                            3e38F,
                            -3e38F,
                            1e-42F,
                            0.F,
                            -0.F};
  std::mt19937 random(4);
  std::vector<float> x(1024);
  for (float& value : x) value = specials[random() % 8];
  std::vector<std::byte> blocks(1024 * 2);
  quantize_row(format.dtype, x.data(), 1024, blocks.data());
  const auto row = unpack(format, blocks, 1024);
  const std::vector<float> zeros(1024);
  quantize_row(format.dtype, zeros.data(), 1024, blocks.data());
  std::vector<float> out(1024, 1.F);
  dequantize_row(format.dtype, blocks.data(), 1024, out.data());
  EXPECT_EQ(out, zeros);
}

INSTANTIATE_TEST_SUITE_P(Quant,
                         EachFormat,
                         testing::ValuesIn(quant_format_table().begin(),
                                           quant_format_table().end()),
                         [](const auto& param) {
                           return std::string(dtype_name(param.param->dtype));
                         });

TEST(QuantRows, plain_types_are_read_unaligned) {
  std::vector<std::byte> bytes(1 + 300 * 4);
  std::vector<float> x(300);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) - 150.F;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16}) {
    quantize_row(dtype, x.data(), 300, bytes.data() + 1);
    std::vector<float> out(300);
    dequantize_row(dtype, bytes.data() + 1, 300, out.data());
    EXPECT_EQ(out, x) << dtype_name(dtype);
  }
}

}  // namespace
}  // namespace inferneo::tensor
