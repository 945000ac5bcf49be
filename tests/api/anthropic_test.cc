// Anthropic's Messages against the fake model: shapes, streams that join to the whole answer,
// blocks in both directions, refusals in its own words.
#include "fake_service.h"

namespace inferneo::api_test {
namespace {

constexpr const char* kMessages = "/v1/messages";
constexpr const char* kCount = "/v1/messages/count_tokens";

json ask(const std::string& text, const json& more = json::object()) {
  json body = with(user_says(text), {{"max_tokens", 12}, {"temperature", 0}});
  return with(body, more);
}

struct Event {
  std::string name;
  json data;
};

std::vector<Event> named_events(const std::string& stream) {
  std::vector<Event> events;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t end = stream.find("\n\n", at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "frame without end";
      break;
    }
    const std::string frame = stream.substr(at, end - at);
    const std::size_t line = frame.find('\n');
    EXPECT_EQ(frame.rfind("event: ", 0), 0U) << frame;
    EXPECT_EQ(frame.substr(line + 1, 6), "data: ") << frame;
    Event event{frame.substr(7, line - 7), json::parse(frame.substr(line + 7), nullptr, false)};
    EXPECT_EQ(event.data.value("type", ""), event.name) << frame;
    events.push_back(std::move(event));
    at = end + 2;
  }
  return events;
}

json refusal(FakeService& service, const std::string& path, const json& body, int status) {
  const gateway::http::Response response = service.post(path, body);
  EXPECT_EQ(response.status, status) << response.body;
  const json error = json::parse(response.body, nullptr, false);
  EXPECT_EQ(error["type"], "error");
  EXPECT_EQ(error["request_id"], "test");
  return error["error"];
}

TEST(anthropic, a_message_has_the_documented_shape_and_the_models_text) {
  FakeService service;
  const json message = service.ask(kMessages, ask("Hello"));
  EXPECT_EQ(message["id"].get<std::string>().rfind("msg_", 0), 0U);
  EXPECT_EQ(message["type"], "message");
  EXPECT_EQ(message["role"], "assistant");
  EXPECT_EQ(message["model"], "starter");
  EXPECT_EQ(message["stop_reason"], "max_tokens");
  EXPECT_TRUE(message["stop_sequence"].is_null());
  ASSERT_EQ(message["content"].size(), 1U);
  EXPECT_EQ(message["content"][0]["type"], "text");
  const json chat =
      service.ask(kChat, with(user_says("Hello"), {{"max_tokens", 12}, {"temperature", 0}}));
  EXPECT_EQ(message["content"][0]["text"], chat["choices"][0]["message"]["content"]);
  const json& usage = message["usage"];
  EXPECT_EQ(usage["input_tokens"].get<int>() + usage["cache_read_input_tokens"].get<int>(),
            chat["usage"]["prompt_tokens"].get<int>());
  EXPECT_EQ(usage["output_tokens"], chat["usage"]["completion_tokens"]);
}

TEST(anthropic, a_stream_is_the_whole_message_in_named_events) {
  FakeService service;
  for (const int max_tokens : {1, 12, 60}) {
    const json body = ask("Tell me more", {{"max_tokens", max_tokens}});
    service.ask(kMessages, body);  // the next one finds the same prefix in the cache
    const json whole = service.ask(kMessages, body);
    const auto exchange = service.start_post(kMessages, with(body, {{"stream", true}}));
    ASSERT_TRUE(exchange->wait());
    EXPECT_EQ(exchange->response().content_type, "text/event-stream");
    const std::vector<Event> events = named_events(exchange->response().body);
    ASSERT_GE(events.size(), 6U);
    EXPECT_EQ(events[0].name, "message_start");
    EXPECT_EQ(events[0].data["message"]["content"], json::array());
    EXPECT_TRUE(events[0].data["message"]["stop_reason"].is_null());
    EXPECT_EQ(events[1].name, "content_block_start");
    EXPECT_EQ(events[1].data["index"], 0);
    EXPECT_EQ(events[1].data["content_block"], (json{{"type", "text"}, {"text", ""}}));
    std::string text;
    for (const Event& event : events) {
      if (event.name != "content_block_delta") continue;
      EXPECT_EQ(event.data["delta"]["type"], "text_delta");
      text += event.data["delta"]["text"].get<std::string>();
    }
    EXPECT_EQ(text, whole["content"][0]["text"]);
    const std::size_t count = events.size();
    EXPECT_EQ(events[count - 3].name, "content_block_stop");
    EXPECT_EQ(events[count - 2].name, "message_delta");
    EXPECT_EQ(events[count - 2].data["delta"]["stop_reason"], whole["stop_reason"]);
    EXPECT_EQ(events[count - 2].data["usage"], whole["usage"]);
    EXPECT_EQ(events[count - 1].name, "message_stop");
  }
}

TEST(anthropic, a_stop_sequence_is_named) {
  FakeService service;
  const json body = ask("Hello", {{"max_tokens", 40}});
  const std::string text = service.ask(kMessages, body)["content"][0]["text"];
  ASSERT_GE(text.size(), 12U);
  const std::string stop = text.substr(8, 3);
  const json cut = service.ask(kMessages, with(body, {{"stop_sequences", {stop}}}));
  EXPECT_EQ(cut["stop_reason"], "stop_sequence");
  EXPECT_EQ(cut["stop_sequence"], stop);
  EXPECT_EQ(cut["content"][0]["text"], text.substr(0, text.find(stop)));
}

TEST(anthropic, blocks_become_the_conversation_that_chat_makes_of_the_same) {
  FakeService service;
  const json blocks{
      {"system",
       {{{"type", "text"}, {"text", "Be kind."}, {"cache_control", {{"type", "ephemeral"}}}}}},
      {"messages",
       {{{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Hi"}}}}},
        {{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", "Yes?"}}}}},
        {{"role", "user"}, {"content", "Bye"}}}}};
  const json plain{{"messages",
                    {{{"role", "system"}, {"content", "Be kind."}},
                     {{"role", "user"}, {"content", "Hi"}},
                     {{"role", "assistant"}, {"content", "Yes?"}},
                     {{"role", "user"}, {"content", "Bye"}}}}};
  const json counted = service.ask(kCount, blocks);
  EXPECT_EQ(counted["input_tokens"], service.ask("/tokenize", plain)["count"]);
  const json message = service.ask(kMessages, with(blocks, {{"max_tokens", 1}}));
  EXPECT_EQ(message["usage"]["input_tokens"].get<int>() +
                message["usage"]["cache_read_input_tokens"].get<int>(),
            counted["input_tokens"].get<int>());
}

TEST(anthropic, a_last_message_of_the_assistant_is_continued) {
  FakeService service;
  const json open{{"messages",
                   {{{"role", "user"}, {"content", "Count"}},
                    {{"role", "assistant"}, {"content", "One, two"}}}}};
  EXPECT_EQ(service.ask(kCount, open)["input_tokens"],
            service.ask("/tokenize",
                        with(open,
                             {{"continue_final_message", true},
                              {"add_generation_prompt", false}}))["count"]);
}

TEST(anthropic, results_of_tools_are_accepted) {
  FakeService service;
  const json tools = {{{"name", "weather"},
                       {"description", "The weather of a city"},
                       {"input_schema", {{"type", "object"}, {"properties", json::object()}}}}};
  const json body{{"tools", tools},
                  {"max_tokens", 4},
                  {"messages",
                   {{{"role", "user"}, {"content", "Weather in Rome?"}},
                    {{"role", "assistant"},
                     {"content",
                      {{{"type", "thinking"}, {"thinking", "hm"}, {"signature", "x"}},
                       {{"type", "tool_use"},
                        {"id", "toolu_1"},
                        {"name", "weather"},
                        {"input", {{"city", "Rome"}}}}}}},
                    {{"role", "user"},
                     {"content",
                      {{{"type", "tool_result"},
                        {"tool_use_id", "toolu_1"},
                        {"content", {{{"type", "text"}, {"text", "sunny"}}}}},
                       {{"type", "text"}, {"text", "And?"}}}}}}}};
  const json message = service.ask(kMessages, body);
  EXPECT_EQ(message["type"], "message");
}

TEST(anthropic, refusals_name_their_field_in_its_own_shape) {
  FakeService service;
  const json hello = user_says("Hello");
  const auto message = [](const json& content) {
    return json{{"messages", {{{"role", "user"}, {"content", content}}}}, {"max_tokens", 2}};
  };
  const std::pair<json, const char*> cases[] = {
      {{{"max_tokens", 3}}, "messages"},
      {hello, "max_tokens"},
      {with(hello, {{"max_tokens", 0}}), "max_tokens"},
      {with(hello, {{"max_tokens", "4"}}), "max_tokens"},
      {with(hello, {{"max_tokens", 4}, {"temperature", 3}}), "temperature"},
      {with(hello, {{"max_tokens", 4}, {"top_k", 0}}), "top_k"},
      {with(hello, {{"max_tokens", 4}, {"top_p", -1}}), "top_p"},
      {with(hello, {{"max_tokens", 4}, {"stop_sequences", {""}}}), "stop_sequences[0]"},
      {with(hello, {{"max_tokens", 4}, {"stop_sequences", "x"}}), "stop_sequences"},
      {with(hello, {{"max_tokens", 4}, {"system", 5}}), "system"},
      {with(hello, {{"max_tokens", 4}, {"tools", {{{"name", "a"}}}}}), "tools[0].input_schema"},
      {with(hello, {{"max_tokens", 4}, {"tools", {{{"type", "bash_20250124"}, {"name", "bash"}}}}}),
       "tools[0].type"},
      {with(hello, {{"max_tokens", 4}, {"tool_choice", {{"type", "any"}}}}), "tool_choice"},
      {with(hello, {{"max_tokens", 4}, {"thinking", {{"type", "on"}}}}), "thinking.type"},
      {with(hello, {{"max_tokens", 4}, {"mcp_servers", json::array()}}), "mcp_servers"},
      {with(hello, {{"max_tokens", 4}, {"temprature", 1}}), "temperature"},
      {{{"messages", json::array()}, {"max_tokens", 2}}, "messages"},
      {{{"messages", {{{"role", "system"}, {"content", "x"}}}}, {"max_tokens", 2}},
       "messages[0].role"},
      {{{"messages", {{{"role", "user"}}}}, {"max_tokens", 2}}, "messages[0].content"},
      {message(5), "messages[0].content"},
      {message(json::array({5})), "messages[0].content[0]"},
      {message(json::array({{{"type", "image"}}})), "messages[0].content[0].type"},
      {message(json::array({{{"type", "text"}}})), "messages[0].content[0].text"},
      {message(json::array({{{"type", "tool_result"}}})), "messages[0].content[0].tool_use_id"},
  };
  for (const auto& [body, part] : cases) {
    const json error = refusal(service, kMessages, body, 400);
    EXPECT_EQ(error["type"], "invalid_request_error") << body;
    EXPECT_NE(error["message"].get<std::string>().find(part), std::string::npos)
        << body << error["message"];
  }
  EXPECT_EQ(refusal(service, kMessages, ask("x", {{"model", "none"}}), 404)["type"],
            "not_found_error");
  EXPECT_EQ(refusal(service, kCount, json::object(), 400)["type"], "invalid_request_error");
  EXPECT_EQ(
      refusal(service, kMessages, ask(std::string(40'000, 'x'), {{"max_tokens", 9}}), 400)["type"],
      "invalid_request_error");
}

TEST(anthropic, a_client_that_leaves_frees_everything) {
  FakeService service;
  const auto exchange =
      service.start_post(kMessages, ask("Hello", {{"max_tokens", 1500}, {"stream", true}}));
  ASSERT_TRUE(exchange->wait_for_text("content_block_delta"));
  exchange->disconnect();
  EXPECT_TRUE(service.wait_idle());
}

}  // namespace
}  // namespace inferneo::api_test
