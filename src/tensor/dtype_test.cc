#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tensor/quant/quant_format.h"
#include "tensor/tensor_view.h"

namespace inferneo::tensor {
namespace {

TEST(DType, names_differ_and_units_are_whole) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(DType::kIq4Xs); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_TRUE(names.insert(dtype_name(dtype)).second) << dtype_name(dtype);
    EXPECT_GT(dtype_block_size(dtype), 0U);
    EXPECT_EQ(is_quantized(dtype), dtype_block_elements(dtype) > 1) << dtype_name(dtype);
  }
  EXPECT_EQ(dtype_name(DType::kIq4Xs), "iq4_xs");
}

TEST(DType, only_plain_types_have_a_name_in_safetensors) {
  EXPECT_EQ(dtype_from_safetensors("BF16"), DType::kBf16);
  EXPECT_EQ(dtype_from_safetensors("Q4_0"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors(""), std::nullopt);
}

TEST(DType, bytes_of_a_view_count_whole_blocks) {
  EXPECT_EQ((TensorView{DType::kBf16, {3, 5}, nullptr}).byte_size(), 30U);
  EXPECT_EQ((TensorView{DType::kQ4_0, {3, 64}, nullptr}).byte_size(), 3 * 2 * 18U);
  EXPECT_EQ((TensorView{DType::kQ6_K, {2, 512}, nullptr}).byte_size(), 2 * 2 * 210U);
  EXPECT_EQ((TensorView{DType::kQ6_K, {0, 512}, nullptr}).byte_size(), 0U);
}

TEST(DType, each_quantised_type_has_one_format) {
  std::set<DType> seen;
  std::set<int> numbers;
  for (const QuantFormat* format : quant_format_table()) {
    EXPECT_TRUE(seen.insert(format->dtype).second) << dtype_name(format->dtype);
    EXPECT_TRUE(numbers.insert(format->ggml_type).second) << dtype_name(format->dtype);
    EXPECT_EQ(find_quant_format(format->dtype), format);
    EXPECT_EQ(dtype_block_elements(format->dtype) % format->group, 0);
  }
  for (int i = 0; i <= static_cast<int>(DType::kIq4Xs); ++i) {
    EXPECT_EQ(seen.contains(static_cast<DType>(i)), is_quantized(static_cast<DType>(i)));
  }
  EXPECT_EQ(find_quant_format(DType::kF32), nullptr);
}

}  // namespace
}  // namespace inferneo::tensor
