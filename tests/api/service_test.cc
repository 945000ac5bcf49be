// The endpoints around generation: models, tokens, health, metrics, reference.
#include "fake_service.h"

namespace inferneo::api_test {
namespace {

TEST(models, are_listed_and_found) {
  FakeServiceOptions options;
  options.name = "org/starter";
  FakeService service(options);
  const json list = json::parse(service.get("/v1/models").body);
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 1U);
  EXPECT_EQ(list["data"][0]["id"], "org/starter");
  EXPECT_EQ(list["data"][0]["object"], "model");
  EXPECT_EQ(list["data"][0]["owned_by"], "inferneo");
  EXPECT_EQ(list["data"][0]["created"], 1700000000);
  EXPECT_EQ(list["data"][0]["max_model_len"], 2048);
  const json one = json::parse(service.get("/v1/models/org/starter").body);
  EXPECT_EQ(one, list["data"][0]);
}

TEST(tokenize, gives_ids_that_detokenize_to_the_text) {
  FakeService service;
  const json tokens = service.ask("/tokenize", {{"model", "starter"}, {"prompt", "Caf\xc3\xa9 !"}});
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(tokens["max_model_len"], 2048);
  EXPECT_TRUE(tokens["token_strs"].is_null());
  EXPECT_EQ(service.ask("/detokenize", {{"tokens", tokens["tokens"]}})["prompt"], "Caf\xc3\xa9 !");
  EXPECT_EQ(service.ask("/detokenize", {{"tokens", json::array()}})["prompt"], "");
  const json names = service.ask("/tokenize", {{"prompt", "a b"}, {"return_token_strs", true}});
  EXPECT_EQ(names["token_strs"].size(), names["count"]);
}

TEST(tokenize, renders_messages_as_chat_does) {
  FakeService service;
  const json tokens = service.ask("/tokenize", user_says("Hello"));
  EXPECT_EQ(service.ask("/detokenize", {{"tokens", tokens["tokens"]}})["prompt"],
            "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
  const json open =
      service.ask("/tokenize", with(user_says("Hello"), {{"add_generation_prompt", false}}));
  EXPECT_LT(open["count"], tokens["count"]);
  const json chat = service.ask(kChat, with(user_says("Hello"), {{"max_tokens", 1}}));
  EXPECT_EQ(chat["usage"]["prompt_tokens"], tokens["count"]);
}

TEST(tokenize, refuses_what_it_does_not_know) {
  FakeService service;
  EXPECT_EQ(service.refusal("/tokenize", json::object(), 400)["param"], "prompt");
  service.refusal("/tokenize", with(user_says("x"), {{"prompt", "y"}}), 400);
  EXPECT_EQ(service.refusal("/tokenize", {{"promt", "x"}}, 400)["param"], "promt");
  EXPECT_EQ(service.refusal("/detokenize", json::object(), 400)["param"], "tokens");
  EXPECT_EQ(service.refusal("/detokenize", {{"tokens", "x"}}, 400)["param"], "tokens");
}

TEST(health, follows_the_engine) {
  FakeService service;
  EXPECT_EQ(service.get("/health").status, 200);
  const auto ready = service.get("/ready");
  EXPECT_EQ(ready.status, 200);
  const json body = json::parse(ready.body);
  EXPECT_EQ(body["ready"], true);
  EXPECT_TRUE(body["reason"].is_null());
  ASSERT_EQ(body["models"].size(), 1U);
  EXPECT_EQ(body["models"][0]["id"], "starter");
  EXPECT_TRUE(body["models"][0]["last_progress_age_seconds"].is_number());
}

TEST(metrics, count_what_happened) {
  FakeService service;
  const json answer = service.ask(kText, {{"prompt", {5, 6, 7}}, {"ignore_eos", true}});
  EXPECT_EQ(answer["usage"]["completion_tokens"], 16);
  EXPECT_TRUE(service.wait_idle());
  const auto response = service.get("/metrics");
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  const std::string labels = "{engine=\"0\",model_name=\"starter\"}";
  EXPECT_NE(response.body.find("vllm:prompt_tokens_total" + labels + " 3\n"), std::string::npos);
  EXPECT_NE(response.body.find("vllm:generation_tokens_total" + labels + " 16\n"),
            std::string::npos);
  EXPECT_NE(response.body.find("vllm:request_success_total{engine=\"0\",model_name=\"starter\","
                               "finished_reason=\"length\"} 1\n"),
            std::string::npos);
}

TEST(version, and_root_describe_the_server) {
  FakeService service;
  const json version = json::parse(service.get("/version").body);
  EXPECT_TRUE(version["version"].is_string());
  const json root = json::parse(service.get("/").body);
  EXPECT_EQ(root["endpoints"].size(), gateway::endpoints::endpoint_table().size());
}

TEST(reference, lists_every_endpoint_and_field) {
  const std::string text = gateway::endpoints::endpoint_reference_markdown();
  for (const gateway::endpoints::Endpoint* endpoint : gateway::endpoints::endpoint_table()) {
    EXPECT_NE(text.find(str("| ", endpoint->method, " | `", endpoint->path, "` |")),
              std::string::npos)
        << endpoint->path;
    EXPECT_FALSE(endpoint->summary.empty());
    if (endpoint->fields == nullptr) continue;
    for (const auto& row : endpoint->fields()) {
      EXPECT_NE(text.find(str("| `", row.name, "` | ", row.note, " |")), std::string::npos)
          << row.name;
    }
  }
}

}  // namespace
}  // namespace inferneo::api_test
