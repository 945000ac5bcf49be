#include "graph/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace inferneo::graph {
namespace {

using Scoring = Routing::Scoring;
using testing::ElementsAre;
using testing::FloatNear;

std::vector<float> choose(const Routing& routing,
                          std::vector<float> logits,
                          const std::vector<float>& correction = {}) {
  std::vector<float> out(static_cast<std::size_t>(2 * routing.chosen_count), -1.0F);
  choose_experts(routing,
                 logits.data(),
                 std::ssize(logits),
                 correction.empty() ? nullptr : correction.data(),
                 out.data());
  return out;
}

const float kLog2 = std::log(2.0F);
const float kLog5 = std::log(5.0F);

TEST(Routing, weights_are_a_softmax_over_all_or_over_the_chosen) {
  // Weights 1, 5, 0 and 2 of 8.
  const std::vector<float> logits = {0, kLog5, -1e9F, kLog2};
  Routing routing{.scoring = Scoring::kSoftmax, .chosen_count = 2};
  EXPECT_THAT(choose(routing, logits),
              ElementsAre(1, 3, FloatNear(5.0F / 8, 1e-6F), FloatNear(2.0F / 8, 1e-6F)));
  routing.renormalizes = true;
  EXPECT_THAT(choose(routing, logits),
              ElementsAre(1, 3, FloatNear(5.0F / 7, 1e-6F), FloatNear(2.0F / 7, 1e-6F)));
  routing = {.scoring = Scoring::kSoftmaxOfChosen, .chosen_count = 2, .scale = 3};
  EXPECT_THAT(choose(routing, logits),
              ElementsAre(1, 3, FloatNear(15.0F / 7, 1e-6F), FloatNear(6.0F / 7, 1e-6F)));
}

TEST(Routing, equal_scores_go_to_the_lower_number) {
  const Routing routing{.scoring = Scoring::kSoftmax, .chosen_count = 3};
  const std::vector<float> out = choose(routing, {1, 1, 1, 1, 1});
  EXPECT_THAT(std::vector(out.begin(), out.begin() + 3), ElementsAre(0, 1, 2));
}

TEST(Routing, a_correction_decides_about_the_choice_and_not_about_the_weight) {
  const Routing routing{.scoring = Scoring::kSigmoid, .chosen_count = 1};
  EXPECT_THAT(choose(routing, {0, 4}, {1, 0}), ElementsAre(0, 0.5F));
}

TEST(Routing, only_the_best_groups_are_open) {
  Routing routing{
      .scoring = Scoring::kSigmoid, .chosen_count = 2, .group_count = 3, .chosen_group_count = 1};
  // The best expert is in the first group, the best two of one group in the second.
  const std::vector<float> logits = {5, -5, 3, 3, 0, 0};
  EXPECT_THAT(choose(routing, logits)[0], 0);
  EXPECT_THAT(choose(routing, logits)[1], 1);
  routing.sums_two_best = true;
  EXPECT_THAT(choose(routing, logits)[0], 2);
  EXPECT_THAT(choose(routing, logits)[1], 3);
}

TEST(Routing, scores_that_are_no_numbers_choose_different_experts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Scoring scoring : {Scoring::kSoftmax, Scoring::kSoftmaxOfChosen, Scoring::kSigmoid}) {
    Routing routing{.scoring = scoring, .chosen_count = 3, .group_count = 2};
    const std::vector<float> out = choose(routing, {nan, nan, 1, nan});
    EXPECT_NE(out[0], out[1]);
    EXPECT_NE(out[1], out[2]);
    EXPECT_NE(out[0], out[2]);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(out[static_cast<std::size_t>(i)] >= 0);
  }
}

}  // namespace
}  // namespace inferneo::graph
