#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "text/json.h"

namespace inferneo::text {
namespace {

Value json(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value.has_value()) << value.status().to_string();
  return value.has_value() ? *std::move(value) : Value();
}

Result<std::string> render(std::string_view source, std::string_view variables = "{}") {
  ASSIGN_OR_RETURN(const auto compiled, ChatTemplate::compile(source, "", ""));
  return compiled->render_variables(json(variables));
}

std::string failure(std::string_view source, std::string_view variables = "{}") {
  const auto result = render(source, variables);
  if (result.has_value()) return "rendered: " + *result;
  return std::string(status_code_name(result.error().code())) + ": " + result.error().message();
}

// Compares a rendering with what the golden says: a text, or a failure with or without its message.
void expect_golden(const Value& golden, const std::string& source, const Value& variables) {
  const auto compiled = ChatTemplate::compile(source, "", "");
  const auto result = compiled.has_value() ? (*compiled)->render_variables(variables)
                                           : Result<std::string>(compiled.error());
  if (const Value* expected = golden.find("expected")) {
    EXPECT_EQ(result.has_value() ? *result : result.error().to_string(), *expected->as_string())
        << source << "\n"
        << to_json(variables);
    return;
  }
  EXPECT_FALSE(result.has_value()) << source << "\nrendered: " << *result;
  const Value* message = golden.find("message");
  if (message && !result.has_value()) {
    EXPECT_EQ(result.error().message(), *message->as_string()) << source;
  }
}

class TemplateGoldens : public ::testing::Test {};

// Cases made with jinja2 as transformers sets it up (tools/make_template_goldens.py).
TEST_F(TemplateGoldens, every_case_renders_as_jinja2_does) {
  std::ifstream file(INFERNEO_SOURCE_DIR "/tests/text/templates.jsonl");
  ASSERT_TRUE(file.is_open());
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const Value golden = json(line);
    expect_golden(golden, *golden.find("template")->as_string(), *golden.find("variables"));
  }
  EXPECT_GE(count, 300);
}

// Chat templates written in the manner of the families', each with the same message lists: tools,
// calls and their results, texts in parts, thinking, several systems of roles.
TEST_F(TemplateGoldens, every_chat_renders_as_transformers_does) {
  const std::string folder = INFERNEO_SOURCE_DIR "/tests/text/";
  const auto whole = [&](const std::string& name) {
    std::ifstream file(folder + "cases/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const Value conversations = json(whole("conversations.json"));
  std::ifstream file(folder + "chats.jsonl");
  ASSERT_TRUE(file.is_open());
  std::map<std::string, int> counts;
  for (std::string line; std::getline(file, line);) {
    const Value golden = json(line);
    const std::string& name = *golden.find("file")->as_string();
    const auto index = static_cast<std::size_t>(*golden.find("conversation")->as_int());
    expect_golden(golden, whole(name), conversations.as_list()->at(index));
    ++counts[name];
  }
  EXPECT_GE(counts.size(), 18u);
  for (const auto& [name, count] : counts) EXPECT_GE(count, 30) << name;
}

TEST(ChatTemplate, starter_template_renders_from_its_directory) {
  const auto compiled = load_chat_template(INFERNEO_SOURCE_DIR "/models/starter");
  ASSERT_TRUE(compiled.has_value()) << compiled.error().to_string();
  ChatInput input;
  input.messages = json(R"([{"role": "user", "content": "Tell me a story."}])");
  const auto text = (*compiled)->render(input);
  ASSERT_TRUE(text.has_value()) << text.error().to_string();
  EXPECT_EQ(*text, "<|im_start|>user\nTell me a story.<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, render_gives_the_variables_of_transformers) {
  const auto compiled = ChatTemplate::compile(
      "{{ bos_token }}|{{ eos_token is defined }}|{{ tools }}|{{ documents }}|{{ custom }}|"
      "{{ add_generation_prompt }}",
      "<s>",
      "");
  ASSERT_TRUE(compiled.has_value());
  ChatInput input;
  input.arguments = json(R"({"custom": [1, 2.5]})");
  input.add_generation_prompt = false;
  EXPECT_EQ(*(*compiled)->render(input), "<s>|False|None|None|[1, 2.5]|False");
  input.arguments = json(R"({"messages": []})");
  EXPECT_EQ((*compiled)->render(input).error().message(),
            "the template argument 'messages' is set by the request");
  input.arguments = json("[1]");
  EXPECT_FALSE((*compiled)->render(input).has_value());
}

TEST(ChatTemplate, syntax_errors_name_line_and_column) {
  const auto message = [](std::string_view source) {
    const auto compiled = ChatTemplate::compile(source, "", "");
    return compiled.has_value() ? "compiled" : compiled.error().to_string();
  };
  EXPECT_EQ(message("a\n{{ x + }}"),
            "invalid_argument: unexpected '}}' [at chat template line 2, column 8]");
  EXPECT_EQ(message("{% if x %}\n  {% endfor %}"),
            "invalid_argument: Encountered unknown tag 'endfor'. [at chat template line 2, column "
            "3]");
  EXPECT_EQ(message("{{ 'abc }}"),
            "invalid_argument: this string is not closed [at chat template line 1, column 4]");
  EXPECT_EQ(message("{% include 'x' %}"),
            "unsupported: the tag 'include' is not supported in chat templates [at chat template "
            "line 1, column 1]");
  EXPECT_EQ(message("{{ x|nothing }}"),
            "unsupported: no filter named 'nothing' [at chat template line 1, column 6]");
  EXPECT_EQ(message("{{ x is nothing }}"),
            "unsupported: no test named 'nothing' [at chat template line 1, column 9]");
  EXPECT_EQ(message("{{ 99999999999999999999 }}"),
            "invalid_argument: an integer does not fit into 64 bits [at chat template line 1, "
            "column 4]");
  EXPECT_EQ(message("\xFF"), "invalid_argument: the chat template is not valid UTF-8");
}

TEST(ChatTemplate, run_time_errors_name_the_place) {
  const auto result = render("\n {{ a.b }}", R"({"a": 1})");
  ASSERT_TRUE(result.has_value());
  const auto failed = render("\n {{ a.b.c }}", R"({"a": 1})");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message(), "'int object' has no attribute 'b'");
  EXPECT_EQ(failed.error().where(), "chat template line 2, column 8");
  EXPECT_EQ(failure("{{ raise_exception('Roles must alternate') }}"),
            "invalid_argument: Roles must alternate");
}

// Each of these would run for ages, fill the memory or overflow the stack.
TEST(ChatTemplate, hostile_templates_end_at_a_bound) {
  const std::string many(10000, '(');
  const std::string nots = [] {
    std::string text;
    for (int i = 0; i < 10000; ++i) text += "not ";
    return text;
  }();
  std::string sum = "{{ 1";
  for (int i = 0; i < 100000; ++i) sum += "+1";
  std::string dots = "{{ a";
  for (int i = 0; i < 100000; ++i) dots += ".a";
  std::string ifs;
  for (int i = 0; i < 10000; ++i) ifs += "{% if a %}";
  std::string pipes = "{{ a";
  for (int i = 0; i < 100000; ++i) pipes += "|list";
  std::string lists = "{{ " + std::string(10000, '[');
  const std::string sources[] = {
      "{{ " + many + "1",
      "{{ " + nots + "1 }}",
      "{{ " + std::string(20000, '-') + "1 }}",
      sum + " }}",
      dots + " }}",
      pipes + " }}",
      ifs,
      lists,
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% for a in range(1000000000) %}{% endfor %}",
      "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{% for a in [1] recursive %}{{ loop([1, 2]) }}{{ loop([3]) }}{% endfor %}",
      "{% macro m() %}{% for a in [1] recursive %}{{ loop([1]) }}{{ m() }}{% endfor %}{% endmacro "
      "%}{{ m() }}",
      "{{ 'a' * 10000000000 }}",
      "{{ [1] * 10000000000 }}",
      "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x "
      "%}{% endfor %}",
      "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(100) %}{% set ns.x = "
      "ns.x.replace('a', 'aaaaaaaa') %}{% endfor %}",
      "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(100) %}{% set ns.x = "
      "ns.x.join(ns.x) %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% "
      "endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% "
      "endfor %}{{ ns.x|tojson }}",
      "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] "
      "%}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
      "{% set ns = namespace(x=(1,)) %}{% for i in range(90) %}{% set ns.x = (ns.x, ns.x) %}{% "
      "endfor %}{{ {ns.x: 1} }}",
      "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns }}",
      "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
      "{% macro m(x) %}{{ x() }}{% call m(caller) %}{% endcall %}{% endmacro %}{{ m(m) }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ 2 ** 64 }}",
      "{{ -9223372036854775807 - 2 }}",
      "{{ 3037000500 * 3037000500 }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ 'a'.center(10000000000) }}",
      "{{ ('a' * 1000000)|indent(1000000000) }}",
      "{{ [1]|batch(10000000000, 1)|list }}",
      "{{ [1]|slice(10000000000)|list }}",
      "{{ 1|tojson(indent=100000000) }}",
      "{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}",
  };
  for (const std::string& source : sources) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(render(source).has_value()) << source.substr(0, 200);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took.count(), 20) << source.substr(0, 200);
  }
}

TEST(ChatTemplate, nothing_of_the_host_language_is_reachable) {
  EXPECT_EQ(failure("{{ ''.__class__.__mro__ }}"),
            "invalid_argument: access to attribute '__class__' of 'str' object is unsafe.");
  EXPECT_EQ(failure("{{ [].append(1) }}"),
            "invalid_argument: access to attribute 'append' of 'list' object is unsafe.");
  EXPECT_EQ(failure("{{ {}.update({}) }}"),
            "invalid_argument: access to attribute 'update' of 'dict' object is unsafe.");
  EXPECT_EQ(failure("{{ lipsum() }}"),
            "unsupported: the function lipsum() is not supported in chat templates");
  EXPECT_EQ(failure("{{ 'a'.encode() }}"),
            "unsupported: the method str.encode() is not supported in chat templates");
}

TEST(ChatTemplate, values_that_hold_themselves_leave_nothing_behind) {
  EXPECT_TRUE(render("{% set ns = namespace() %}{% set ns.x = [ns] %}").has_value());
  EXPECT_TRUE(render("{% for i in [1] %}{{ loop.changed(loop) }}{% endfor %}").has_value());
  EXPECT_TRUE(
      render("{% set ns = namespace() %}{% for i in [1] %}{% macro m() %}{{ i }}{% endmacro "
             "%}{% set ns.m = m %}{% endfor %}{{ ns.m() }}")
          .has_value());
}

TEST(ChatTemplate, time_is_the_local_one) {
  EXPECT_EQ(*render("{{ strftime_now('%Y')|length }}"), "4");
  EXPECT_EQ(*render("{{ strftime_now }}", R"({"strftime_now": 1})"), "1");
}

class TemplateDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::path(::testing::TempDir()) /
           (std::string("template_") +
            ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }
  std::string load_and_render() {
    const auto compiled = load_chat_template(dir_.string());
    if (!compiled.has_value()) return compiled.error().to_string();
    const auto text = (*compiled)->render({});
    return text.has_value() ? *text : text.error().to_string();
  }
  std::filesystem::path dir_;
};

TEST_F(TemplateDirectory, empty_directory_says_what_is_expected) {
  EXPECT_EQ(load_and_render(),
            "not_found: " + dir_.string() +
                " has no chat template (expected chat_template.jinja, or chat_template in "
                "tokenizer_config.json)");
}

TEST_F(TemplateDirectory, jinja_file_alone_is_enough_and_wins) {
  write("chat_template.jinja", "file {{ bos_token }}");
  EXPECT_EQ(load_and_render(), "file ");
  write("tokenizer_config.json", R"({"chat_template": "config", "bos_token": {"content": "<s>"}})");
  EXPECT_EQ(load_and_render(), "file <s>");
}

TEST_F(TemplateDirectory, json_files_hold_one_or_several) {
  write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(load_and_render(), "json");
  std::filesystem::remove(dir_ / "chat_template.json");
  write("tokenizer_config.json",
        R"({"eos_token": "</s>", "chat_template": [{"name": "tool_use", "template": "t"},
            {"name": "default", "template": "d{{ eos_token }}"}]})");
  EXPECT_EQ(load_and_render(), "d</s>");
}

TEST_F(TemplateDirectory, broken_files_are_named) {
  write("tokenizer_config.json", "{\"chat_template\": ");
  EXPECT_NE(load_and_render().find("corrupt_data: " + (dir_ / "tokenizer_config.json").string()),
            std::string::npos);
  write("tokenizer_config.json", "{\"chat_template\": 5}");
  EXPECT_NE(load_and_render().find("neither a string nor a list"), std::string::npos);
  write("tokenizer_config.json", "{\"chat_template\": \"{{\"}");
  EXPECT_NE(load_and_render().find("line 1, column 1"), std::string::npos);
}

TEST(Json, reads_and_writes) {
  EXPECT_EQ(to_json(json(R"( {"b": [1, -2.5, true, null], "a": {"x": "é\n\"\u0001"}} )")),
            R"({"b":[1,-2.5,true,null],"a":{"x":"é\n\"\u0001"}})");
  EXPECT_EQ(to_json(json("18446744073709551615")), "1.8446744073709552e+19");
  const auto code = [](std::string_view text) {
    return status_code_name(parse_json(text).status().code());
  };
  EXPECT_EQ(code(R"({"a": 1, "a": 2})"), "invalid_argument");
  EXPECT_EQ(code("[1, 2"), "invalid_argument");
  EXPECT_EQ(code("[1] 2"), "invalid_argument");
  EXPECT_EQ(code("\"\xFF\""), "invalid_argument");
  EXPECT_EQ(code("1e999"), "invalid_argument");
  EXPECT_EQ(code(""), "invalid_argument");
  EXPECT_EQ(code(std::string(65, '[') + std::string(65, ']')), "resource_exhausted");
  EXPECT_EQ(code(std::string(64, '[') + std::string(64, ']')), "ok");
  EXPECT_EQ(code(std::string(100000, '[')), "resource_exhausted");
}

}  // namespace
}  // namespace inferneo::text
