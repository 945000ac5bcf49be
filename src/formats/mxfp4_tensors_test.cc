#include "formats/mxfp4_tensors.h"

#include <gtest/gtest.h>

#include <vector>

namespace inferneo::formats {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::WeightMap;

// 2 experts, 3 rows, 64 columns.
constexpr std::size_t kBlockBytes = 2 * 3 * 2 * 16;

WeightMap weights_with(const Shape& blocks,
                       const Shape& scales,
                       const std::byte* data,
                       DType dtype = DType::kU8) {
  WeightMap weights;
  weights.add("experts.down_proj_blocks", {dtype, blocks, data});
  weights.add("experts.down_proj_scales", {DType::kU8, scales, data + kBlockBytes});
  weights.add("norm.weight", {DType::kF32, {3}, data});
  return weights;
}

TEST(Mxfp4Tensors, pairs_become_one_tensor) {
  const std::vector<std::byte> data(kBlockBytes + 12);
  WeightMap weights = weights_with({2, 3, 2, 16}, {2, 3, 2}, data.data());
  ASSERT_TRUE(join_mxfp4_tensors(weights).ok());
  EXPECT_EQ(weights.entries().size(), 2U);
  const tensor::TensorView* joined = weights.find("experts.down_proj");
  ASSERT_NE(joined, nullptr);
  EXPECT_EQ(joined->dtype, DType::kMxfp4Apart);
  EXPECT_EQ(joined->shape, Shape({2, 3, 64}));
  EXPECT_EQ(joined->byte_size(), kBlockBytes);
  EXPECT_EQ(joined->data, data.data());
  EXPECT_EQ(joined->scales, data.data() + kBlockBytes);
}

void expect_refused(WeightMap weights, std::string_view part) {
  const Status status = join_mxfp4_tensors(weights);
  EXPECT_EQ(status.code(), StatusCode::kCorruptData);
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(Mxfp4Tensors, what_does_not_fit_together_is_refused_by_name) {
  const std::vector<std::byte> bytes(kBlockBytes + 12);
  const std::byte* data = bytes.data();
  expect_refused(weights_with({2, 3, 2, 16}, {2, 3, 3}, data),
                 "experts.down_proj_scales\" is u8 [2, 3, 3], but must be u8 [2, 3, 2]");
  expect_refused(weights_with({2, 3, 4, 8}, {2, 3, 4}, data),
                 "experts.down_proj_blocks\" is u8 [2, 3, 4, 8]");
  expect_refused(weights_with({0, std::int64_t{1} << 60, 16}, {0, std::int64_t{1} << 60}, data),
                 "has no elements");
  expect_refused(weights_with({192}, {12}, data), "experts.down_proj_blocks\" is u8 [192]");
  expect_refused(weights_with({2, 3, 2, 16}, {2, 3, 2}, data, DType::kI8), "is i8 [2, 3, 2, 16]");

  WeightMap lonely;
  lonely.add("a_blocks", {DType::kU8, {3, 2, 16}, data});
  expect_refused(lonely, "a_scales\" is missing");
  WeightMap twice = weights_with({2, 3, 2, 16}, {2, 3, 2}, data);
  twice.add("experts.down_proj", {DType::kF32, {1}, data});
  expect_refused(twice, "experts.down_proj\" is there beside");
}

}  // namespace
}  // namespace inferneo::formats
