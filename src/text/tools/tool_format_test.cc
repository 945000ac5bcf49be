// Replies in each format, whole and cut at every place: the parts are the same.
#include "text/tools/tool_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/json.h"
#include "text/tools/python_call.h"

namespace inferneo::text {
namespace {

struct Call {
  std::string name;
  std::string arguments;
  std::string id;
  bool operator==(const Call&) const = default;
};

struct Reply {
  std::string text;
  std::vector<Call> calls;
  bool operator==(const Reply&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Reply& reply) {
  out << "text [" << reply.text << "]";
  for (const Call& call : reply.calls) {
    out << " call [" << call.name << "](" << call.arguments << ")" << call.id;
  }
  return out;
}

void add(Reply& reply, const std::vector<ReplyPart>& parts) {
  for (const ReplyPart& part : parts) {
    switch (part.kind) {
      case ReplyPart::Kind::kText:
        reply.text += part.text;
        break;
      case ReplyPart::Kind::kReasoning:
        reply.text += "<reasoning:" + part.text + ">";
        break;
      case ReplyPart::Kind::kCall:
        EXPECT_EQ(part.call, static_cast<std::int32_t>(reply.calls.size()));
        reply.calls.push_back({.name = part.text, .arguments = {}, .id = part.id});
        break;
      case ReplyPart::Kind::kArguments:
        EXPECT_EQ(part.call, static_cast<std::int32_t>(reply.calls.size()) - 1);
        reply.calls.back().arguments += part.text;
        break;
    }
  }
}

ToolList tools() {
  static const ToolList kTools = std::make_shared<const Value>(
      parse_json(R"([{"type":"function","function":{"name":"weather","parameters":{"type":"object",
        "properties":{"city":{"type":"string"},"days":{"type":"integer"},"code":{"type":"string"},
        "deep":{"type":"object"}}}}},
        {"type":"function","function":{"name":"now"}}])")
          .value());
  return kTools;
}

Reply parse(std::string_view format, const std::vector<std::string_view>& pieces, bool one_call) {
  ReplyOptions options;
  options.tool_format = find_tool_format(format);
  options.tools = tools();
  options.one_call = one_call;
  ReplyParser parser(options);
  Reply reply;
  for (const std::string_view piece : pieces) {
    std::vector<ReplyPart> parts;
    parser.push(piece, parts);
    add(reply, parts);
  }
  std::vector<ReplyPart> parts;
  parser.finish(parts);
  add(reply, parts);
  return reply;
}

struct Case {
  std::string_view format;
  std::string text;
  Reply expected;
  bool one_call = false;
};

const Call kParis{.name = "weather", .arguments = R"({"city": "Paris"})", .id = {}};
const Call kNow{.name = "now", .arguments = "{}", .id = {}};
const std::string kParisJson = R"({"name": "weather", "arguments": {"city": "Paris"}})";
const std::string kNowJson = R"({"name": "now", "arguments": {}})";

std::vector<Case> tagged_cases(std::string_view format) {
  const std::string call = "<tool_call>\n" + kParisJson + "\n</tool_call>";
  const std::string now = "<tool_call>" + kNowJson + "</tool_call>";
  return {
      {format, "Hello there.\n", {"Hello there.\n", {}}},
      {format, "", {"", {}}},
      {format, "  \n", {"  \n", {}}},
      {format, call, {"", {kParis}}},
      {format, "I look.\n" + call, {"I look.", {kParis}}},
      {format, call + "\n" + now + "\n", {"", {kParis, kNow}}},
      {format, call + "\nDone, see  above. ", {"Done, see  above.", {kParis}}},
      {format, call + now, {"", {kParis}}, true},
      {format, call + "\nDone", {"", {kParis}}, true},
      {format, "a < b <tool", {"a < b <tool", {}}},
      {format, "<tool_cal>x", {"<tool_cal>x", {}}},
      {format, "<tool_call>", {"<tool_call>", {}}},
      {format, "<tool_call>\nno call\n</tool_call>", {"<tool_call>\nno call\n</tool_call>", {}}},
      {format, "<tool_call>{\"x\": 1}</tool_call>", {"<tool_call>{\"x\": 1}</tool_call>", {}}},
      {format,
       "<tool_call>{\"name\": 5, \"arguments\": {}}",  // no name
       {"<tool_call>{\"name\": 5, \"arguments\": {}}", {}}},
      {format, "<tool_call>{'name': 'x'}", {"<tool_call>{'name': 'x'}", {}}},
      {format, "<tool_call>{\"name\": \"weather\"", {"<tool_call>{\"name\": \"weather\"", {}}},
      {format, "<tool_call>{ " + call, {"<tool_call>{", {kParis}}},
      {format, "<tool_call>{\"name\": \"now\"}</tool_call>", {"", {kNow}}},
      {format, "<tool_call>{\"name\": \"now\", \"arguments\": null}</tool_call>", {"", {kNow}}},
      {format,
       R"(<tool_call>{"arguments": {"city": "Paris"}, "name": "weather"}</tool_call>)",
       {"", {kParis}}},
      {format,
       R"(<tool_call>{"type":"function","name":"weather","parameters":{"city": "Paris"}}</tool_call>)",
       {"", {kParis}}},
      {format,
       R"(<tool_call>{"name": "weather", "arguments": "{\"city\": \"Paris\"}"}</tool_call>)",
       {"", {kParis}}},
      {format,
       R"(<tool_call>{"name": "weather", "arguments": {"city": "Paris"}</tool_call> ok)",
       {"ok", {kParis}}},
      {format,
       R"(<tool_call>{"name": "weather", "arguments": {"city": "Pa)",
       {"", {{"weather", R"({"city": "Pa)", {}}}}},
      {format,
       R"(<tool_call>{"name": "f", "arguments": {"a": "}{\"]</tool_call>", "b": [1, {}]}}</tool_call>)",
       {"", {{"f", R"({"a": "}{\"]</tool_call>", "b": [1, {}]})", {}}}}},
      {format,
       "<tool_call>[" + kParisJson + ", " + kNowJson + "]</tool_call>",
       {"", {kParis, kNow}}},
      {format, "<tool_call>" + kParisJson + "\n" + kNowJson + "</tool_call>", {"", {kParis, kNow}}},
      {format, "<tool_call>" + kParisJson, {"", {kParis}}},
      {format, "<tool_call>" + kParisJson + "</tool", {"", {kParis}}},
      {format,
       "caf\xc3\xa9 \xe2\x82\xac <tool_call>" + kNowJson,
       {"caf\xc3\xa9 \xe2\x82\xac", {kNow}}},
      {format,
       R"(<tool_call>{"name": "caf\u00e9", "arguments": {}}</tool_call>)",
       {"", {{"caf\xc3\xa9", "{}", {}}}}},
  };
}

std::vector<Case> xml_cases() {
  const std::string call =
      "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n"
      "</tool_call>";
  return {
      {"qwen", call, {"", {kParis}}},
      {"qwen", "Let me see. " + call + "\n" + call, {"Let me see.", {kParis, kParis}}},
      {"qwen",
       "<function=weather><parameter=city>Paris</parameter><parameter=days>3</parameter></"
       "function>",
       {"", {{"weather", R"({"city": "Paris", "days": 3})", {}}}}},
      {"qwen", "<tool_call><function=now></function></tool_call>", {"", {kNow}}},
      {"qwen", "<tool_call><function=now>", {"", {kNow}}},
      {"qwen",
       "<function=weather><parameter=code>\nif a < b:\n  "
       "print(\"<x>\")\n</parameter></function>",
       {"", {{"weather", R"j({"code": "if a < b:\n  print(\"<x>\")"})j", {}}}}},
      {"qwen",
       "<function=f><parameter=a>True</parameter><parameter=b>[1, 2]</parameter>"
       "<parameter=c>not json</parameter></function>",
       {"", {{"f", R"({"a": true, "b": [1, 2], "c": "not json"})", {}}}}},
      {"qwen",
       "<function=weather><parameter=city>12</parameter></function>",
       {"", {{"weather", R"({"city": "12"})", {}}}}},
      {"qwen", "<function", {"<function", {}}},
      {"qwen", "<function=we", {"<function=we", {}}},
  };
}

std::vector<Case> bare_cases(std::string_view format) {
  const std::string call = R"({"name": "weather", "parameters": {"city": "Paris"}})";
  const std::string now = R"({"name": "now", "parameters": {}})";
  return {
      {format, "Hello { you }", {"Hello { you }", {}}},
      {format, call, {"", {kParis}}},
      {format, "\n " + call + "\n", {"", {kParis}}},
      {format, call + "; " + now, {"", {kParis, kNow}}},
      {format, call + ", " + now, {"", {kParis, kNow}}},
      {format, "[" + call + ", " + now + "]", {"", {kParis, kNow}}},
      {format, R"({"name": "Bob", "age": 4})", {R"({"name": "Bob", "age": 4})", {}}},
      {format, R"({"answer": 42})", {R"({"answer": 42})", {}}},
      {format, "[1, 2]", {"[1, 2]", {}}},
      {format, "{", {"{", {}}},
      {format, "[", {"[", {}}},
  };
}

std::vector<Case> mistral_cases() {
  const std::string calls = "[TOOL_CALLS]";
  return {
      {"mistral", "Hello [there]", {"Hello [there]", {}}},
      {"mistral", calls + "[" + kParisJson + "]", {"", {kParis}}},
      {"mistral", calls + " [" + kParisJson + ", " + kNowJson + "]", {"", {kParis, kNow}}},
      {"mistral", "Yes." + calls + "[" + kParisJson + "]", {"Yes.", {kParis}}},
      {"mistral", calls + R"(weather{"city": "Paris"})", {"", {kParis}}},
      {"mistral",
       calls + R"(weather[ARGS]{"city": "Paris"})" + calls + "now[ARGS]{}",
       {"", {kParis, kNow}}},
      {"mistral",
       calls + R"(weather[CALL_ID]abcDEF123[ARGS]{"city": "Paris"})",
       {"", {{"weather", R"({"city": "Paris"})", "abcDEF123"}}}},
      {"mistral",
       calls + R"([{"name": "weather", "arguments": {"city": "Paris"}, "id": "x12345678"}])",
       {"", {kParis}}},
      {"mistral",
       calls + R"([{"id": "x12345678", "name": "weather", "arguments": {"city": "Paris"}}])",
       {"", {{"weather", R"({"city": "Paris"})", "x12345678"}}}},
      {"mistral", calls, {calls, {}}},
      {"mistral", calls + "[{\"x\": 1}]", {calls + "[{\"x\": 1}]", {}}},
      {"mistral", calls + "some words here", {calls + "some words here", {}}},
      {"mistral", calls + R"(weather{"city": "Pa)", {"", {{"weather", R"({"city": "Pa)", {}}}}},
      {"mistral", "[TOOL_CALL", {"[TOOL_CALL", {}}},
  };
}

std::vector<Case> pythonic_cases() {
  return {
      {"pythonic", "Hello", {"Hello", {}}},
      {"pythonic", "[1] is a note", {"[1] is a note", {}}},
      {"pythonic", "[weather(city=\"Paris\")]", {"", {kParis}}},
      {"pythonic", "[weather(city='Paris'), now()]", {"", {kParis, kNow}}},
      {"pythonic", "<|python_start|>[now()]<|python_end|>", {"", {kNow}}},
      {"pythonic", "[now()] Done", {"Done", {kNow}}},
      {"pythonic",
       "[weather(city=\"a,)b\", days=-3, deep={'x': [True, None, (1, 2.5)]})]",
       {"",
        {{"weather", R"({"city": "a,)b", "days": -3, "deep": {"x":[true,null,[1,2.5]]}})", {}}}}},
      {"pythonic", "[unknown(x=1)]", {"[unknown(x=1)]", {}}},
      {"pythonic", "[weather", {"[weather", {}}},
      {"pythonic", "[", {"[", {}}},
      {"pythonic", "[weather(days=1+1)]", {"", {{"weather", R"({"days": "1+1"})", {}}}}},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  const auto append = [&](std::vector<Case> more) {
    cases.insert(cases.end(), more.begin(), more.end());
  };
  for (const char* format : {"hermes", "qwen", "generic"}) append(tagged_cases(format));
  append(xml_cases());
  for (const char* format : {"llama3_json", "generic"}) append(bare_cases(format));
  cases.push_back({"llama3_json", "<|python_tag|>" + kParisJson, {"", {kParis}}});
  cases.push_back(
      {"llama3_json", "So: <|python_tag|>print(1)", {"So: <|python_tag|>print(1)", {}}});
  cases.push_back({"generic", "Sure:\n```json\n" + kParisJson + "\n```\n", {"Sure:", {kParis}}});
  cases.push_back({"generic", "```json\n{\"a\": 1}\n```", {"```json\n{\"a\": 1}\n```", {}}});
  append(mistral_cases());
  append(pythonic_cases());
  return cases;
}

TEST(tool_formats, whole_replies) {
  for (const Case& c : all_cases()) {
    EXPECT_EQ(parse(c.format, {c.text}, c.one_call), c.expected) << c.format << ": " << c.text;
  }
}

TEST(tool_formats, parts_do_not_depend_on_the_cuts) {
  for (const Case& c : all_cases()) {
    const std::string_view text = c.text;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(parse(c.format, {text.substr(0, cut), text.substr(cut)}, c.one_call), c.expected)
          << c.format << ": " << c.text << " cut at " << cut;
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
    ASSERT_EQ(parse(c.format, bytes, c.one_call), c.expected) << c.format << ": " << c.text;
  }
}

TEST(tool_formats, arguments_stream_before_the_call_ends) {
  ReplyOptions options;
  options.tool_format = find_tool_format("hermes");
  ReplyParser parser(options);
  std::vector<ReplyPart> parts;
  parser.push("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"ci", parts);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].kind, ReplyPart::Kind::kCall);
  EXPECT_EQ(parts[1].text, "{\"ci");
}

TEST(tool_formats, are_chosen_by_the_template) {
  EXPECT_EQ(choose_tool_format("{{ '<tool_call>' }}")->name, "hermes");
  EXPECT_EQ(choose_tool_format("<tool_call><function=f><parameter=p>")->name, "qwen");
  EXPECT_EQ(choose_tool_format("[TOOL_CALLS]")->name, "mistral");
  EXPECT_EQ(choose_tool_format("<|python_tag|>")->name, "llama3_json");
  EXPECT_EQ(choose_tool_format("<|start_header_id|> \"parameters\"")->name, "llama3_json");
  EXPECT_EQ(choose_tool_format("<|python_start|>")->name, "pythonic");
  EXPECT_EQ(choose_tool_format("{{ messages }}")->name, "generic");
  EXPECT_EQ(find_tool_format("no such"), nullptr);
}

TEST(python_literals, become_json) {
  EXPECT_EQ(python_literal_json("'a\\n\\'\\x41\\u20ac'").value(), "\"a\\n'A\xe2\x82\xac\"");
  EXPECT_EQ(python_literal_json("(1, 'x', None,)").value(), "[1,\"x\",null]");
  EXPECT_EQ(python_literal_json("{}").value(), "{}");
  for (const char* bad : {"", "'open", "[1", "{1: 2}", "a b", "1 2", "{'a'}"}) {
    EXPECT_FALSE(python_literal_json(bad).has_value()) << bad;
  }
  EXPECT_FALSE(python_literal_json(std::string(5000, '[')).has_value());
}

}  // namespace
}  // namespace inferneo::text
