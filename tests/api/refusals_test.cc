// Refusals as the client sees them: status, error object, and a service that goes on.
#include "fake_service.h"

namespace inferneo::api_test {
namespace {

void expect_alive(FakeService& service) {
  service.ask(kChat, with(user_says("x"), {{"max_tokens", 2}}));
}

TEST(refusal, names_the_field_and_keeps_the_shape) {
  FakeService service;
  const json error = service.refusal(kChat, with(user_says("x"), {{"temperature", 9}}), 400);
  EXPECT_EQ(error.size(), 4U);
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(error["param"], "temperature");
  EXPECT_TRUE(error.contains("code"));
  EXPECT_EQ(error["message"], "'temperature': must be a number from 0 to 2, but is 9");
  expect_alive(service);
}

TEST(refusal, says_which_word_was_wrong_but_repeats_no_long_text) {
  FakeService service;
  const json effort =
      service.refusal(kChat, with(user_says("x"), {{"reasoning_effort", "hihg"}}), 400);
  EXPECT_NE(effort["message"].get<std::string>().find("the string 'hihg'"), std::string::npos);
  const json text = service.refusal(kChat, {{"messages", std::string(100, 's')}}, 400);
  EXPECT_EQ(text["message"].get<std::string>().find("sss"), std::string::npos);
}

TEST(refusal, unknown_model_is_404_with_its_code) {
  FakeService service;
  const json error = service.refusal(kChat, with(user_says("x"), {{"model", "startr"}}), 404);
  EXPECT_EQ(error["code"], "model_not_found");
  EXPECT_EQ(error["param"], "model");
  EXPECT_NE(error["message"].get<std::string>().find("did you mean 'starter'"), std::string::npos);
  EXPECT_EQ(service.get("/v1/models/none").status, 404);
}

TEST(refusal, too_long_prompt_says_how_long_it_may_be) {
  FakeService service;
  std::string text;
  for (int i = 0; i < 9000; ++i) text += "dog ";
  const json error = service.refusal(kText, {{"prompt", text}}, 400);
  EXPECT_EQ(error["param"], "prompt");
  EXPECT_NE(error["message"].get<std::string>().find("2048"), std::string::npos);
  EXPECT_EQ(service.refusal(kChat, user_says(text), 400)["param"], "messages");
  const json by_length =
      service.refusal(kText, {{"prompt", std::vector<int>(2000, 5)}, {"max_tokens", 100}}, 400);
  EXPECT_EQ(by_length["param"], "max_tokens");
  expect_alive(service);
}

TEST(refusal, token_ids_outside_the_vocabulary) {
  FakeService service;
  const json prompt = service.refusal(kText, {{"prompt", {1, 4096}}}, 400);
  EXPECT_NE(prompt["message"].get<std::string>().find("4096"), std::string::npos);
  service.refusal(kText, {{"prompt", {-1}}}, 400);
  const json bias =
      service.refusal(kChat, with(user_says("x"), {{"logit_bias", {{"4096", 1}}}}), 400);
  EXPECT_EQ(bias["param"], "logit_bias");
  EXPECT_EQ(bias["message"].get<std::string>().rfind("'logit_bias': token id 4096", 0), 0U) << bias;
  service.refusal(kChat, with(user_says("x"), {{"stop_token_ids", {4096}}}), 400);
  service.refusal("/detokenize", {{"tokens", {4096}}}, 400);
  expect_alive(service);
}

TEST(refusal, empty_prompts) {
  FakeService service;
  EXPECT_EQ(service.refusal(kText, {{"prompt", ""}}, 400)["param"], "prompt");
  EXPECT_EQ(service.refusal(kText, {{"prompt", {"a", ""}}}, 400)["param"], "prompt[1]");
  EXPECT_EQ(service.refusal(kText, {{"prompt", json::array()}}, 400)["param"], "prompt");
  expect_alive(service);
  EXPECT_TRUE(service.wait_idle());
}

TEST(refusal, full_queue_is_503_and_leaves_nothing_of_a_half_admitted_request) {
  FakeServiceOptions options;
  options.engine.running_sequence_count_max = 1;
  options.engine.waiting_request_count_max = 4;
  FakeService service(options);
  const json endless{{"ignore_eos", true}, {"max_tokens", 1900}};
  std::vector<json> prompts;
  for (int i = 0; i < 64; ++i) prompts.push_back({1, 2, i + 3});
  const json error = service.refusal(kText, with(endless, {{"prompt", prompts}}), 503);
  EXPECT_EQ(error["code"], "overloaded");
  EXPECT_TRUE(service.wait_idle());
  const json streamed =
      service.refusal(kText, with(endless, {{"prompt", prompts}, {"stream", true}}), 503);
  EXPECT_EQ(streamed["code"], "overloaded");
  EXPECT_TRUE(service.wait_idle());
}

TEST(refusal, draining_is_503_and_not_ready) {
  FakeService service;
  EXPECT_EQ(service.get("/ready").status, 200);
  service.manager().begin_drain();
  service.refusal(kChat, user_says("x"), 503);
  const auto ready = service.get("/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(json::parse(ready.body)["reason"], "draining");
  EXPECT_EQ(service.get("/health").status, 200);
}

TEST(refusal, chat_needs_a_template_and_text_needs_a_tokenizer) {
  FakeServiceOptions options;
  options.with_template = false;
  FakeService without_template(options);
  const json error = without_template.refusal(kChat, user_says("x"), 400);
  EXPECT_NE(error["message"].get<std::string>().find("no chat template"), std::string::npos);
  without_template.ask(kText, {{"prompt", "x"}});
  options.with_tokenizer = false;
  FakeService without_tokenizer(options);
  without_tokenizer.refusal(kText, {{"prompt", "x"}}, 400);
  without_tokenizer.refusal("/detokenize", {{"tokens", {1}}}, 400);
  EXPECT_EQ(without_tokenizer.ask(
                kText, {{"prompt", {1, 2}}, {"ignore_eos", true}})["usage"]["completion_tokens"],
            16);
}

TEST(refusal, paths_methods_and_types) {
  FakeService service;
  EXPECT_EQ(service.get("/v1/none").status, 404);
  EXPECT_EQ(service.get("/v1/models/").status, 404);
  EXPECT_EQ(service.get("/v1/chat/completions/").status, 404);
  const auto wrong_method = service.get(kChat);
  EXPECT_EQ(wrong_method.status, 405);
  bool allowed = false;
  for (const auto& [name, value] : wrong_method.headers) {
    allowed = allowed || (name == "Allow" && value == "POST");
  }
  EXPECT_TRUE(allowed);
  EXPECT_EQ(service.start("DELETE", "/v1/models/starter")->response().status, 405);
  const std::string body = user_says("x").dump();
  EXPECT_EQ(service.start("POST", kChat, body, "text/plain")->response().status, 415);
  EXPECT_EQ(service.start("POST", kChat, body, "")->response().status, 415);
  EXPECT_EQ(
      service.start("POST", kChat, body, "application/x-www-form-urlencoded")->response().status,
      415);
  const auto charset = service.start("POST", kChat, body, "Application/JSON; charset=utf-8");
  ASSERT_TRUE(charset->wait());
  EXPECT_EQ(charset->response().status, 200);
}

TEST(refusal, bodies_that_are_no_objects) {
  FakeService service;
  for (const char* body : {"", "[1,2]", "{\"messages\":[{\"role\"", "null", "\xff\xfe"}) {
    const auto exchange = service.start("POST", kChat, body);
    ASSERT_TRUE(exchange->wait());
    EXPECT_EQ(exchange->response().status, 400) << body;
  }
  expect_alive(service);
}

TEST(refusal, template_errors_are_the_clients) {
  FakeService service;
  json body = user_says("x");
  body["messages"] = json::array();
  EXPECT_EQ(service.refusal(kChat, body, 400)["param"], "messages");
}

}  // namespace
}  // namespace inferneo::api_test
