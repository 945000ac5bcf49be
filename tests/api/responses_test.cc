// The Responses API: objects, events, what is stored and how it ends.
#include <map>

#include "fake_service.h"
#include "gateway/endpoints/response_answer.h"
#include "gateway/endpoints/response_store.h"
#include "scripted.h"

namespace inferneo::api_test {
namespace {

namespace endpoints = gateway::endpoints;

constexpr const char* kResponses = "/v1/responses";
const json kSmall{{"max_output_tokens", 8}, {"temperature", 0}};

std::vector<json> response_events(const std::string& stream) {
  std::vector<json> events;
  std::size_t at = 0;
  while (at < stream.size()) {
    const std::size_t end = stream.find("\n\n", at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "frame without end";
      break;
    }
    const std::string frame = stream.substr(at, end - at);
    at = end + 2;
    if (frame == ": ping") continue;
    const std::size_t line = frame.find("\ndata: ");
    EXPECT_EQ(frame.rfind("event: ", 0), 0U) << frame;
    json event = json::parse(frame.substr(line + 7), nullptr, false);
    EXPECT_EQ(event["type"], frame.substr(7, line - 7));
    EXPECT_EQ(event["sequence_number"], events.size()) << frame;
    events.push_back(std::move(event));
  }
  return events;
}

// The output by the rules of the SDK's accumulator; fails the test where that would throw.
json accumulated(const std::vector<json>& events) {
  json output = json::array();
  const auto content = [&](const json& event) -> json& {
    json& item = output.at(event["output_index"].get<std::size_t>());
    EXPECT_EQ(item["id"], event["item_id"]);
    return item["content"].at(event["content_index"].get<std::size_t>());
  };
  const auto append = [](json& text, const json& delta) {
    text = text.get<std::string>() + delta.get<std::string>();
  };
  for (const json& event : events) {
    const std::string type = event["type"].get<std::string>();
    if (type == "response.output_item.added") {
      EXPECT_EQ(event["output_index"], output.size());
      EXPECT_EQ(event["item"]["status"], "in_progress");
      output.push_back(event["item"]);
    } else if (type == "response.content_part.added") {
      json& item = output.at(event["output_index"].get<std::size_t>());
      EXPECT_EQ(item["content"].size(), event["content_index"]);
      item["content"].push_back(event["part"]);
    } else if (type == "response.output_text.delta" || type == "response.reasoning_text.delta") {
      append(content(event)["text"], event["delta"]);
    } else if (type == "response.function_call_arguments.delta") {
      append(output.at(event["output_index"].get<std::size_t>())["arguments"], event["delta"]);
    } else if (type == "response.output_text.done" || type == "response.reasoning_text.done") {
      EXPECT_EQ(content(event)["text"], event["text"]);
    } else if (type == "response.function_call_arguments.done") {
      EXPECT_EQ(output.at(event["output_index"].get<std::size_t>())["arguments"],
                event["arguments"]);
    } else if (type == "response.content_part.done") {
      EXPECT_EQ(content(event)["text"], event["part"]["text"]);
      content(event) = event["part"];
    } else if (type == "response.output_item.done") {
      output.at(event["output_index"].get<std::size_t>()) = event["item"];
    }
  }
  return output;
}

json without_ids(json output) {
  for (json& item : output) {
    item.erase("id");
    item.erase("call_id");
  }
  return output;
}

TEST(responses, answer_has_the_members_of_the_protocol) {
  FakeService service;
  const json response = service.ask(
      kResponses,
      with(kSmall,
           {{"input", "Hello"}, {"instructions", "Be brief."}, {"metadata", {{"a", "b"}}}}));
  EXPECT_EQ(response["object"], "response");
  EXPECT_EQ(response["id"].get<std::string>().rfind("resp_", 0), 0U);
  EXPECT_EQ(response["instructions"], "Be brief.");
  EXPECT_EQ(response["metadata"], (json{{"a", "b"}}));
  EXPECT_EQ(response["max_output_tokens"], 8);
  EXPECT_EQ(response["temperature"], 0);
  EXPECT_TRUE(response["error"].is_null());
  EXPECT_EQ(response["tools"], json::array());
  EXPECT_EQ(response["tool_choice"], "auto");
  EXPECT_EQ(response["parallel_tool_calls"], true);
  EXPECT_EQ(response["text"]["format"]["type"], "text");
  const json& item = response["output"][0];
  EXPECT_EQ(item["type"], "message");
  EXPECT_EQ(item["role"], "assistant");
  EXPECT_EQ(item["content"][0]["type"], "output_text");
  EXPECT_EQ(item["content"][0]["annotations"], json::array());
  const json& usage = response["usage"];
  EXPECT_EQ(usage["total_tokens"],
            usage["input_tokens"].get<int>() + usage["output_tokens"].get<int>());
  EXPECT_TRUE(usage["input_tokens_details"].contains("cached_tokens"));
  EXPECT_TRUE(usage["output_tokens_details"].contains("reasoning_tokens"));
}

TEST(responses, is_the_chat_of_the_same_conversation) {
  FakeService service;
  const json chat = service.ask(
      kChat,
      {{"messages",
        {{{"role", "system"}, {"content", "S"}}, {{"role", "user"}, {"content", "Hello"}}}},
       {"temperature", 0},
       {"max_tokens", 8}});
  const json response =
      service.ask(kResponses, with(kSmall, {{"input", "Hello"}, {"instructions", "S"}}));
  EXPECT_EQ(response["output"][0]["content"][0]["text"], chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(response["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(response["usage"]["output_tokens"], chat["usage"]["completion_tokens"]);
}

TEST(responses, stream_has_the_events_and_ends_as_the_whole_answer) {
  FakeService service;
  const json body = with(kSmall, {{"input", "Hello"}});
  const auto exchange = service.start_post(kResponses, with(body, {{"stream", true}}));
  ASSERT_TRUE(exchange->wait());
  EXPECT_EQ(exchange->misuse(), "");
  const std::vector<json> events = response_events(exchange->response().body);
  ASSERT_GE(events.size(), 8U);
  EXPECT_EQ(events[0]["type"], "response.created");
  EXPECT_EQ(events[0]["response"]["status"], "in_progress");
  EXPECT_EQ(events[1]["type"], "response.in_progress");
  const json& last = events.back()["response"];
  EXPECT_EQ(events.back()["type"].get<std::string>(),
            "response." + last["status"].get<std::string>());
  EXPECT_EQ(accumulated(events), last["output"]);
  const json whole = service.ask(kResponses, body);
  EXPECT_EQ(without_ids(last["output"]), without_ids(whole["output"]));
  EXPECT_EQ(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
  EXPECT_EQ(last["status"], whole["status"]);
}

TEST(responses, calls_and_reasoning_are_items_of_their_own) {
  const std::string text =
      "<think>Hm.</think>I look.\n<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": "
      "\"Rome\"}}</tool_call><tool_call>{\"name\": \"now\"}</tool_call>";
  endpoints::ResponseFrame frame;
  frame.members = R"("id":"resp_1","object":"response")";
  frame.id = "resp_1";
  for (const std::size_t size : {1U, 3U, 7U, 1000U}) {
    auto stream = endpoints::make_response_stream(scripted_options(), frame);
    const std::vector<json> events = response_events(run_script(*stream, text, size));
    auto whole_answer = endpoints::make_response_answer(scripted_options(), frame);
    const json whole = json::parse(run_whole(*whole_answer, text, size));
    const json& output = events.back()["response"]["output"];
    EXPECT_EQ(accumulated(events), output);
    EXPECT_EQ(without_ids(output), without_ids(whole["output"]));
    ASSERT_EQ(output.size(), 4U);
    EXPECT_EQ(output[0]["type"], "reasoning");
    EXPECT_EQ(output[0]["content"][0]["text"], "Hm.");
    EXPECT_EQ(output[1]["content"][0]["text"], "I look.");
    EXPECT_EQ(output[2]["type"], "function_call");
    EXPECT_EQ(output[2]["name"], "weather");
    EXPECT_EQ(output[2]["arguments"], "{\"city\": \"Rome\"}");
    EXPECT_EQ(output[2]["status"], "completed");
    EXPECT_EQ(output[3]["arguments"], "{}");
    EXPECT_NE(output[2]["call_id"], output[3]["call_id"]);
  }
}

TEST(responses, cut_by_the_limit_are_incomplete) {
  FakeService service;
  const json response =
      service.ask(kResponses, {{"input", "Hello"}, {"max_output_tokens", 2}, {"ignore_eos", true}});
  EXPECT_EQ(response["status"], "incomplete");
  EXPECT_EQ(response["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(response["output"][0]["status"], "incomplete");
}

TEST(responses, are_stored_listed_and_forgotten) {
  FakeService service;
  const json response = service.ask(
      kResponses,
      with(kSmall,
           {{"input",
             {{{"role", "user"}, {"content", "One"}},
              {{"type", "function_call"}, {"call_id", "c1"}, {"name", "f"}, {"arguments", "{}"}},
              {{"type", "function_call_output"}, {"call_id", "c1"}, {"output", "ok"}}}}}));
  const std::string path = std::string(kResponses) + "/" + response["id"].get<std::string>();
  EXPECT_EQ(json::parse(service.get(path).body), response);
  const json items = json::parse(service.get(path + "/input_items").body);
  ASSERT_EQ(items["data"].size(), 3U);
  EXPECT_EQ(items["has_more"], false);
  EXPECT_EQ(items["data"][0]["type"], "function_call_output") << "newest first";
  EXPECT_EQ(items["data"][2]["content"][0], (json{{"type", "input_text"}, {"text", "One"}}));
  EXPECT_EQ(items["first_id"], items["data"][0]["id"]);
  EXPECT_EQ(service.start("POST", path + "/cancel")->response().status, 400);
  const auto deleted = service.start("DELETE", path);
  EXPECT_EQ(json::parse(deleted->response().body)["deleted"], true);
  EXPECT_EQ(service.get(path).status, 404);
  EXPECT_EQ(service.get(path + "/input_items").status, 404);
  EXPECT_EQ(service.start("DELETE", path)->response().status, 404);
  EXPECT_EQ(service.start("POST", path + "/cancel")->response().status, 404);
  const json unstored = service.ask(kResponses, with(kSmall, {{"input", "x"}, {"store", false}}));
  EXPECT_EQ(service.get(std::string(kResponses) + "/" + unstored["id"].get<std::string>()).status,
            404);
}

TEST(responses, continue_a_conversation) {
  FakeService service;
  const json first = service.ask(kResponses, with(kSmall, {{"input", "One"}}));
  const json second = service.ask(
      kResponses, with(kSmall, {{"input", "Two"}, {"previous_response_id", first["id"]}}));
  EXPECT_EQ(second["previous_response_id"], first["id"]);
  const json chat =
      service.ask(kChat,
                  {{"messages",
                    {{{"role", "user"}, {"content", "One"}},
                     {{"role", "assistant"}, {"content", first["output"][0]["content"][0]["text"]}},
                     {{"role", "user"}, {"content", "Two"}}}},
                   {"temperature", 0},
                   {"max_tokens", 8}});
  EXPECT_EQ(second["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(second["output"][0]["content"][0]["text"], chat["choices"][0]["message"]["content"]);
  const json error =
      service.refusal(kResponses, {{"input", "x"}, {"previous_response_id", "resp_none"}}, 400);
  EXPECT_EQ(error["code"], "previous_response_not_found");
  EXPECT_EQ(error["param"], "previous_response_id");
}

TEST(responses, in_the_background_are_asked_for_later) {
  FakeService service;
  const json body = with(kSmall, {{"input", "Hello"}, {"background", true}});
  const json queued = service.ask(kResponses, body);
  EXPECT_EQ(queued["status"], "queued");
  const std::string path = std::string(kResponses) + "/" + queued["id"].get<std::string>();
  json done;
  for (int i = 0; i < 3000; ++i) {
    done = json::parse(service.get(path).body);
    if (done["status"] != "in_progress") break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(done["status"] == "completed" || done["status"] == "incomplete") << done;
  EXPECT_FALSE(done["output"].empty());
}

TEST(responses, in_the_background_can_be_cancelled) {
  FakeService service;
  const json queued = service.ask(kResponses,
                                  {{"input", "Hello"},
                                   {"background", true},
                                   {"ignore_eos", true},
                                   {"max_output_tokens", 1900}});
  const std::string path = std::string(kResponses) + "/" + queued["id"].get<std::string>();
  const auto cancelled = service.start("POST", path + "/cancel");
  ASSERT_TRUE(cancelled->wait());
  const json body = json::parse(cancelled->response().body);
  // It may have been faster.
  if (body["status"] == "cancelled") {
    EXPECT_EQ(json::parse(service.get(path).body)["status"], "cancelled");
  }
  EXPECT_TRUE(service.wait_idle());
}

std::string status_of(FakeService& service, const std::string& path) {
  for (int i = 0; i < 3000; ++i) {
    const std::string status = json::parse(service.get(path).body)["status"];
    if (status != "in_progress") return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return "in_progress";
}

std::string path_of_stream(const std::string& stream) {
  const std::size_t at = stream.find("\"id\":\"resp_") + 6;
  return std::string(kResponses) + "/" + stream.substr(at, stream.find('"', at) - at);
}

TEST(responses, a_stream_in_the_background_goes_on_without_its_reader) {
  FakeService service;
  const json body = with(kSmall, {{"input", "Hello"}, {"background", true}, {"stream", true}});
  const auto whole = service.start_post(kResponses, body);
  ASSERT_TRUE(whole->wait());
  EXPECT_EQ(whole->misuse(), "");
  const std::string stream = whole->response().body;
  EXPECT_NE(stream.find("event: response.created"), std::string::npos);
  const std::string end = status_of(service, path_of_stream(stream));
  EXPECT_NE(stream.find("event: response." + end), std::string::npos) << end;

  const auto left = service.start_post(
      kResponses, with(body, {{"ignore_eos", true}, {"max_output_tokens", 400}}));
  ASSERT_TRUE(left->wait_for_text("response.output_text.delta"));
  const std::string path = path_of_stream(left->response().body);
  left->refuse_writes();
  left->disconnect();
  EXPECT_EQ(status_of(service, path), "incomplete") << "it reached its length";
  EXPECT_TRUE(service.wait_idle());
}

TEST(responses, a_cancelled_stream_in_the_background_ends_for_its_reader) {
  FakeService service;
  const auto reader = service.start_post(kResponses,
                                         {{"input", "Hello"},
                                          {"background", true},
                                          {"stream", true},
                                          {"ignore_eos", true},
                                          {"max_output_tokens", 1900}});
  ASSERT_TRUE(reader->wait_for_text("response.created"));
  const std::string path = path_of_stream(reader->response().body);
  ASSERT_TRUE(service.start("POST", path + "/cancel")->wait());
  EXPECT_TRUE(reader->wait());
  EXPECT_EQ(reader->misuse(), "");
  EXPECT_TRUE(service.wait_idle());
}

TEST(responses, keep_to_a_text_format) {
  FakeService service;
  const json format = json::parse(
      R"({"type":"json_schema","name":"n","strict":true,"schema":{"enum":["yes","no"]}})");
  const json response = service.ask(
      kResponses, {{"input", "Hello"}, {"text", {{"format", format}}}, {"max_output_tokens", 40}});
  const std::string text = response["output"][0]["content"][0]["text"].get<std::string>();
  EXPECT_TRUE(text == "\"yes\"" || text == "\"no\"") << text;
  EXPECT_EQ(response["text"]["format"], format);
  const json error = service.refusal(
      kResponses,
      {{"input", "x"}, {"text", {{"format", {{"type", "json_schema"}, {"schema", 5}}}}}},
      400);
  EXPECT_EQ(error["param"].get<std::string>().rfind("text.format", 0), 0U) << error;
}

TEST(responses, count_input_tokens) {
  FakeService service;
  const json counted = service.ask("/v1/responses/input_tokens", {{"input", "Hello there"}});
  EXPECT_EQ(counted["object"], "response.input_tokens");
  const json response = service.ask(kResponses, with(kSmall, {{"input", "Hello there"}}));
  EXPECT_EQ(counted["input_tokens"], response["usage"]["input_tokens"]);
}

TEST(responses, failures_name_their_place) {
  FakeService service;
  struct Bad {
    std::string body;
    std::string param;
  };
  const std::vector<Bad> cases{
      {R"({})", "input"},
      {R"({"input":5})", "input"},
      {R"({"input":[]})", "input"},
      {R"({"input":[5]})", "input[0]"},
      {R"({"input":[{"role":"robot","content":"x"}]})", "input[0].role"},
      {R"({"input":[{"role":"user"}]})", "input[0].content"},
      {R"({"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]})",
       "input[0].content[0].type"},
      {R"({"input":[{"role":"user","content":[{"type":"input_text"}]}]})",
       "input[0].content[0].text"},
      {R"({"input":[{"type":"function_call","name":"f","arguments":"{}"}]})", "input[0].call_id"},
      {R"({"input":[{"type":"function_call_output","call_id":"c"}]})", "input[0].output"},
      {R"({"input":[{"type":"item_reference","id":"x"}]})", "input[0].type"},
      {R"({"input":[{"type":"web_search_call"}]})", "input[0].type"},
      {R"({"input":"x","max_output_tokens":0})", "max_output_tokens"},
      {R"({"input":"x","max_tokens":5})", "max_tokens"},
      {R"({"input":"x","n":2})", "n"},
      {R"({"input":"x","tools":[{"type":"web_search"}]})", "tools[0].type"},
      {R"({"input":"x","tools":[{"type":"function"}]})", "tools[0].name"},
      {R"({"input":"x","tool_choice":{"type":"mcp"}})", "tool_choice.type"},
      {R"({"input":"x","tool_choice":"required"})", "tool_choice"},
      {R"({"input":"x","reasoning":{"effort":"huge"}})", "reasoning.effort"},
      {R"({"input":"x","reasoning":{"efort":"low"}})", "reasoning.efort"},
      {R"({"input":"x","text":{"verbosity":"low"}})", "text.verbosity"},
      {R"({"input":"x","include":["file_search_call.results"]})", "include"},
      {R"({"input":"x","truncation":"some"})", "truncation"},
      {R"({"input":"x","background":true,"store":false})", "background"},
      {R"({"input":"x","conversation":"c"})", "conversation"},
      {R"({"input":"x","prompt":{"id":"p"}})", "prompt"},
      {R"({"input":"x","metadata":{"a":1}})", "metadata"},
      {R"({"input":"x","inptu":"y"})", "inptu"},
  };
  for (const Bad& bad : cases) {
    const auto exchange = service.start("POST", kResponses, bad.body);
    ASSERT_TRUE(exchange->wait());
    EXPECT_EQ(exchange->response().status, 400) << bad.body;
    const json error = json::parse(exchange->response().body)["error"];
    EXPECT_EQ(error["param"], bad.param) << bad.body << error;
  }
  service.ask(kResponses, with(kSmall, {{"input", "alive"}}));
}

TEST(responses, failing_stream_ends_with_response_failed) {
  FakeService service;
  const auto exchange = service.start_post(
      kResponses,
      {{"input", "x"}, {"stream", true}, {"ignore_eos", true}, {"max_output_tokens", 1900}});
  ASSERT_TRUE(exchange->wait_for_text("output_text.delta"));
  service.manager().drain(Duration::zero());
  ASSERT_TRUE(exchange->wait());
  const std::vector<json> events = response_events(exchange->response().body);
  EXPECT_EQ(events.back()["type"], "response.failed");
  EXPECT_EQ(events.back()["response"]["status"], "failed");
  EXPECT_TRUE(events.back()["response"]["error"]["message"].is_string());
}

endpoints::StoredResponse stored(const std::string& id, std::size_t size) {
  endpoints::StoredResponse response;
  response.id = id;
  response.body = std::string(size, 'x');
  return response;
}

TEST(responses, truncation_leaves_out_the_oldest_messages_that_do_not_fit) {
  FakeService service;
  json input = json::array({{{"role", "system"}, {"content", "Be brief."}}});
  std::string filler;
  for (int i = 0; i < 120; ++i) filler += "the dog ran to the park ";
  for (int i = 0; i < 8; ++i) {
    input.push_back({{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", filler}});
  }
  input.push_back({{"role", "user"}, {"content", "Who ran?"}});
  json body{{"input", input}, {"max_output_tokens", 8}, {"temperature", 0}, {"store", false}};
  EXPECT_EQ(service.refusal("/v1/responses", body, 400)["param"], "input");
  body["truncation"] = "auto";
  const json cut = service.ask("/v1/responses", body);
  EXPECT_EQ(cut["truncation"], "auto");
  EXPECT_LE(cut["usage"]["input_tokens"].get<int>(), 2040);
  // As many of the last messages as fit: the same as asked with them alone.
  bool found = false;
  for (std::size_t dropped = 1; dropped < 9 && !found; ++dropped) {
    json shorter = json::array({input[0]});
    for (std::size_t i = 1 + dropped; i < input.size(); ++i) shorter.push_back(input[i]);
    const auto response =
        service.post("/v1/responses", with(body, {{"input", shorter}, {"truncation", "disabled"}}));
    if (response.status != 200) continue;
    found = true;
    const json same = json::parse(response.body);
    EXPECT_EQ(same["usage"]["input_tokens"], cut["usage"]["input_tokens"]);
    EXPECT_EQ(same["output"][0]["content"][0]["text"], cut["output"][0]["content"][0]["text"]);
    EXPECT_GT(dropped, 1U);
  }
  EXPECT_TRUE(found);
  // One message that is too long by itself is refused.
  body["input"] = filler + filler + filler + filler;
  EXPECT_EQ(service.refusal("/v1/responses", body, 400)["param"], "input");
}

TEST(response_store, keeps_within_its_bounds) {
  ManualClock clock;
  endpoints::ResponseStore store(
      {.count_max = 3, .bytes_max = 10'000, .age_max = std::chrono::hours(1)}, clock);
  for (int i = 0; i < 5; ++i) store.put(stored(std::to_string(i), 10), true);
  EXPECT_EQ(store.count(), 3U);
  EXPECT_EQ(store.find("1"), nullptr) << "the oldest go first";
  EXPECT_NE(store.find("2"), nullptr);
  store.put(stored("big", 8'000), true);
  store.put(stored("big2", 8'000), true);
  EXPECT_LE(store.bytes(), 10'000U);
  EXPECT_EQ(store.find("big"), nullptr);
  EXPECT_NE(store.find("big2"), nullptr);
  store.put(stored("too big", 20'000), true);
  EXPECT_EQ(store.find("too big"), nullptr);
  clock.advance(std::chrono::hours(2));
  EXPECT_EQ(store.find("big2"), nullptr) << "too old";
  EXPECT_EQ(store.bytes(), 0U);
  EXPECT_EQ(store.count(), 0U);
  store.put(stored("not to be stored", 10), false);
  EXPECT_EQ(store.count(), 0U);
}

TEST(response_store, deleted_responses_leave_nothing_behind) {
  ManualClock clock;
  endpoints::ResponseStore store(
      {.count_max = 100, .bytes_max = 1'000'000, .age_max = std::chrono::hours(1)}, clock);
  store.put(stored("stays", 10), true);
  for (int i = 0; i < 10'000; ++i) {
    store.put(stored(std::to_string(i), 10), true);
    EXPECT_TRUE(store.erase(std::to_string(i)));
  }
  EXPECT_EQ(store.count(), 1U);
  EXPECT_LT(store.order_size(), 200U);
  EXPECT_NE(store.find("stays"), nullptr);
}

TEST(response_store, of_a_connection_remembers_what_is_not_stored) {
  ManualClock clock;
  endpoints::ResponseStoreLimits limits{
      .count_max = 3, .bytes_max = 10'000, .age_max = std::chrono::hours(1)};
  const auto shared = std::make_shared<endpoints::ResponseStore>(limits, clock);
  endpoints::ResponseStore& parent = *shared;
  endpoints::ResponseStore child(limits, clock, shared);
  child.put(stored("mine", 10), false);
  child.put(stored("all's", 10), true);
  EXPECT_EQ(parent.find("mine"), nullptr);
  EXPECT_NE(child.find("mine"), nullptr);
  EXPECT_NE(parent.find("all's"), nullptr);
  EXPECT_NE(child.find("all's"), nullptr);
  EXPECT_TRUE(child.erase("all's"));
  EXPECT_EQ(parent.find("all's"), nullptr);
}

}  // namespace
}  // namespace inferneo::api_test
