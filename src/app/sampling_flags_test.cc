#include "app/sampling_flags.h"

#include <gtest/gtest.h>

namespace inferneo::app {
namespace {

TEST(sampling_flags, a_flag_wins_over_the_model_and_the_model_over_the_default) {
  runtime::GenerationDefaults defaults;
  defaults.temperature = 0.6F;
  defaults.top_k = 40;
  SamplingFlags flags;
  flags.temperature = 0.1F;
  const auto params = sampling_params(flags, defaults, 10, 100).value();
  EXPECT_FLOAT_EQ(params.temperature, 0.1F);
  EXPECT_EQ(params.top_k, 40);
  EXPECT_FLOAT_EQ(params.top_p, 1.0F);
}

TEST(sampling_flags, a_model_that_does_not_sample_is_greedy_unless_asked) {
  runtime::GenerationDefaults defaults;
  defaults.greedy = true;
  defaults.temperature = 0.6F;
  EXPECT_FLOAT_EQ(sampling_params({}, defaults, 1, 100).value().temperature, 0.0F);
  SamplingFlags flags;
  flags.temperature = 0.5F;
  EXPECT_FLOAT_EQ(sampling_params(flags, defaults, 1, 100).value().temperature, 0.5F);
}

TEST(sampling_flags, the_answer_fits_the_context) {
  EXPECT_EQ(sampling_params({}, {}, 90, 100).value().max_tokens, 10);
  EXPECT_EQ(sampling_params({}, {}, 90, 100'000).value().max_tokens, 1024);
  const auto refused = sampling_params({}, {}, 100, 100);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace inferneo::app
