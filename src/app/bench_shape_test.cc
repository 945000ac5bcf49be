#include "app/bench_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace inferneo::app {
namespace {

TEST(bench_shape, the_1b_shape_has_the_size_of_its_model) {
  const BenchShape shape = named_shape("1.1b").value();
  // TinyLlama-1.1B has 1,100,048,384 parameters, of which the embedding (65,536,000) and the norms
  // (92,160) are not read as matrices.
  EXPECT_DOUBLE_EQ(weight_bytes_per_step(shape, 1.0), 1'100'048'384.0 - 65'536'000.0 - 92'160.0);
  EXPECT_DOUBLE_EQ(kv_bytes_per_step(shape, 10, 2.0), 10.0 * 22 * 2 * 256 * 2);
}

TEST(bench_shape, prefill_counts_products_and_causal_attention) {
  const BenchShape shape = {
      .layers = 1, .hidden = 4, .ffn = 8, .heads = 2, .kv_heads = 1, .head_dim = 2, .vocab = 10};
  // Query, key and value for each token; output and feed-forward of the only layer for one.
  const double every = 4 * (4 + 2 * 2);
  const double once = 4 * 4 + 3 * 4 * 8;
  EXPECT_DOUBLE_EQ(prefill_flops(shape, 3), 2 * 3 * every + 2 * once + 2 * 40 + 2 * 9 * 4);
}

TEST(bench_shape, variants_go_through_about_as_many_weights_for_a_token) {
  for (const std::string name : {"135m", "0.5b"}) {
    const double dense = weight_bytes_per_step(named_shape(name).value(), 2);
    for (const char* variant : {"-moe", "-mla"}) {
      const double other = weight_bytes_per_step(named_shape(name + variant).value(), 2);
      EXPECT_NEAR(other / dense, 1, 0.03) << name << variant;
    }
  }
  // A cached row is the latent vector and the rotated key.
  EXPECT_DOUBLE_EQ(kv_bytes_per_step(named_shape("135m-mla").value(), 10, 2),
                   10.0 * 30 * (288 + 32) * 2);
}

TEST(bench_shape, an_unknown_shape_names_the_known_ones) {
  const auto shape = named_shape("7b");
  ASSERT_FALSE(shape.has_value());
  EXPECT_THAT(shape.error().hint(), testing::HasSubstr("135m, 135m-moe, 135m-mla, 0.5b"));
}

}  // namespace
}  // namespace inferneo::app
