#include "text/reasoning/reasoning_budget.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace inferneo::text {
namespace {

std::shared_ptr<const Tokenizer> tokenizer() {
  return Tokenizer::load(std::string(INFERNEO_SOURCE_DIR) + "/models/starter").value();
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special_tokens = false});
}

TEST(reasoning_budget, forces_the_closing_mark_when_it_is_used_up) {
  const auto vocabulary = tokenizer();
  const auto budget = make_reasoning_budget({.token_count_max = 3,
                                             .format = find_reasoning_format("think"),
                                             .begins_in_reasoning = true,
                                             .answer = nullptr},
                                            vocabulary);
  const auto state = budget->start();
  const std::vector<TokenId> words = encode(*vocabulary, " one two three four");
  ASSERT_GE(words.size(), 4U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(state->forced().empty());
    EXPECT_TRUE(request::allows(state->mask(), words[static_cast<std::size_t>(i)]));
    ASSERT_TRUE(state->accept(words[static_cast<std::size_t>(i)]));
  }
  const std::vector<TokenId> end = encode(*vocabulary, "</think>");
  EXPECT_EQ(std::vector<TokenId>(state->forced().begin(), state->forced().end()), end);
  EXPECT_FALSE(state->may_end());
  EXPECT_FALSE(request::allows(state->mask(), words[3]));
  for (const TokenId id : end) {
    EXPECT_TRUE(request::allows(state->mask(), id));
    ASSERT_TRUE(state->accept(id));
  }
  EXPECT_TRUE(state->forced().empty());
  EXPECT_TRUE(state->may_end());
  EXPECT_FALSE(state->must_end());
  EXPECT_TRUE(request::allows(state->mask(), words[3]));
  EXPECT_TRUE(state->status().ok());
}

TEST(reasoning_budget, leaves_a_model_alone_that_keeps_within_it_or_does_not_think) {
  const auto vocabulary = tokenizer();
  for (const char* text : {"<think>yes</think>the answer goes on for long", "no thinking here"}) {
    const auto budget = make_reasoning_budget({.token_count_max = 8,
                                               .format = find_reasoning_format("think"),
                                               .begins_in_reasoning = false,
                                               .answer = nullptr},
                                              vocabulary);
    const auto state = budget->start();
    for (const TokenId id : encode(*vocabulary, text)) {
      EXPECT_TRUE(state->forced().empty()) << text;
      EXPECT_TRUE(request::allows(state->mask(), id));
      ASSERT_TRUE(state->accept(id));
    }
    EXPECT_TRUE(state->may_end());
  }
}

TEST(reasoning_budget, of_nothing_closes_at_once) {
  const auto vocabulary = tokenizer();
  const auto budget = make_reasoning_budget({.token_count_max = 0,
                                             .format = find_reasoning_format("think"),
                                             .begins_in_reasoning = true,
                                             .answer = nullptr},
                                            vocabulary);
  const auto state = budget->start();
  EXPECT_EQ(state->forced().size(), encode(*vocabulary, "</think>").size());
  EXPECT_FALSE(state->accept(encode(*vocabulary, "x")[0]));
  EXPECT_FALSE(state->status().ok());
}

}  // namespace
}  // namespace inferneo::text
