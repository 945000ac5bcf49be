#include "graph/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/kv_cache.h"
#include "graph/memory_planner.h"

namespace inferneo::graph {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::TensorView;

TensorView weight(const Shape& shape, DType dtype = DType::kBf16) {
  return {dtype, shape, nullptr};
}

ProgramBuilder make_builder() {
  return ProgramBuilder({2, 4, 2, 8}, {{1.0F, 0.1F, 0.01F, 0.001F}, 1}, {});
}

// Two layers of attention alone.
Result<Program> small_program() {
  ProgramBuilder builder = make_builder();
  const ValueId sum = builder.embed(weight({10, 16}));
  for (int layer = 0; layer < 2; ++layer) {
    const ValueId normed = builder.rms_norm(sum, weight({16}), 1e-5F);
    const auto qkv =
        builder.linear(normed, {{weight({32, 16})}, {weight({16, 16})}, {weight({16, 16})}});
    builder.linear_add(sum, builder.attention(layer, qkv[0], qkv[1], qkv[2]), {weight({16, 32})});
  }
  const ValueId last = builder.gather_logit_rows(sum);
  return std::move(builder).finish(builder.linear(last, {{weight({10, 16})}}).front());
}

TEST(MemoryPlanner, values_alive_together_do_not_overlap) {
  const Program program = small_program().value();
  const MemoryLayout layout = plan_memory(program, {}, 5, 3);
  const auto end = [&](std::size_t i) {
    const Value& value = program.values[i];
    const std::int64_t rows = value.rows == Rows::kTokens ? 5 : 3;
    return layout.offsets[i] + static_cast<std::uint64_t>(rows * value.width) * sizeof(float);
  };
  for (std::size_t i = 0; i < program.values.size(); ++i) {
    const Value& a = program.values[i];
    EXPECT_LE(end(i), layout.size);
    EXPECT_EQ(layout.offsets[i] % 64, 0U);
    EXPECT_LE(a.first_op, a.last_op);
    for (std::size_t j = 0; j < i; ++j) {
      const Value& b = program.values[j];
      if (a.first_op > b.last_op || b.first_op > a.last_op) continue;
      EXPECT_TRUE(end(i) <= layout.offsets[j] || end(j) <= layout.offsets[i]) << i << " " << j;
    }
  }
}

TEST(MemoryPlanner, layers_share_their_memory) {
  const Program program = small_program().value();
  // The residual stream (16), and one layer at its widest: q, k, v and the mixed heads.
  EXPECT_LE(plan_memory(program, {}, 1024, 0).size, 1024U * 4 * (16 + 32 + 16 + 16 + 32));
}

TEST(ProgramBuilder, shapes_that_do_not_fit_are_reported) {
  {
    ProgramBuilder builder = make_builder();
    const ValueId sum = builder.embed(weight({10, 16}));
    const ValueId last = builder.gather_logit_rows(sum);
    const auto logits = builder.linear(last, {{weight({10, 17})}});
    const auto program = std::move(builder).finish(logits.front());
    ASSERT_FALSE(program);
    EXPECT_EQ(program.error().code(), StatusCode::kInternal);
    EXPECT_THAT(program.error().message(), testing::HasSubstr("operation 2: wrong matrix width"));
  }
  {
    ProgramBuilder builder = make_builder();
    const ValueId sum = builder.embed(weight({10, 16}));
    EXPECT_FALSE(std::move(builder).finish(sum));
  }
  {
    ProgramBuilder builder = make_builder();
    const ValueId sum = builder.embed(weight({10, 16}, DType::kI8));
    EXPECT_FALSE(std::move(builder).finish(builder.gather_logit_rows(sum)));
  }
}

TEST(KvCache, sizes_follow_from_the_program) {
  const Program program = small_program().value();
  EXPECT_EQ(kv_layer_block_size(program), 2U * 2 * 16 * 8 * sizeof(float));
  EXPECT_EQ(kv_windows(program).layer_count(), 0);
  const auto cache = KvCache::allocate(program, 3, 3).value();
  EXPECT_EQ(cache.values(0) - cache.keys(0), 3 * 2 * 16 * 8 * 4);
  EXPECT_EQ(cache.keys(1) - cache.values(0), 3 * 2 * 16 * 8 * 4);
  EXPECT_EQ(KvCache::allocate(program, 0, 0).error().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(KvCache::allocate(program, INT64_MAX, 3).error().code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace inferneo::graph
