#include "text/reasoning/reasoned_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "text/grammar/constraint_compiler.h"

namespace inferneo::text {
namespace {

std::shared_ptr<const Tokenizer> tokenizer() {
  return Tokenizer::load(std::string(INFERNEO_SOURCE_DIR) + "/models/starter").value();
}

std::shared_ptr<const ReasoningVocabulary> thinking(std::shared_ptr<const Tokenizer> vocabulary) {
  return std::make_shared<ReasoningVocabulary>(*find_reasoning_format("think"),
                                               std::move(vocabulary));
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special_tokens = false});
}

TEST(reasoned_answer, forces_the_closing_mark_when_it_is_used_up) {
  const auto vocabulary = tokenizer();
  const auto budget = make_reasoned_answer(
      {.token_count_max = 3, .begins_in_reasoning = true, .answer = nullptr}, thinking(vocabulary));
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

TEST(reasoned_answer, leaves_a_model_alone_that_keeps_within_it_or_does_not_think) {
  const auto vocabulary = tokenizer();
  for (const char* text : {"<think>yes</think>the answer goes on for long", "no thinking here"}) {
    const auto budget = make_reasoned_answer(
        {.token_count_max = 8, .begins_in_reasoning = false, .answer = nullptr},
        thinking(vocabulary));
    const auto state = budget->start();
    for (const TokenId id : encode(*vocabulary, text)) {
      EXPECT_TRUE(state->forced().empty()) << text;
      EXPECT_TRUE(request::allows(state->mask(), id));
      ASSERT_TRUE(state->accept(id));
    }
    EXPECT_TRUE(state->may_end());
  }
}

TEST(reasoned_answer, of_nothing_closes_at_once) {
  const auto vocabulary = tokenizer();
  const auto budget = make_reasoned_answer(
      {.token_count_max = 0, .begins_in_reasoning = true, .answer = nullptr}, thinking(vocabulary));
  const auto state = budget->start();
  EXPECT_EQ(state->forced().size(), encode(*vocabulary, "</think>").size());
  EXPECT_FALSE(state->accept(encode(*vocabulary, "x")[0]));
  EXPECT_FALSE(state->status().ok());
}

// A number of two digits behind the reasoning.
std::shared_ptr<const request::TokenConstraint> number_behind_reasoning(
    const std::shared_ptr<const Tokenizer>& vocabulary, bool begins_inside) {
  grammar::ConstraintCompiler compiler(vocabulary);
  return make_reasoned_answer({.token_count_max = std::nullopt,
                               .begins_in_reasoning = begins_inside,
                               .answer = compiler.regex("[0-9][0-9]").value()},
                              thinking(vocabulary));
}

// Byte by byte, so that no border of tokens helps. True when the text ends as a whole answer.
bool keeps_to(const request::TokenConstraint& constraint,
              const Tokenizer& vocabulary,
              std::string_view text) {
  const auto state = constraint.start();
  for (const char c : text) {
    const TokenId id = encode(vocabulary, std::string(1, c)).front();
    if (!request::allows(state->mask(), id) || !state->accept(id)) return false;
  }
  EXPECT_TRUE(state->status().ok());
  return state->may_end();
}

TEST(reasoned_answer, the_form_of_the_answer_holds_from_the_end_of_the_reasoning_on) {
  const auto vocabulary = tokenizer();
  const auto inside = number_behind_reasoning(vocabulary, true);
  EXPECT_TRUE(keeps_to(*inside, *vocabulary, "well, 1 or 2?</think>42"));
  EXPECT_TRUE(keeps_to(*inside, *vocabulary, "a </think\n b</think>\n\n42"));
  EXPECT_FALSE(keeps_to(*inside, *vocabulary, "well</think>\n\n\n42"));  // a bounded gap
  EXPECT_FALSE(keeps_to(*inside, *vocabulary, "well</think>x"));
  EXPECT_FALSE(keeps_to(*inside, *vocabulary, "well</think>423"));
  EXPECT_FALSE(keeps_to(*inside, *vocabulary, "never ends"));
  EXPECT_FALSE(keeps_to(*inside, *vocabulary, "well</think>"));
}

TEST(reasoned_answer, a_reply_opens_with_the_mark_or_with_the_answer) {
  const auto vocabulary = tokenizer();
  const auto outside = number_behind_reasoning(vocabulary, false);
  EXPECT_TRUE(keeps_to(*outside, *vocabulary, "42"));
  EXPECT_FALSE(keeps_to(*outside, *vocabulary, "x"));
  const auto state = outside->start();
  for (const TokenId id : encode(*vocabulary, "<think>")) {
    ASSERT_TRUE(request::allows(state->mask(), id));
    ASSERT_TRUE(state->accept(id));
    EXPECT_FALSE(state->may_end());
  }
  for (const TokenId id : encode(*vocabulary, "some thoughts</think>42")) {
    ASSERT_TRUE(request::allows(state->mask(), id)) << vocabulary->token_bytes(id);
    ASSERT_TRUE(state->accept(id));
  }
  EXPECT_TRUE(state->must_end());
}

// A token that closes the reasoning and goes on would hide text from the answer's form.
TEST(reasoned_answer, no_token_reaches_across_the_closing_mark) {
  TokenVocabulary words;
  words.model = "gpt2";
  words.pre = "gpt-2";
  const std::vector<std::string> tokens{
      "<", "/", "t", "h", "i", "n", "k", ">", "1", "2", "x", ">1", ">12", "\u010a"};
  words.tokens.assign(tokens.begin(), tokens.end());
  words.kinds.assign(tokens.size(), TokenKind::kNormal);
  const std::shared_ptr<const Tokenizer> vocabulary = Tokenizer::from_vocabulary(words).value();
  const auto inside = number_behind_reasoning(vocabulary, true);
  const auto state = inside->start();
  const TokenId crossing = vocabulary->find_token(">1").value();
  EXPECT_TRUE(request::allows(state->mask(), crossing));
  for (const char c : std::string_view("x</think")) {
    ASSERT_TRUE(state->accept(vocabulary->find_token(std::string(1, c)).value()));
  }
  EXPECT_FALSE(request::allows(state->mask(), crossing));
  EXPECT_FALSE(request::allows(state->mask(), vocabulary->find_token(">12").value()));
  const TokenId close = vocabulary->find_token(">").value();
  EXPECT_TRUE(request::allows(state->mask(), close));
  ASSERT_TRUE(state->accept(close));
  EXPECT_TRUE(request::allows(state->mask(), vocabulary->find_token("1").value()));
  EXPECT_FALSE(request::allows(state->mask(), vocabulary->find_token("x").value()));
}

TEST(reasoned_answer, the_budget_closes_the_reasoning_before_the_answer) {
  const auto vocabulary = tokenizer();
  grammar::ConstraintCompiler compiler(vocabulary);
  const auto bounded = make_reasoned_answer({.token_count_max = 2,
                                             .begins_in_reasoning = true,
                                             .answer = compiler.regex("[0-9][0-9]").value()},
                                            thinking(vocabulary));
  const auto state = bounded->start();
  for (const char* letter : {"a", "b"}) {
    ASSERT_TRUE(state->accept(encode(*vocabulary, letter).front()));
  }
  while (!state->forced().empty()) ASSERT_TRUE(state->accept(state->forced().front()));
  EXPECT_TRUE(request::allows(state->mask(), encode(*vocabulary, "7").front()));
  EXPECT_FALSE(request::allows(state->mask(), encode(*vocabulary, "c").front()));
}

}  // namespace
}  // namespace inferneo::text
