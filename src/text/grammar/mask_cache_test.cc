// Masks against the definition: a token is allowed when the position can advance by its bytes.
#include "text/grammar/mask_cache.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "request/token_constraint.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/regex.h"
#include "text/grammar/vocabulary.h"
#include "text/json.h"

namespace inferneo::text::grammar {
namespace {

const std::string kSource = INFERNEO_SOURCE_DIR;

const ConstraintVocabulary& vocabulary() {
  static const ConstraintVocabulary made(Tokenizer::load(kSource + "/models/starter").value());
  return made;
}

std::vector<Value> read_lines(const std::string& name) {
  std::vector<Value> lines;
  std::ifstream file(kSource + "/tests/structured/" + name);
  for (std::string line; std::getline(file, line);) lines.push_back(parse_json(line).value());
  return lines;
}

// Links what `add` builds behind the rules of JSON.
Result<Automaton> link(const std::function<Result<ExprId>(Grammar&)>& add) {
  Budget budget;
  Grammar grammar(budget);
  add_json_rules(grammar);
  auto root = add(grammar);
  if (!root.has_value()) return std::move(root).error();
  grammar.root = grammar.add_rule("root", *root);
  grammar.rules[grammar.root].apart = true;
  return Automaton::link(grammar, &vocabulary().json());
}

void expect_exact_masks(const Automaton& automaton, std::mt19937& random, const std::string& name) {
  const TokenTrie& trie = vocabulary().trie();
  MaskCache masks(automaton, trie, &vocabulary().json_masks());
  std::vector<std::uint64_t> mask(trie.mask_word_count());
  Position position(automaton);
  for (int step = 0; step < 24; ++step) {
    ASSERT_TRUE(masks.fill(position, mask));
    std::vector<TokenId> allowed;
    std::vector<TokenId> special;
    for (TokenId id = 0; id < trie.vocab_size(); ++id) {
      const std::string_view bytes = trie.bytes(id);
      Position copy = position;
      const bool fits = !bytes.empty() && copy.advance(bytes) == Position::Outcome::kMoved;
      ASSERT_EQ(request::allows(mask, id), fits)
          << name << ", step " << step << ", token " << id << " '" << bytes << "'";
      if (fits) allowed.push_back(id);
    }
    if (allowed.empty()) {
      EXPECT_TRUE(position.may_end()) << name;
      return;
    }
    const TokenId id = allowed[random() % allowed.size()];
    ASSERT_EQ(position.advance(trie.bytes(id)), Position::Outcome::kMoved);
  }
}

TEST(MaskCache, masks_of_schemas_are_exact) {
  std::mt19937 random(1);
  for (const Value& line : read_lines("schemas.jsonl")) {
    const std::string& name = *line.find("name")->as_string();
    const auto automaton = link([&](Grammar& grammar) -> Result<ExprId> {
      std::uint32_t root = 0;
      RETURN_IF_ERROR(add_schema(grammar, *line.find("schema"), {}, root));
      return grammar.expressions.rule(root);
    });
    ASSERT_TRUE(automaton.has_value()) << name << ": " << automaton.error().to_string();
    expect_exact_masks(*automaton, random, name);
  }
}

TEST(MaskCache, masks_of_grammars_are_exact) {
  std::mt19937 random(2);
  for (const Value& line : read_lines("grammars.jsonl")) {
    const std::string& name = *line.find("name")->as_string();
    const auto automaton = link([&](Grammar& grammar) -> Result<ExprId> {
      RETURN_IF_ERROR(add_grammar_text(grammar, *line.find("grammar")->as_string()));
      return grammar.expressions.rule(grammar.root);
    });
    ASSERT_TRUE(automaton.has_value()) << name << ": " << automaton.error().to_string();
    for (int i = 0; i < 3; ++i) expect_exact_masks(*automaton, random, name);
  }
}

TEST(MaskCache, masks_of_expressions_are_exact) {
  std::mt19937 random(3);
  for (const Value& line : read_lines("regexes.jsonl")) {
    const std::string& pattern = *line.as_string();
    const auto automaton = link([&](Grammar& grammar) -> Result<ExprId> {
      ASSIGN_OR_RETURN(Dfa dfa, compile_regex(grammar.expressions, pattern, Spelling::kPlain));
      return grammar.expressions.dfa(std::move(dfa));
    });
    ASSERT_TRUE(automaton.has_value()) << pattern << ": " << automaton.error().to_string();
    expect_exact_masks(*automaton, random, pattern);
  }
}

TEST(MaskCache, the_words_of_any_json_are_exact) {
  std::mt19937 random(4);
  for (int i = 0; i < 4; ++i) {
    const auto automaton = link(
        [](Grammar& grammar) -> Result<ExprId> { return grammar.expressions.rule(kJsonValue); });
    ASSERT_TRUE(automaton.has_value());
    expect_exact_masks(*automaton, random, "any JSON");
  }
}

}  // namespace
}  // namespace inferneo::text::grammar
