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

}  // namespace
}  // namespace inferneo::api_test
