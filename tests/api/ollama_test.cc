// Ollama's API against the fake model: lines of JSON that join to the whole answer, options,
// listings, refusals as {"error": "..."}.
#include "fake_service.h"

namespace inferneo::api_test {
namespace {

const json kGreedy{{"temperature", 0}, {"num_predict", 12}};

std::vector<json> lines_of(const std::string& stream) {
  std::vector<json> lines;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t end = stream.find('\n', at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "line without end";
      break;
    }
    lines.push_back(json::parse(stream.substr(at, end - at), nullptr, false));
    EXPECT_FALSE(lines.back().is_discarded());
    at = end + 1;
  }
  return lines;
}

json stable(json answer) {
  for (const char* name :
       {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}) {
    EXPECT_TRUE(answer.contains(name)) << name;
    answer.erase(name);
  }
  return answer;
}

TEST(ollama, chat_says_what_the_other_chat_says) {
  FakeService service;
  const json body = with(user_says("Hello"), {{"stream", false}, {"options", kGreedy}});
  const json answer = service.ask("/api/chat", body);
  const json chat =
      service.ask(kChat, with(user_says("Hello"), {{"max_tokens", 12}, {"temperature", 0}}));
  EXPECT_EQ(answer["message"]["role"], "assistant");
  EXPECT_EQ(answer["message"]["content"], chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(answer["model"], "starter");
  EXPECT_EQ(answer["done"], true);
  EXPECT_EQ(answer["done_reason"], "length");
  EXPECT_EQ(answer["prompt_eval_count"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(answer["eval_count"], chat["usage"]["completion_tokens"]);
  for (const char* name :
       {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}) {
    EXPECT_TRUE(answer[name].is_number_integer()) << name;
  }
}

TEST(ollama, a_chat_without_messages_only_loads_the_model) {
  FakeService service;
  for (const json& body : {json{{"model", "starter"}}, json{{"messages", json::array()}}}) {
    const json answer = service.ask("/api/chat", body);
    EXPECT_EQ(answer["done_reason"], "load");
    EXPECT_EQ(answer["message"]["content"], "");
  }
}

TEST(ollama, what_is_not_supported_is_refused_with_the_reason) {
  FakeService service;
  const auto exchange =
      service.start_post("/api/generate", {{"prompt", "x"}, {"images", {"aGk="}}});
  ASSERT_TRUE(exchange->wait());
  EXPECT_EQ(exchange->response().status, 400);
  EXPECT_EQ(json::parse(exchange->response().body)["error"],
            "'images': is not supported: the model reads text only");
}

TEST(ollama, lines_join_to_the_whole_answer) {
  FakeService service;
  for (const int count : {1, 12, 80}) {
    const json chat =
        with(user_says("Tell me"), {{"options", {{"temperature", 0}, {"num_predict", count}}}});
    const json whole = service.ask("/api/chat", with(chat, {{"stream", false}}));
    const auto exchange = service.start_post("/api/chat", chat);
    ASSERT_TRUE(exchange->wait());
    EXPECT_EQ(exchange->response().content_type, "application/x-ndjson");
    std::vector<json> lines = lines_of(exchange->response().body);
    std::string text;
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
      EXPECT_EQ(lines[i]["done"], false);
      text += lines[i]["message"]["content"].get<std::string>();
    }
    EXPECT_EQ(text, whole["message"]["content"]);
    json last = stable(lines.back());
    EXPECT_EQ(last["message"]["content"], "");
    last["message"] = whole["message"];
    EXPECT_EQ(last, stable(whole));
  }
}

TEST(ollama, generate_uses_the_template_or_the_raw_prompt) {
  FakeService service;
  const json body{{"prompt", "Hello"}, {"stream", false}, {"options", kGreedy}};
  const json chat =
      service.ask(kChat, with(user_says("Hello"), {{"max_tokens", 12}, {"temperature", 0}}));
  EXPECT_EQ(service.ask("/api/generate", body)["response"],
            chat["choices"][0]["message"]["content"]);
  const json text =
      service.ask(kText, {{"prompt", "Hello"}, {"max_tokens", 12}, {"temperature", 0}});
  EXPECT_EQ(service.ask("/api/generate", with(body, {{"raw", true}}))["response"],
            text["choices"][0]["text"]);
  const auto exchange =
      service.start_post("/api/generate", with(body, {{"raw", true}, {"stream", true}}));
  ASSERT_TRUE(exchange->wait());
  std::string joined;
  for (const json& line : lines_of(exchange->response().body)) {
    joined += line["response"].get<std::string>();
  }
  EXPECT_EQ(joined, text["choices"][0]["text"]);
}

TEST(ollama, a_request_without_a_prompt_loads_the_model) {
  FakeService service;
  for (const char* path : {"/api/generate", "/api/chat"}) {
    const json answer = service.ask(path, {{"model", "starter:latest"}, {"keep_alive", "5m"}});
    EXPECT_EQ(answer["done"], true);
    EXPECT_EQ(answer["done_reason"], "load");
    EXPECT_EQ(answer["model"], "starter");
  }
}

TEST(ollama, embed_normalises_and_the_older_form_does_not) {
  FakeService service;
  const json vectors = service.ask("/api/embed", {{"input", {"The dog", "A cat"}}});
  ASSERT_EQ(vectors["embeddings"].size(), 2U);
  const json reference = service.ask("/v1/embeddings", {{"input", {"The dog", "A cat"}}});
  EXPECT_EQ(vectors["embeddings"][1], reference["data"][1]["embedding"]);
  EXPECT_EQ(vectors["prompt_eval_count"], reference["usage"]["prompt_tokens"]);
  const json one = service.ask("/api/embeddings", {{"prompt", "The dog"}});
  const json plain = service.ask("/v1/embeddings", {{"input", "The dog"}, {"normalize", false}});
  EXPECT_EQ(one["embedding"], plain["data"][0]["embedding"]);
}

TEST(ollama, listings_describe_the_model) {
  FakeService service;
  const json tags = json::parse(service.get("/api/tags").body);
  ASSERT_EQ(tags["models"].size(), 1U);
  EXPECT_EQ(tags["models"][0]["name"], "starter");
  EXPECT_EQ(tags["models"][0]["details"]["family"], "fake");
  EXPECT_EQ(tags["models"][0]["modified_at"], "2023-11-14T22:13:20.000000000Z");
  const json running = json::parse(service.get("/api/ps").body);
  EXPECT_EQ(running["models"][0]["context_length"], 2048);
  const json shown = service.ask("/api/show", {{"model", "starter:latest"}});
  EXPECT_EQ(shown["model_info"]["fake.context_length"], 2048);
  EXPECT_EQ(shown["capabilities"], (json{"completion", "tools", "embedding"}));
  EXPECT_TRUE(json::parse(service.get("/api/version").body)["version"].is_string());
}

TEST(ollama, options_mean_what_they_say) {
  FakeService service;
  const json body = with(user_says("Hello"), {{"stream", false}});
  const auto ask = [&](const json& options) {
    return service.ask("/api/chat", with(body, {{"options", options}}))["message"]["content"]
        .get<std::string>();
  };
  const std::string text = ask({{"temperature", 0}, {"num_predict", 40}});
  ASSERT_GE(text.size(), 12U);
  const std::string stop = text.substr(8, 3);
  EXPECT_EQ(ask({{"temperature", 0}, {"num_predict", 40}, {"stop", {stop}}}),
            text.substr(0, text.find(stop)));
  const json seeded{{"temperature", 1}, {"seed", 7}, {"num_predict", 20}, {"num_ctx", 4096}};
  EXPECT_EQ(ask(seeded), ask(seeded));
}

TEST(ollama, refusals_are_one_sentence) {
  FakeService service;
  const auto refused = [&](const char* path, const json& body, int status) {
    const auto response = service.post(path, body);
    EXPECT_EQ(response.status, status) << response.body;
    const json error = json::parse(response.body, nullptr, false);
    EXPECT_EQ(error.size(), 1U);
    return error["error"].get<std::string>();
  };
  const std::tuple<const char*, json, const char*> cases[] = {
      {"/api/chat", {{"messages", 5}}, "messages"},
      {"/api/chat",
       {{"messages", {{{"role", "user"}, {"contents", "x"}}}}},
       "messages[0].contents"},
      {"/api/chat", {{"messages", {{{"role", "nobody"}, {"content", "x"}}}}}, "messages[0].role"},
      {"/api/chat",
       {{"messages", {{{"role", "user"}, {"content", "x"}, {"images", {"aGk="}}}}}},
       "messages[0].images"},
      {"/api/chat",
       with(user_says("x"), {{"options", {{"temperature", 5}}}}),
       "options.temperature"},
      {"/api/chat", with(user_says("x"), {{"options", {{"temprature", 1}}}}), "temperature"},
      {"/api/chat",
       with(user_says("x"), {{"options", {{"num_predict", 0}}}}),
       "options.num_predict"},
      {"/api/chat", with(user_says("x"), {{"options", {{"mirostat", 2}}}}), "options.mirostat"},
      {"/api/chat", with(user_says("x"), {{"options", 5}}), "options"},
      {"/api/chat", with(user_says("x"), {{"keep_alive", "soon"}}), "keep_alive"},
      {"/api/chat", with(user_says("x"), {{"keep_alive", "5x"}}), "keep_alive"},
      {"/api/chat", with(user_says("x"), {{"think", 5}}), "think"},
      {"/api/generate", {{"prompt", 5}}, "prompt"},
      {"/api/generate", {{"prompt", "x"}, {"suffix", "y"}}, "suffix"},
      {"/api/generate", {{"prompt", "x"}, {"context", {1, 2}}}, "context"},
      {"/api/generate", {{"prompt", "x"}, {"promt", "x"}}, "promt"},
      {"/api/embed", json::object(), "input"},
      {"/api/embed", {{"input", 5}}, "input"},
      {"/api/embeddings", {{"prompt", json::array()}}, "prompt"},
      {"/api/show", json::object(), "model"},
  };
  for (const auto& [path, body, part] : cases) {
    EXPECT_NE(refused(path, body, 400).find(part), std::string::npos) << path << body;
  }
  EXPECT_NE(refused("/api/show", {{"model", "none"}}, 404).find("none"), std::string::npos);
  EXPECT_NE(refused("/api/chat", with(user_says("x"), {{"model", "none"}}), 404).find("none"),
            std::string::npos);
  EXPECT_TRUE(service.wait_idle());
}

// Clients leave the type out, as the examples of its documentation do; pages of other origins may
// not.
TEST(ollama, any_type_of_body_is_read_but_none_of_a_foreign_page) {
  FakeService service;
  const std::string body = with(user_says("x"), {{"options", kGreedy}}).dump();
  const auto plain = service.start("POST", "/api/chat", body, "application/x-www-form-urlencoded");
  ASSERT_TRUE(plain->wait());
  EXPECT_EQ(plain->response().status, 200);
  EXPECT_EQ(service.start("POST", kChat, body, "text/plain")->response().status, 415);
}

}  // namespace
}  // namespace inferneo::api_test
