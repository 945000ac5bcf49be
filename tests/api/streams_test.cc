// Streamed answers: frames, order, ends, failures, clients that leave or do not read.
#include <map>

#include "fake_service.h"
#include "gateway/endpoints/stream_pinger.h"

namespace inferneo::api_test {
namespace {

const json kGreedy{{"temperature", 0}, {"max_tokens", 12}};
const json kStream{{"stream", true}};
const json kEndless{{"stream", true}, {"ignore_eos", true}, {"max_tokens", 1900}};

std::vector<json> stream(FakeService& service, const std::string& path, const json& body) {
  const auto exchange = service.start_post(path, with(body, kStream));
  EXPECT_TRUE(exchange->wait());
  EXPECT_EQ(exchange->misuse(), "");
  EXPECT_TRUE(exchange->is_stream()) << exchange->response().body;
  EXPECT_EQ(exchange->response().content_type, "text/event-stream");
  EXPECT_EQ(exchange->response().status, 200);
  return chunks_of(exchange->response().body);
}

TEST(chat_stream, frames_follow_the_protocol) {
  FakeService service;
  const json body = with(user_says("Hello"), kGreedy);
  const std::vector<json> chunks = stream(service, kChat, body);
  ASSERT_GE(chunks.size(), 3U);
  std::string text;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const json& chunk = chunks[i];
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    for (const char* name : {"id", "created", "model", "system_fingerprint"}) {
      EXPECT_EQ(chunk[name], chunks[0][name]);
    }
    EXPECT_FALSE(chunk.contains("usage"));
    ASSERT_EQ(chunk["choices"].size(), 1U);
    const json& choice = chunk["choices"][0];
    EXPECT_EQ(choice["index"], 0);
    EXPECT_TRUE(choice["logprobs"].is_null());
    EXPECT_EQ(choice["delta"].contains("role"), i == 0);
    EXPECT_EQ(choice["finish_reason"].is_null(), i + 1 < chunks.size());
    text += choice["delta"].value("content", "");
  }
  EXPECT_EQ(chunks[0]["choices"][0]["delta"], (json{{"role", "assistant"}, {"content", ""}}));
  EXPECT_EQ(chunks.back()["choices"][0]["delta"], json::object());
  const json whole = service.ask(kChat, body);
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  EXPECT_EQ(chunks.back()["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
}

TEST(chat_stream, usage_comes_last_and_is_null_before) {
  FakeService service;
  const json body = with(user_says("Hello"), kGreedy);
  const std::vector<json> chunks =
      stream(service, kChat, with(body, {{"stream_options", {{"include_usage", true}}}}));
  for (std::size_t i = 0; i + 1 < chunks.size(); ++i) {
    ASSERT_TRUE(chunks[i].contains("usage"));
    EXPECT_TRUE(chunks[i]["usage"].is_null());
    EXPECT_FALSE(chunks[i]["choices"].empty());
  }
  EXPECT_TRUE(chunks.back()["choices"].empty());
  EXPECT_EQ(chunks.back()["id"], chunks[0]["id"]);
  const json whole = service.ask(kChat, body);
  for (const char* name : {"prompt_tokens", "completion_tokens", "total_tokens"}) {
    EXPECT_EQ(chunks.back()["usage"][name], whole["usage"][name]) << name;
  }
}

TEST(chat_stream, continuous_usage_counts_up) {
  FakeService service;
  const std::vector<json> chunks = stream(
      service,
      kChat,
      with(
          user_says("Hello"),
          with(kGreedy,
               {{"ignore_eos", true},
                {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}}})));
  int before = 0;
  for (const json& chunk : chunks) {
    EXPECT_GE(chunk["usage"]["completion_tokens"], before);
    before = chunk["usage"]["completion_tokens"].get<int>();
  }
  EXPECT_EQ(before, 12);
}

TEST(chat_stream, choices_interleave_by_index) {
  FakeService service;
  const json body =
      with(user_says("x"), {{"n", 3}, {"seed", 5}, {"max_tokens", 8}, {"temperature", 1}});
  const std::vector<json> chunks = stream(service, kChat, body);
  std::map<int, std::string> texts;
  std::map<int, int> roles;
  std::map<int, int> finishes;
  for (const json& chunk : chunks) {
    const json& choice = chunk["choices"][0];
    const int index = choice["index"].get<int>();
    EXPECT_EQ(finishes[index], 0) << "nothing follows the end of a choice";
    texts[index] += choice["delta"].value("content", "");
    roles[index] += choice["delta"].contains("role") ? 1 : 0;
    finishes[index] += choice["finish_reason"].is_null() ? 0 : 1;
  }
  const json whole = service.ask(kChat, body);
  ASSERT_EQ(texts.size(), 3U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["message"]["content"]);
    EXPECT_EQ(roles[i], 1);
    EXPECT_EQ(finishes[i], 1);
  }
}

TEST(chat_stream, logprobs_are_those_of_the_whole_answer) {
  FakeService service;
  const json body = with(user_says("x"), with(kGreedy, {{"logprobs", true}, {"top_logprobs", 2}}));
  json streamed = json::array();
  for (const json& chunk : stream(service, kChat, body)) {
    const json& logprobs = chunk["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const json& token : logprobs["content"]) streamed.push_back(token);
  }
  EXPECT_EQ(streamed, service.ask(kChat, body)["choices"][0]["logprobs"]["content"]);
}

TEST(completion_stream, equals_the_whole_answer) {
  FakeService service;
  const json body = with(kGreedy,
                         {{"prompt", {"caf\xc3\xa9 one", "two"}},
                          {"n", 2},
                          {"echo", true},
                          {"logprobs", 2},
                          {"return_token_ids", true}});
  const json whole = service.ask(kText, body);
  std::map<int, json> merged;
  for (const json& chunk : stream(service, kText, body)) {
    EXPECT_EQ(chunk["object"], "text_completion");
    const json& part = chunk["choices"][0];
    json& choice = merged[part["index"].get<int>()];
    if (choice.is_null()) {
      choice = part;
      continue;
    }
    choice["text"] = choice["text"].get<std::string>() + part["text"].get<std::string>();
    choice["finish_reason"] = part["finish_reason"];
    if (part.contains("prompt_token_ids")) choice["prompt_token_ids"] = part["prompt_token_ids"];
    for (const json& id : part["token_ids"]) choice["token_ids"].push_back(id);
    for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
      for (const json& item : part["logprobs"][name]) choice["logprobs"][name].push_back(item);
    }
  }
  ASSERT_EQ(merged.size(), 4U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(merged[i], whole["choices"][i]) << i;
}

TEST(completion_stream, usage_is_summed_over_prompts) {
  FakeService service;
  const json body = with(kGreedy, {{"prompt", {"a b", "c"}}});
  const std::vector<json> chunks =
      stream(service, kText, with(body, {{"stream_options", {{"include_usage", true}}}}));
  const json whole = service.ask(kText, body);
  EXPECT_EQ(chunks.back()["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"]);
  EXPECT_EQ(chunks.back()["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
}

TEST(stream_end, failure_is_an_error_event_without_done) {
  FakeService service;
  const auto exchange = service.start_post(kChat, with(user_says("x"), kEndless));
  ASSERT_TRUE(exchange->wait_for_text("assistant"));
  service.manager().drain(Duration::zero());
  ASSERT_TRUE(exchange->wait());
  const std::vector<std::string> events = events_of(exchange->response().body);
  const json last = json::parse(events.back(), nullptr, false);
  ASSERT_TRUE(last.contains("error")) << events.back();
  EXPECT_TRUE(last["error"].contains("message"));
  for (const std::string& event : events) EXPECT_NE(event, "[DONE]");
  EXPECT_EQ(exchange->misuse(), "");
}

TEST(stream_end, poisoned_request_fails_and_the_next_one_works) {
  FakeServiceOptions options;
  options.model.poison_token_id = 77;
  FakeService service(options);
  const auto whole = service.post(kText, {{"prompt", {5, 77}}});
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.body.find("finite"), std::string::npos) << "no details to the client";
  const auto streamed = service.start_post(kText, {{"prompt", {5, 77}}, {"stream", true}});
  ASSERT_TRUE(streamed->wait());
  EXPECT_NE(streamed->response().body.find("\"error\""), std::string::npos);
  EXPECT_EQ(streamed->response().body.find("[DONE]"), std::string::npos);
  service.ask(kText, {{"prompt", {5, 6}}});
}

TEST(stream_end, one_failing_prompt_ends_all_of_its_request) {
  FakeServiceOptions options;
  options.model.poison_token_id = 77;
  FakeService service(options);
  const auto response = service.post(
      kText, {{"prompt", {{5, 6}, {5, 77}}}, {"max_tokens", 1900}, {"ignore_eos", true}});
  EXPECT_EQ(response.status, 500);
  EXPECT_TRUE(service.wait_idle());
}

TEST(client, leaving_cancels_running_and_waiting_work) {
  FakeServiceOptions options;
  options.engine.running_sequence_count_max = 2;
  FakeService service(options);
  std::vector<std::shared_ptr<MemoryExchange>> exchanges;
  for (int i = 0; i < 6; ++i) {
    json body = with(kEndless, {{"prompt", {{1, 2, i + 3}, {4, 5}}}});
    body["stream"] = i % 2 == 0;
    exchanges.push_back(service.start_post(kText, body));
  }
  for (const auto& exchange : exchanges) exchange->disconnect();
  EXPECT_TRUE(service.wait_idle());
  for (const auto& exchange : exchanges) {
    EXPECT_EQ(exchange->misuse(), "");
    EXPECT_EQ(exchange->response().body.find("[DONE]"), std::string::npos);
  }
}

TEST(client, that_does_not_read_is_cancelled) {
  FakeService service;
  const auto exchange = service.start_post(kText, with(kEndless, {{"prompt", {1, 2, 3}}}));
  exchange->refuse_writes();
  EXPECT_TRUE(service.wait_idle());
  const int writes = exchange->write_count();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(exchange->write_count(), writes);
  EXPECT_EQ(exchange->misuse(), "");
}

class FakePingable final : public gateway::endpoints::Pingable {
 public:
  bool ping_if_quiet(TimePoint) override { return ++look_count < 3; }
  std::atomic<int> look_count{0};
};

TEST(pinger, looks_at_open_streams_and_forgets_ended_ones) {
  ManualClock clock;
  gateway::endpoints::StreamPinger pinger(clock);
  const auto stream = std::make_shared<FakePingable>();
  pinger.add(stream);
  for (int i = 0; i < 10 && stream->look_count < 3; ++i) pinger.look();
  for (int i = 0; i < 3; ++i) pinger.look();
  EXPECT_EQ(stream->look_count, 3);
  pinger.add(std::make_shared<FakePingable>());  // gone before the next look
  pinger.look();
}

TEST(pinger, quiet_stream_gets_a_comment) {
  FakeServiceOptions options;
  options.engine.running_sequence_count_max = 1;
  FakeService service(options);
  std::vector<std::shared_ptr<MemoryExchange>> busy;
  for (int i = 0; i < 20; ++i) {
    busy.push_back(service.start_post(kText, with(kEndless, {{"prompt", {1, 2, i + 3}}})));
  }
  const auto waiting =
      service.start_post(kText, with(kGreedy, {{"prompt", {9}}, {"stream", true}}));
  EXPECT_EQ(waiting->response().body, "");
  service.clock().advance(limits::kSsePingInterval + std::chrono::seconds(1));
  EXPECT_TRUE(waiting->wait_for_text(": ping\n\n"));  // the pinger's own thread does it
  for (const auto& exchange : busy) exchange->disconnect();
  ASSERT_TRUE(waiting->wait());
  EXPECT_EQ(waiting->response().body.rfind(": ping\n\n", 0), 0U);
  EXPECT_FALSE(chunks_of(waiting->response().body).empty());
}

}  // namespace
}  // namespace inferneo::api_test
