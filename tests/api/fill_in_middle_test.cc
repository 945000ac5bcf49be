// `suffix`: where the vocabulary has tokens for a gap, and where it has none.
#include "gateway/endpoints/fill_in_middle.h"

#include <fstream>
#include <iterator>

#include "fake_service.h"

namespace inferneo::api_test {
namespace {

std::string starter_tokenizer_json() {
  std::ifstream file(std::string(INFERNEO_SOURCE_DIR) + "/models/starter/tokenizer.json");
  return {std::istreambuf_iterator<char>(file), {}};
}

void rename(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
}

TEST(suffix, is_refused_where_the_model_cannot_fill_a_gap) {
  FakeService service;
  const json error = service.refusal(kText, {{"prompt", "a"}, {"suffix", "b"}}, 400);
  EXPECT_EQ(error["param"], "suffix");
  service.ask(kText, {{"prompt", "a"}, {"suffix", ""}, {"max_tokens", 1}});
}

TEST(suffix, puts_both_texts_between_the_marks) {
  std::string document = starter_tokenizer_json();
  rename(document, "<|reserved_0|>", "<|fim_prefix|>");
  rename(document, "<|reserved_1|>", "<|fim_suffix|>");
  rename(document, "<|pad|>", "<|fim_middle|>");
  manager::ServedModel model;
  model.name = "coder";
  model.tokenizer = text::Tokenizer::from_json(document).value();
  const auto token = [&](const char* name) { return *model.tokenizer->find_token(name); };
  const auto ids =
      gateway::endpoints::fill_in_middle_prompt(model, "def f():\n", "\n  return x", false);
  ASSERT_TRUE(ids.has_value()) << ids.status().to_string();
  std::vector<TokenId> expected{token("<|fim_prefix|>")};
  for (const TokenId id : model.tokenizer->encode("def f():\n", {.add_special_tokens = false})) {
    expected.push_back(id);
  }
  expected.push_back(token("<|fim_suffix|>"));
  for (const TokenId id : model.tokenizer->encode("\n  return x", {.add_special_tokens = false})) {
    expected.push_back(id);
  }
  expected.push_back(token("<|fim_middle|>"));
  EXPECT_EQ(*ids, expected);
}

}  // namespace
}  // namespace inferneo::api_test
