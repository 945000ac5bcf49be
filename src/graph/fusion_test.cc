#include "graph/fusion.h"

#include <gtest/gtest.h>

namespace inferneo::graph {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::TensorView;

TensorView weight(const Shape& shape) { return {DType::kF32, shape, nullptr}; }

ProgramBuilder make_builder() { return ProgramBuilder({1, 4, 2, 8}, {{1.0F, 0.1F}, 1}, {}); }

TEST(Fusion, a_layer_becomes_five_operations) {
  ProgramBuilder builder = make_builder();
  const ValueId sum = builder.embed(weight({10, 16}));               // 0
  const ValueId first = builder.rms_norm(sum, weight({16}), 1e-5F);  // 1
  const auto qkv =                                                   // 2
      builder.linear(first, {{weight({32, 16})}, {weight({16, 16})}, {weight({16, 16})}});
  const ValueId mixed = builder.attention(0, qkv[0], qkv[1], qkv[2]);  // 3, 4
  builder.linear_add(sum, mixed, {weight({16, 32})});                  // 5
  const ValueId second = builder.rms_norm(sum, weight({16}), 1e-5F);   // 6
  const ValueId wide =                                                 // 7
      builder.gated_linear(second, {weight({48, 16})}, {weight({48, 16})});
  builder.linear_add(sum, wide, {weight({16, 48})});    // 8
  const ValueId last = builder.gather_logit_rows(sum);  // 9
  const Program program =                               // 10
      std::move(builder).finish(builder.linear(last, {{weight({10, 16})}}).front()).value();

  const std::vector<OpFusion> fusions = find_fusions(program);
  ASSERT_EQ(fusions.size(), 11U);
  for (const std::size_t i : {1, 3, 6}) EXPECT_TRUE(fusions[i].absorbed) << i;
  for (const std::size_t i : {0, 2, 4, 5, 7, 8, 9, 10}) EXPECT_FALSE(fusions[i].absorbed) << i;
  EXPECT_EQ(fusions[2].norm, &std::get<NormOp>(program.ops[1]));
  EXPECT_EQ(fusions[2].store, &std::get<StoreKvOp>(program.ops[3]));
  EXPECT_EQ(fusions[7].norm, &std::get<NormOp>(program.ops[6]));
  EXPECT_EQ(fusions[7].store, nullptr);
}

TEST(Fusion, a_norm_that_others_read_too_stays_apart) {
  ProgramBuilder builder = make_builder();
  const ValueId sum = builder.embed(weight({10, 16}));
  const ValueId normed = builder.rms_norm(sum, weight({16}), 1e-5F);
  (void)builder.linear(normed, {{weight({16, 16})}});
  (void)builder.linear(normed, {{weight({16, 16})}});
  const ValueId last = builder.gather_logit_rows(sum);
  const Program program =
      std::move(builder).finish(builder.linear(last, {{weight({10, 16})}}).front()).value();
  for (const OpFusion& fusion : find_fusions(program)) EXPECT_FALSE(fusion.absorbed);
}

TEST(Fusion, a_norm_whose_input_ends_with_it_stays_apart) {
  ProgramBuilder builder = make_builder();
  const ValueId last = builder.gather_logit_rows(builder.embed(weight({10, 16})));
  const ValueId normed = builder.rms_norm(last, weight({16}), 1e-5F);
  const Program program =
      std::move(builder).finish(builder.linear(normed, {{weight({10, 16})}}).front()).value();
  for (const OpFusion& fusion : find_fusions(program)) EXPECT_FALSE(fusion.absorbed);
}

TEST(Fusion, keys_of_another_linear_are_stored_apart) {
  ProgramBuilder builder = make_builder();
  const ValueId sum = builder.embed(weight({10, 16}));
  const ValueId q = builder.linear(sum, {{weight({32, 16})}}).front();
  const auto kv = builder.linear(sum, {{weight({16, 16})}, {weight({16, 16})}});
  builder.linear_add(sum, builder.attention(0, q, kv[0], kv[1]), {weight({16, 32})});
  const ValueId last = builder.gather_logit_rows(sum);
  const Program program =
      std::move(builder).finish(builder.linear(last, {{weight({10, 16})}}).front()).value();
  for (const OpFusion& fusion : find_fusions(program)) EXPECT_FALSE(fusion.absorbed);
}

}  // namespace
}  // namespace inferneo::graph
