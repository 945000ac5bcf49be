#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "text/grammar/constraint_compiler.h"
#include "text/grammar/either.h"
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
  auto made = compiler().json_schema(parse_json(json).value(), compact);
  if (!made.has_value()) {
    ADD_FAILURE() << json << ": " << made.error().to_string() << " @" << made.error().where();
    return nullptr;
  }
  return *made;
}

Status schema_error(std::string_view json) {
  return compiler().json_schema(parse_json(json).value(), false).status();
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
  const ConstraintPtr object = compiler().json_object(false).value();
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
  const ConstraintPtr date = compiler().regex(R"(\d{4}-(0[1-9]|1[0-2])-[0-3]\d)").value();
  EXPECT_TRUE(allows_text(date, "2024-02-29"));
  EXPECT_FALSE(allows_text(date, "2024-13-01"));
  const std::vector<std::string> choices{"yes", "no", "yes, sir"};
  const ConstraintPtr choice = compiler().choice(choices).value();
  EXPECT_TRUE(allows_text(choice, "yes"));
  EXPECT_TRUE(allows_text(choice, "yes, sir"));
  EXPECT_FALSE(allows_text(choice, "yes,"));
}

TEST(Constraint, grammar_texts) {
  const ConstraintPtr sum = compiler()
                                .grammar(
                                    "root ::= term (\"+\" term)*\n"
                                    "term ::= [0-9]+ | \"(\" root \")\"\n")
                                .value();
  EXPECT_TRUE(allows_text(sum, "1+(2+34)+5"));
  EXPECT_FALSE(allows_text(sum, "1+(2+34+5"));
  const ConstraintPtr lark = compiler()
                                 .grammar(
                                     "start: expr\nexpr: expr \"+\" NUMBER | NUMBER\n"
                                     "%import common.NUMBER\n%import common.WS\n%ignore WS\n")
                                 .value();
  EXPECT_TRUE(allows_text(lark, "1 + 2.5+3"));
  EXPECT_FALSE(allows_text(lark, "1 + "));
}

TEST(Constraint, either_is_kept_and_the_common_beginning_may_become_both) {
  const ConstraintPtr numbers = compiler().regex("[0-9]{2,4}").value();
  const ConstraintPtr dates = compiler().regex("[0-9]{4}-[0-9]{2}").value();
  const ConstraintPtr either = make_either(numbers, dates);
  for (const char* text : {"12", "1234", "1234-56"}) EXPECT_TRUE(allows_text(either, text)) << text;
  for (const char* text : {"1", "12345", "123-45", "1234-5", "a", ""}) {
    EXPECT_FALSE(allows_text(either, text)) << text;
  }
  EXPECT_GE(either->size_bytes(), numbers->size_bytes() + dates->size_bytes());
}

ToolCallsShape hermes(const Value& parameters) {
  ToolCallsShape shape;
  shape.tools.push_back({"get_weather", &parameters, "tools[0].function.parameters"});
  shape.tools.push_back({"get_time", nullptr, "tools[1].function.parameters"});
  shape.call.begin = "<tool_call>\n{\"name\": \"";
  shape.call.middle = "\", \"arguments\": ";
  shape.call.end = "}\n</tool_call>";
  shape.call.separator = "\n";
  return shape;
}

TEST(Constraint, tool_calls_keep_to_their_schemas) {
  const Value parameters =
      parse_json(R"({"properties":{"city":{"type":"string"}},"required":["city"],
                     "additionalProperties":false})")
          .value();
  const std::string call =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
  const std::string time = "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>";
  const std::string wrong =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"town\": 1}}\n</tool_call>";
  ToolCallsShape shape = hermes(parameters);
  const ConstraintPtr required = compiler().tool_calls(shape).value();
  EXPECT_TRUE(allows_text(required, call));
  EXPECT_TRUE(allows_text(required, call + "\n" + time));
  EXPECT_FALSE(allows_text(required, wrong));
  EXPECT_FALSE(allows_text(required, "Hello"));
  EXPECT_FALSE(allows_text(required, ""));
  shape.call_count_max = 1;
  EXPECT_FALSE(allows_text(compiler().tool_calls(shape).value(), call + "\n" + time));
  shape.call_count_max = 0;
  shape.text_allowed = true;
  const ConstraintPtr automatic = compiler().tool_calls(shape).value();
  EXPECT_TRUE(allows_text(automatic, ""));
  EXPECT_TRUE(allows_text(automatic, "Hello <b> \xc3\xa4 {\"name\": 5}"));
  EXPECT_TRUE(allows_text(automatic, "I will look.\n" + call + "\n" + time + " Done."));
  EXPECT_FALSE(allows_text(automatic, "I will look.\n" + wrong));
  EXPECT_FALSE(allows_text(automatic, "I will look.\n<tool_call> oops"));
}

TEST(Constraint, tool_calls_in_python_and_behind_special_tokens) {
  const Value parameters =
      parse_json(R"({"type":"object","properties":{"city":{"type":"string"},"on":{"type":"boolean"},
                     "days":{"type":["integer","null"]}},"required":["city"]})")
          .value();
  ToolCallsShape shape;
  shape.tools.push_back({"look", &parameters, "tools[0].function.parameters"});
  shape.call.list_begin = "<|reserved_0|>[";
  shape.call.middle = "(";
  shape.call.end = ")";
  shape.call.separator = ", ";
  shape.call.list_end = "]";
  shape.call.pythonic = true;
  const ConstraintPtr calls = compiler().tool_calls(shape).value();
  EXPECT_TRUE(allows_text(calls, R"(<|reserved_0|>[look(city="Rome", on=True, days=None)])"));
  EXPECT_TRUE(allows_text(calls, R"(<|reserved_0|>[look(city="a"), look(city="b", days=3)])"));
  EXPECT_FALSE(allows_text(calls, R"(<|reserved_0|>[look(on=True)])"));
  EXPECT_FALSE(allows_text(calls, R"(<|reserved_0|>[look(city="a", on=true)])"));
  EXPECT_FALSE(allows_text(calls, R"([look(city="a")])"));
  shape.tools[0].parameters = nullptr;
  const Value bad = parse_json(R"({"properties":{"a":{"not":{}}}})").value();
  shape.tools[0].parameters = &bad;
  EXPECT_EQ(compiler().tool_calls(shape).status().where(),
            "tools[0].function.parameters#/properties/a/not");
}

TEST(Constraint, caches_are_bounded_and_equal_requests_share) {
  ConstraintCompiler own(starter());
  const ConstraintPtr first = own.regex("a+").value();
  EXPECT_EQ(own.regex("a+").value(), first);
  for (int i = 0; i < 500; ++i) {
    const ConstraintPtr made = own.regex(str("b{", i, "}c*")).value();
    (void)made->start()->mask();
  }
  EXPECT_LE(own.usage().size_bytes, limits::kGrammarCacheSizeMax);
  EXPECT_GT(own.usage().count, 100U);
}

TEST(Constraint, hostile_grammars_are_refused_soon) {
  // Each rule is known to end only when the next one is.
  std::string chain = "root ::= a0\n";
  for (int i = 0; i < 9000; ++i)
    chain += str("a", i, " ::= \"x\" a", i + 1, " a", i + 1, " \"y\"\n");
  chain += "a9000 ::= \"z\"\n";
  const auto made = compiler().grammar(chain);
  EXPECT_TRUE(made.has_value() || !made.error().message().empty());
  std::string left = "root ::= a0\n";
  for (int i = 0; i < 300; ++i) left += str("a", i, " ::= a", i + 1, " a", i + 1, " \"y\"{90}\n");
  left += "a300 ::= \"z\"\n";
  EXPECT_NE(compiler().grammar(left).status().message().find("begin with each other"),
            std::string::npos);
  EXPECT_FALSE(compiler().grammar("root ::= \"a\"" + std::string(50000, '*')).has_value());
  std::string classes;
  for (int i = 0; i < 5000; ++i) classes += "\\W\\D";
  EXPECT_FALSE(compiler().regex(classes).has_value());
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
