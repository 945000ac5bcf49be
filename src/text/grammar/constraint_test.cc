#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/grammar/constraint_compiler.h"
#include "text/grammar/position.h"
#include "text/json.h"

namespace inferneo::text::grammar {
namespace {

const std::string kStarter = std::string(INFERNEO_SOURCE_DIR) + "/models/starter";

std::shared_ptr<const Tokenizer> starter() {
  static const std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::load(kStarter).value();
  return tokenizer;
}

ConstraintCompiler& compiler() {
  static ConstraintCompiler compiler(starter());
  return compiler;
}

ConstraintPtr schema(std::string_view json, bool compact = false) {
  auto made = compiler().json_schema(parse_json(json).value(), compact, "");
  if (!made.has_value()) {
    ADD_FAILURE() << json << ": " << made.error().to_string() << " @" << made.error().where();
    return nullptr;
  }
  return *made;
}

Status schema_error(std::string_view json) {
  return compiler().json_schema(parse_json(json).value(), false, "").status();
}

// Whether the text, in the tokenizer's split, is accepted token by token (each one's bit checked)
// and may end there.
bool allows_text(const ConstraintPtr& constraint, std::string_view text) {
  if (constraint == nullptr) return false;
  const auto state = constraint->start();
  for (const TokenId id : starter()->encode(text, {.add_special_tokens = false})) {
    const bool allowed = request::allows(state->mask(), id);
    const bool accepted = state->accept(id);
    EXPECT_EQ(allowed, accepted) << text;
    if (!accepted) return false;
  }
  return state->may_end();
}

// The same byte by byte, with tokens of one byte.
bool allows_bytes(const ConstraintPtr& constraint, std::string_view text) {
  const auto state = constraint->start();
  for (const char c : text) {
    TokenId found = -1;
    for (TokenId id = 0; id < starter()->vocab_size() && found < 0; ++id) {
      if (!starter()->is_special(id) && starter()->token_bytes(id) == std::string_view(&c, 1))
        found = id;
    }
    EXPECT_GE(found, 0);
    const bool allowed = request::allows(state->mask(), found);
    EXPECT_EQ(allowed, state->accept(found));
    if (!allowed) return false;
  }
  return state->may_end();
}

TEST(Constraint, json_object_takes_objects_only) {
  const ConstraintPtr object = compiler().json_object(false, "").value();
  for (const char* good : {"{}",
                           R"({"a": 1})",
                           R"({"a":[1,2.5e3,-0,null,true,"x\u00e9\n"],"b":{"c":{}}})",
                           "{\n  \"a\": \"\xc3\xa4\xf0\x9f\x98\x80\",\n  \"b\": []\n}"}) {
    EXPECT_TRUE(allows_text(object, good)) << good;
    EXPECT_TRUE(allows_bytes(object, good)) << good;
  }
  for (const char* bad : {"[]",
                          "1",
                          "{",
                          "{\"a\"}",
                          "{\"a\":01}",
                          "{\"a\":1,}",
                          "{} ",
                          "{'a':1}",
                          "{\"a\":\"\\ud800\"}",
                          "{\"a\":\"\x01\"}"}) {
    EXPECT_FALSE(allows_text(object, bad)) << bad;
  }
}

TEST(Constraint, schema_of_an_object) {
  const ConstraintPtr person = schema(R"({"type":"object","properties":{
      "name":{"type":"string","minLength":2,"maxLength":5},
      "age":{"type":"integer","minimum":0,"maximum":150},
      "tags":{"type":"array","items":{"enum":["a","b"]},"minItems":1,"maxItems":2}},
      "required":["name","age"],"additionalProperties":false})");
  EXPECT_TRUE(allows_text(person, R"({"name": "Anna", "age": 7})"));
  EXPECT_TRUE(allows_text(person, R"({"name":"\u00e4\ud83d\ude00","age":150,"tags":["a","b"]})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "A", "age": 7})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "Annabe", "age": 7})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "Anna", "age": 151})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "Anna"})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "Anna", "age": 7, "tags": []})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "Anna", "age": 7, "tags": ["a", "b", "a"]})"));
  EXPECT_FALSE(allows_text(person, R"({"name": "Anna", "age": 7, "x": 1})"));
}

TEST(Constraint, errors_name_the_keyword) {
  const Status status = schema_error(R"({"properties":{"a":{"items":{"not":{}}}}})");
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_EQ(status.where(), "#/properties/a/items/not");
}

TEST(Constraint, regex_and_choice) {
  const ConstraintPtr date = compiler().regex(R"(\d{4}-(0[1-9]|1[0-2])-[0-3]\d)", "").value();
  EXPECT_TRUE(allows_text(date, "2024-02-29"));
  EXPECT_FALSE(allows_text(date, "2024-13-01"));
  const std::vector<std::string> choices{"yes", "no", "yes, sir"};
  const ConstraintPtr choice = compiler().choice(choices, "").value();
  EXPECT_TRUE(allows_text(choice, "yes"));
  EXPECT_TRUE(allows_text(choice, "yes, sir"));
  EXPECT_FALSE(allows_text(choice, "yes,"));
}

TEST(Constraint, grammar_texts) {
  const ConstraintPtr sum = compiler()
                                .grammar(
                                    "root ::= term (\"+\" term)*\n"
                                    "term ::= [0-9]+ | \"(\" root \")\"\n",
                                    "")
                                .value();
  EXPECT_TRUE(allows_text(sum, "1+(2+34)+5"));
  EXPECT_FALSE(allows_text(sum, "1+(2+34+5"));
  const ConstraintPtr lark = compiler()
                                 .grammar(
                                     "start: expr\nexpr: expr \"+\" NUMBER | NUMBER\n"
                                     "%import common.NUMBER\n%import common.WS\n%ignore WS\n",
                                     "")
                                 .value();
  EXPECT_TRUE(allows_text(lark, "1 + 2.5+3"));
  EXPECT_FALSE(allows_text(lark, "1 + "));
}

TEST(Constraint, starts_behind_a_mark) {
  const ConstraintPtr marked = compiler().json_object(true, "</think>").value();
  EXPECT_TRUE(allows_text(marked, "so <b></think{</think>{\"a\":1}"));
  EXPECT_FALSE(allows_text(marked, "so {\"a\":1}"));
}

TEST(Constraint, forced_text_comes_in_the_usual_split) {
  const ConstraintPtr one = schema(
      R"({"type":"object","properties":{"temperature":{"const":"very warm"}},
          "required":["temperature"],"additionalProperties":false})",
      true);
  const auto state = one->start();
  std::string text;
  for (const TokenId id : state->forced()) text += starter()->token_bytes(id);
  EXPECT_EQ(text, R"({"temperature":"very warm"})");
  for (const TokenId id : std::vector<TokenId>(state->forced().begin(), state->forced().end())) {
    EXPECT_TRUE(request::allows(state->mask(), id));
    EXPECT_TRUE(state->accept(id));
  }
  EXPECT_TRUE(state->must_end());
}

}  // namespace
}  // namespace inferneo::text::grammar
