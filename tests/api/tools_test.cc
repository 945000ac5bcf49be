// Tools and reasoning in chat answers, whole and streamed, as the SDKs read them.
#include <map>

#include "fake_service.h"
#include "scripted.h"

namespace inferneo::api_test {
namespace {

namespace endpoints = gateway::endpoints;

const std::string kCall =
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
const std::string kNow = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

// A message put together from chunks, by the rules of the SDKs.
json assembled(const std::vector<json>& chunks) {
  json message{{"content", ""}, {"reasoning_content", ""}, {"tool_calls", json::array()}};
  for (const json& chunk : chunks) {
    if (chunk["choices"].empty()) {
      message["usage"] = chunk["usage"];
      continue;
    }
    const json& choice = chunk["choices"][0];
    const json& delta = choice["delta"];
    for (const char* name : {"content", "reasoning_content"}) {
      if (delta.contains(name)) {
        message[name] = message[name].get<std::string>() + delta[name].get<std::string>();
      }
    }
    if (!choice["finish_reason"].is_null()) message["finish_reason"] = choice["finish_reason"];
    if (!delta.contains("tool_calls")) continue;
    EXPECT_EQ(delta["tool_calls"].size(), 1U);
    const json& call = delta["tool_calls"][0];
    const std::size_t index = call["index"].get<std::size_t>();
    json& calls = message["tool_calls"];
    if (index == calls.size()) {
      EXPECT_TRUE(call["id"].is_string());
      EXPECT_EQ(call["type"], "function");
      EXPECT_EQ(call["function"]["arguments"], "");
      calls.push_back({{"id", call["id"]}, {"type", "function"}, {"function", call["function"]}});
      continue;
    }
    EXPECT_EQ(index, calls.size() - 1) << "indexes rise, and a call goes on until the next";
    EXPECT_FALSE(call.contains("id"));
    EXPECT_FALSE(call["function"].contains("name"));
    json& arguments = calls.back()["function"]["arguments"];
    arguments = arguments.get<std::string>() + call["function"]["arguments"].get<std::string>();
  }
  return message;
}

void expect_equal(const json& streamed, const json& whole) {
  const json& choice = whole["choices"][0];
  const json& message = choice["message"];
  EXPECT_EQ(streamed["content"], message["content"].is_null() ? json("") : message["content"]);
  EXPECT_EQ(streamed["reasoning_content"], message.value("reasoning_content", ""));
  EXPECT_EQ(message.value("reasoning", ""), message.value("reasoning_content", ""));
  EXPECT_EQ(streamed["finish_reason"], choice["finish_reason"]);
  const json calls = message.value("tool_calls", json::array());
  ASSERT_EQ(streamed["tool_calls"].size(), calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(streamed["tool_calls"][i]["function"], calls[i]["function"]);
  }
  EXPECT_EQ(streamed["usage"], whole["usage"]);
}

TEST(chat_tools, streamed_equals_whole_at_every_piece_size) {
  const std::vector<std::string> texts{"Hello, no call here.",
                                       kCall,
                                       "I look.\n" + kCall + "\n" + kNow,
                                       "<think>Let me see.</think>\n\nYes.",
                                       "<think>I need it.\n</think>" + kCall + "Done.",
                                       "<think>cut off",
                                       "<tool_call>\nnot a call",
                                       ""};
  for (const std::string& text : texts) {
    auto whole = endpoints::make_chat_answer(scripted_options());
    const json answer = json::parse(run_script(*whole, text, 1));
    for (const std::size_t size : {1U, 2U, 3U, 5U, 8U, 13U, 1000U}) {
      SCOPED_TRACE(text + " in pieces of " + std::to_string(size));
      auto again = endpoints::make_chat_answer(scripted_options());
      auto stream = endpoints::make_chat_stream(scripted_options());
      expect_equal(assembled(chunks_of(run_script(*stream, text, size))),
                   json::parse(run_script(*again, text, size)));
      auto compared = endpoints::make_chat_answer(scripted_options());
      EXPECT_EQ(json::parse(run_script(*compared, text, size))["choices"][0]["message"]["content"],
                answer["choices"][0]["message"]["content"]);
    }
  }
}

TEST(chat_tools, whole_message_has_the_shape_of_the_protocol) {
  auto answer = endpoints::make_chat_answer(scripted_options());
  const json choice = json::parse(run_script(*answer, kCall + kNow, 4))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  const json& message = choice["message"];
  EXPECT_TRUE(message["content"].is_null());
  EXPECT_FALSE(message.contains("reasoning_content"));
  ASSERT_EQ(message["tool_calls"].size(), 2U);
  const json& call = message["tool_calls"][0];
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"]["name"], "weather");
  EXPECT_EQ(json::parse(call["function"]["arguments"].get<std::string>()),
            (json{{"city", "Rome"}}));
  EXPECT_EQ(call["id"].get<std::string>().rfind("call_", 0), 0U);
  EXPECT_NE(call["id"], message["tool_calls"][1]["id"]);
}

TEST(chat_tools, cut_call_ends_by_length) {
  auto answer = endpoints::make_chat_answer(scripted_options());
  const json choice = json::parse(
      run_script(*answer, kCall.substr(0, 60), 4, request::FinishReason::kLength))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["tool_calls"].size(), 1U);
}

TEST(chat_tools, reasoning_is_counted_and_can_be_left_out) {
  auto options = scripted_options();
  auto answer = endpoints::make_chat_answer(options);
  const json whole = json::parse(run_script(*answer, "<think>abcd</think>xy", 1));
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "xy");
  EXPECT_EQ(whole["choices"][0]["message"]["reasoning_content"], "abcd");
  // From the token that completes the opening mark to the one that completes the closing one.
  EXPECT_EQ(whole["usage"]["completion_tokens_details"]["reasoning_tokens"], 1 + 4 + 8);
  options.include_reasoning = false;
  auto without = endpoints::make_chat_stream(options);
  const std::string stream = run_script(*without, "<think>abcd</think>xy", 1);
  EXPECT_EQ(stream.find("abcd"), std::string::npos);
  EXPECT_EQ(stream.find("\"reasoning\""), std::string::npos);
}

TEST(chat_tools, ids_have_the_form_that_the_family_demands) {
  auto options = scripted_options("mistral");
  options.call_id_prefix = options.reply.tool_format->call_id_prefix;
  options.call_id_size = options.reply.tool_format->call_id_size;
  auto answer = endpoints::make_chat_answer(options);
  const json whole =
      json::parse(run_script(*answer, "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}]", 3));
  const std::string id = whole["choices"][0]["message"]["tool_calls"][0]["id"].get<std::string>();
  EXPECT_EQ(id.size(), 9U);
}

const json kTools = json::parse(R"([{"type":"function","function":{"name":"weather",
  "description":"The weather","parameters":{"type":"object","properties":{
  "city":{"type":"string"}},"required":["city"]}}}])");

TEST(chat_tools, choices_of_tools_are_checked) {
  FakeService service;
  const json body = with(user_says("Hi"), {{"tools", kTools}, {"max_tokens", 2}});
  service.ask(kChat, body);
  for (const json& good : {json("auto"),
                           json("none"),
                           json::parse(R"({"type":"allowed_tools","allowed_tools":{"mode":"auto",
                             "tools":[{"type":"function","function":{"name":"weather"}}]}})")}) {
    service.ask(kChat, with(body, {{"tool_choice", good}}));
  }
  struct Bad {
    json choice;
    std::string param;
  };
  for (const Bad& bad :
       {Bad{"maybe", "tool_choice"},
        Bad{5, "tool_choice"},
        Bad{json::parse(R"({"type":"function","function":{"name":"other"}})"), "tool_choice"},
        Bad{json::parse(R"({"type":"function"})"), "tool_choice.function.name"},
        Bad{json::parse(R"({"type":"custom","custom":{"name":"x"}})"), "tool_choice"},
        Bad{json::parse(R"({"type":"allowed_tools","allowed_tools":{"mode":"all","tools":[]}})"),
            "tool_choice.allowed_tools.mode"}}) {
    EXPECT_EQ(service.refusal(kChat, with(body, {{"tool_choice", bad.choice}}), 400)["param"],
              bad.param)
        << bad.choice;
  }
  EXPECT_EQ(
      service.refusal(kChat, with(user_says("Hi"), {{"tool_choice", "required"}}), 400)["param"],
      "tool_choice");
}

TEST(chat_tools, hidden_tools_are_not_in_the_prompt) {
  FakeService service;
  const json body = with(user_says("Hi"), {{"tools", kTools}, {"max_tokens", 1}});
  const int shown = service.ask(kChat, body)["usage"]["prompt_tokens"].get<int>();
  const int hidden =
      service.ask(kChat, with(body, {{"tool_choice", "none"}}))["usage"]["prompt_tokens"]
          .get<int>();
  EXPECT_LT(hidden, shown);
}

TEST(chat, timings_come_when_asked_for) {
  FakeService service;
  const json body = with(user_says("Hi"), {{"max_tokens", 3}, {"return_timings", true}});
  const json whole = service.ask(kChat, body);
  for (const char* name : {"queue_ms", "prompt_ms", "predicted_ms", "prompt_n", "predicted_n"}) {
    EXPECT_TRUE(whole["timings"][name].is_number()) << name;
  }
  EXPECT_FALSE(service.ask(kChat, with(body, {{"return_timings", false}})).contains("timings"));
  const auto exchange = service.start_post(kChat, with(body, {{"stream", true}}));
  ASSERT_TRUE(exchange->wait());
  EXPECT_TRUE(chunks_of(exchange->response().body).back().contains("timings"));
}

const json kTwoTools = json::parse(R"([
  {"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{
    "city":{"type":"string","maxLength":8},"days":{"type":"integer","minimum":1,"maximum":9}},
    "required":["city","days"],"additionalProperties":false}}},
  {"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{},
    "additionalProperties":false}}}])");

void expect_valid_call(const json& call) {
  const std::string name = call["function"]["name"].get<std::string>();
  const json arguments =
      json::parse(call["function"]["arguments"].get<std::string>(), nullptr, false);
  ASSERT_TRUE(arguments.is_object()) << call;
  if (name == "now") {
    EXPECT_TRUE(arguments.empty());
    return;
  }
  EXPECT_EQ(name, "weather");
  EXPECT_EQ(arguments.size(), 2U);
  EXPECT_TRUE(arguments["city"].is_string());
  EXPECT_TRUE(arguments["days"].is_number_integer());
}

// The fake model writes noise: only the constraint makes it call.
TEST(forced_calls, are_calls_of_the_tools_whatever_the_model) {
  for (const char* format : {"hermes", "qwen", "llama3_json", "mistral", "pythonic", "generic"}) {
    FakeServiceOptions options;
    options.reply_formats.tools = {format};
    FakeService service(options);
    for (int seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(std::string(format) + " with seed " + std::to_string(seed));
      const json body = with(user_says("Hi"),
                             {{"tools", kTwoTools},
                              {"tool_choice", "required"},
                              {"parallel_tool_calls", false},
                              {"temperature", 1.5},
                              {"seed", seed},
                              {"max_tokens", 600}});
      const json choice = service.ask(kChat, body)["choices"][0];
      ASSERT_EQ(choice["finish_reason"], "tool_calls") << choice;
      ASSERT_EQ(choice["message"]["tool_calls"].size(), 1U) << choice;
      EXPECT_TRUE(choice["message"]["content"].is_null()) << choice;
      expect_valid_call(choice["message"]["tool_calls"][0]);
    }
    const json named =
        service.ask(kChat,
                    with(user_says("Hi"),
                         {{"tools", kTwoTools},
                          {"tool_choice", {{"type", "function"}, {"function", {{"name", "now"}}}}},
                          {"parallel_tool_calls", false},
                          {"max_tokens", 600}}));
    EXPECT_EQ(named["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "now");
  }
}

TEST(forced_calls, stream_as_they_are_whole) {
  FakeService service;
  const json body = with(user_says("Hi"),
                         {{"tools", kTwoTools},
                          {"tool_choice", "required"},
                          {"seed", 3},
                          {"temperature", 1},
                          {"max_tokens", 120}});
  const json whole = service.ask(kChat, body);
  const auto exchange = service.start_post(
      kChat, with(body, {{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
  ASSERT_TRUE(exchange->wait());
  const json streamed = assembled(chunks_of(exchange->response().body));
  const json& calls = whole["choices"][0]["message"]["tool_calls"];
  ASSERT_EQ(streamed["tool_calls"].size(), calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(streamed["tool_calls"][i]["function"], calls[i]["function"]);
  }
}

TEST(forced_calls, bad_schemas_and_contradictions_are_refused) {
  FakeService service;
  json tools = kTwoTools;
  tools[0]["function"]["parameters"]["properties"]["city"]["pattern"] = "(";
  const json body = with(user_says("Hi"), {{"tools", tools}, {"tool_choice", "required"}});
  const json error = service.refusal(kChat, body, 400);
  EXPECT_EQ(error["param"].get<std::string>().rfind("tools[0]", 0), 0U) << error;
}

// With a forced call there is no text whose form could be prescribed; else the model calls or
// answers in the form.
TEST(forced_calls, go_together_with_a_form_of_the_answer) {
  FakeServiceOptions options;
  options.reply_formats.tools = {"hermes"};
  FakeService service(options);
  const json format{
      {"type", "json_schema"},
      {"json_schema",
       {{"name", "n"}, {"schema", {{"type", "integer"}, {"minimum", 10}, {"maximum", 99}}}}}};
  json body = with(user_says("Hi"),
                   {{"tools", kTwoTools},
                    {"parallel_tool_calls", false},
                    {"response_format", format},
                    {"max_tokens", 400}});
  int calls = 0;
  int numbers = 0;
  for (int seed = 0; seed < 24; ++seed) {
    body["seed"] = seed;
    body["tool_choice"] = seed % 2 == 0 ? "auto" : "required";
    const json choice = service.ask(kChat, body)["choices"][0];
    const json& message = choice["message"];
    if (choice["finish_reason"] == "length") continue;
    if (message.contains("tool_calls")) {
      ++calls;
      EXPECT_EQ(message["tool_calls"].size(), 1U);
      EXPECT_TRUE(message["content"].is_null()) << message;
    } else {
      EXPECT_EQ(body["tool_choice"], "auto");
      ++numbers;
      const std::string text = message["content"];
      EXPECT_EQ(text.size(), 2U) << text;
      EXPECT_NE(text.find_first_of("123456789"), std::string::npos);
    }
  }
  EXPECT_GT(calls, 3);
  EXPECT_GT(numbers, 3);
  body["response_format"]["json_schema"]["schema"] = {{"type", "integer"}, {"minimum", "x"}};
  EXPECT_EQ(
      service.refusal(kChat, body, 400)["param"].get<std::string>().rfind("response_format", 0),
      0U);
}

// Where the prompt opens no reasoning, the model may do so itself, and the form holds behind it.
TEST(reasoning_in_chat, comes_before_a_form_of_the_answer_unless_it_is_switched_off) {
  FakeServiceOptions options;
  options.reply_formats.reasoning = {"think"};
  FakeService service(options);
  const json bias = [&] {
    json entries = json::object();
    for (const TokenId id : service.tokenizer().encode("<", {.add_special_tokens = false})) {
      entries[std::to_string(id)] = 100;
    }
    return entries;
  }();
  json body = with(user_says("Hi"),
                   {{"guided_regex", "[0-9]{2}"},
                    {"thinking_token_budget", 6},
                    {"logit_bias", bias},
                    {"temperature", 0},
                    {"max_tokens", 60}});
  const json thought = service.ask(kChat, body)["choices"][0]["message"];
  EXPECT_FALSE(thought.value("reasoning_content", "").empty()) << thought;
  EXPECT_EQ(thought["content"].get<std::string>().size(), 2U) << thought;
  for (const json& off : {json{{"enable_thinking", false}},
                          json{{"chat_template_kwargs", {{"enable_thinking", false}}}},
                          json{{"reasoning_effort", "none"}},
                          json{{"thinking_token_budget", 0}}}) {
    const json message = service.ask(kChat, with(body, off))["choices"][0]["message"];
    EXPECT_EQ(message.value("reasoning_content", ""), "") << off;
    EXPECT_EQ(message["content"].get<std::string>().size(), 2U) << message;
  }
}

TEST(reasoning_in_chat, budget_makes_the_model_answer) {
  FakeServiceOptions options;
  options.reply_formats.reasoning = {"think"};
  FakeService service(options);
  const json opened{{"messages",
                     {{{"role", "user"}, {"content", "Hi"}},
                      {{"role", "assistant"}, {"content", "<think>\nSo"}}}},
                    {"continue_final_message", true},
                    {"ignore_eos", true},
                    {"max_tokens", 60}};
  // The prompt ends inside the reasoning only where nothing follows the mark.
  json body = opened;
  body["messages"][1]["content"] = "<think>";
  const json thinking = service.ask(kChat, body);
  EXPECT_FALSE(thinking["choices"][0]["message"].contains("tool_calls"));
  const json answer = service.ask(kChat, with(body, {{"thinking_token_budget", 5}}));
  const json& message = answer["choices"][0]["message"];
  EXPECT_NE(message["content"], "") << "the answer begins behind the closing mark";
  const int mark = static_cast<int>(service.tokenizer().encode("</think>").size());
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 5 + mark);
  const json structured = service.ask(
      kChat,
      with(body,
           {{"thinking_token_budget", 5},
            {"ignore_eos", false},
            {"response_format",
             {{"type", "json_schema"},
              {"json_schema", {{"name", "n"}, {"schema", {{"enum", {"yes", "no"}}}}}}}}}));
  const std::string text = structured["choices"][0]["message"]["content"].get<std::string>();
  EXPECT_TRUE(text == "\"yes\"" || text == "\"no\"") << text;
}

}  // namespace
}  // namespace inferneo::api_test
