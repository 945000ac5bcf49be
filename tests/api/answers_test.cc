// Whole answers: shapes, values against the fake model's oracle, log probabilities, many prompts.
#include "fake_service.h"

namespace inferneo::api_test {
namespace {

const json kGreedy{{"temperature", 0}, {"max_tokens", 12}};

std::set<std::string> names_of(const json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

TEST(chat_answer, has_the_documented_shape_and_the_models_text) {
  FakeService service;
  const json answer = service.ask(kChat, with(user_says("Hello"), kGreedy));
  EXPECT_EQ(names_of(answer),
            (std::set<std::string>{
                "id", "object", "created", "model", "choices", "usage", "system_fingerprint"}));
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "starter");
  EXPECT_EQ(answer["id"].get<std::string>().rfind("chatcmpl-", 0), 0U);
  EXPECT_GT(answer["created"].get<std::int64_t>(), 1'700'000'000);
  EXPECT_EQ(answer["system_fingerprint"].get<std::string>().rfind("fp_", 0), 0U);
  ASSERT_EQ(answer["choices"].size(), 1U);
  const json& choice = answer["choices"][0];
  EXPECT_EQ(names_of(choice),
            (std::set<std::string>{"index", "message", "logprobs", "finish_reason"}));
  EXPECT_EQ(choice["index"], 0);
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_TRUE(choice["message"]["refusal"].is_null());
  EXPECT_TRUE(choice["logprobs"].is_null());

  const std::vector<TokenId> prompt = service.tokenizer().encode(
      "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", {.add_special_tokens = false});
  const std::vector<TokenId> expected = service.oracle(prompt, 12);
  EXPECT_EQ(choice["message"]["content"], service.tokenizer().decode(expected, true));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], prompt.size());
  EXPECT_EQ(answer["usage"]["total_tokens"],
            answer["usage"]["prompt_tokens"].get<int>() +
                answer["usage"]["completion_tokens"].get<int>());
  EXPECT_TRUE(answer["usage"]["prompt_tokens_details"]["cached_tokens"].is_number_integer());
}

TEST(chat_answer, ids_differ_and_timing_is_sent) {
  FakeService service;
  const auto first = service.post(kChat, with(user_says("a"), kGreedy));
  const auto second = service.post(kChat, with(user_says("a"), kGreedy));
  EXPECT_NE(json::parse(first.body)["id"], json::parse(second.body)["id"]);
  EXPECT_EQ(json::parse(first.body)["choices"], json::parse(second.body)["choices"]);
  bool found = false;
  for (const auto& [name, value] : first.headers) found = found || name == "openai-processing-ms";
  EXPECT_TRUE(found);
  EXPECT_EQ(first.content_type, "application/json");
}

TEST(chat_answer, finish_reason_tells_length_from_stop) {
  FakeService service;
  const json cut = service.ask(
      kChat, with(user_says("x"), {{"max_tokens", 1}, {"temperature", 0}, {"ignore_eos", true}}));
  EXPECT_EQ(cut["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(cut["usage"]["completion_tokens"], 1);
  const json ended =
      service.ask(kChat, with(user_says("x"), {{"max_tokens", 1500}, {"temperature", 0}}));
  EXPECT_EQ(ended["choices"][0]["finish_reason"], "stop");
}

TEST(chat_answer, n_choices_are_ordered_and_seeded) {
  FakeService service;
  const json body =
      with(user_says("x"), {{"n", 3}, {"seed", 5}, {"max_tokens", 8}, {"temperature", 1}});
  const json answer = service.ask(kChat, body);
  ASSERT_EQ(answer["choices"].size(), 3U);
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    texts.insert(answer["choices"][i]["message"]["content"].get<std::string>());
  }
  EXPECT_GT(texts.size(), 1U);
  EXPECT_EQ(service.ask(kChat, body)["choices"], answer["choices"]);
}

TEST(chat_answer, logprobs_spell_the_text) {
  FakeService service;
  const json answer = service.ask(
      kChat, with(user_says("x"), with(kGreedy, {{"logprobs", true}, {"top_logprobs", 3}})));
  const json& choice = answer["choices"][0];
  const json& content = choice["logprobs"]["content"];
  EXPECT_TRUE(choice["logprobs"]["refusal"].is_null());
  ASSERT_FALSE(content.empty());
  std::string text;
  for (const json& token : content) {
    EXPECT_EQ(names_of(token),
              (std::set<std::string>{"token", "logprob", "bytes", "top_logprobs"}));
    EXPECT_LE(token["logprob"].get<double>(), 0.0);
    ASSERT_EQ(token["top_logprobs"].size(), 3U);
    EXPECT_EQ(token["top_logprobs"][0]["bytes"], token["bytes"]);  // greedy takes the likeliest
    for (const int byte : token["bytes"].get<std::vector<int>>()) {
      text += static_cast<char>(byte);
    }
  }
  EXPECT_EQ(choice["message"]["content"], utf8::sanitize(text));
}

TEST(chat_answer, logprobs_without_alternatives) {
  FakeService service;
  const json answer = service.ask(kChat, with(user_says("x"), with(kGreedy, {{"logprobs", true}})));
  for (const json& token : answer["choices"][0]["logprobs"]["content"]) {
    EXPECT_TRUE(token["top_logprobs"].is_array());
    EXPECT_TRUE(token["top_logprobs"].empty());
  }
}

TEST(chat_answer, extensions_show_token_ids_and_prompt_logprobs) {
  FakeService service;
  const json answer = service.ask(
      kChat,
      with(user_says("x"), with(kGreedy, {{"return_token_ids", true}, {"prompt_logprobs", 2}})));
  const auto prompt = answer["prompt_token_ids"].get<std::vector<TokenId>>();
  EXPECT_EQ(prompt.size(), answer["usage"]["prompt_tokens"].get<std::size_t>());
  EXPECT_EQ(service.tokenizer().decode(
                answer["choices"][0]["token_ids"].get<std::vector<TokenId>>(), true),
            answer["choices"][0]["message"]["content"]);
  const json& logprobs = answer["prompt_logprobs"];
  ASSERT_EQ(logprobs.size(), prompt.size());
  EXPECT_TRUE(logprobs[0].is_null());
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    ASSERT_TRUE(logprobs[i].contains(std::to_string(prompt[i]))) << i;
    EXPECT_GE(logprobs[i].size(), 2U);
    EXPECT_TRUE(logprobs[i].begin()->contains("decoded_token"));
  }
}

TEST(chat_answer, final_message_is_continued) {
  FakeService service;
  json body{{"messages",
             {{{"role", "user"}, {"content", "Count"}},
              {{"role", "assistant"}, {"content", "One, two,"}}}},
            {"continue_final_message", true},
            {"return_token_ids", true}};
  const json answer = service.ask(kChat, with(body, kGreedy));
  EXPECT_EQ(
      service.tokenizer().decode(answer["prompt_token_ids"].get<std::vector<TokenId>>(), false),
      "<|im_start|>user\nCount<|im_end|>\n<|im_start|>assistant\nOne, two,");
}

TEST(chat_answer, tools_reach_the_template_unless_hidden) {
  FakeService service;
  json body = with(user_says("x"), {{"max_tokens", 1}, {"return_token_ids", true}});
  body["tools"] = json::parse(R"([{"type":"function","function":{"name":"get_weather"}}])");
  const auto prompt_of = [&](const json& request) {
    return service.tokenizer().decode(
        service.ask(kChat, request)["prompt_token_ids"].get<std::vector<TokenId>>(), false);
  };
  EXPECT_NE(prompt_of(body).find("get_weather"), std::string::npos);
  body["tool_choice"] = "none";
  EXPECT_EQ(prompt_of(body).find("get_weather"), std::string::npos);
}

TEST(chat_answer, stop_strings_end_the_text) {
  FakeService service;
  const json whole = service.ask(kChat, with(user_says("x"), kGreedy));
  const std::string text = whole["choices"][0]["message"]["content"].get<std::string>();
  ASSERT_GT(text.size(), 8U);
  const std::string stop = text.substr(4, 3);
  ASSERT_TRUE(utf8::is_valid(stop));
  const std::size_t at = text.find(stop);
  const json cut = service.ask(kChat, with(user_says("x"), with(kGreedy, {{"stop", stop}})));
  EXPECT_EQ(cut["choices"][0]["message"]["content"], text.substr(0, at));
  EXPECT_EQ(cut["choices"][0]["finish_reason"], "stop");
  const json kept =
      service.ask(kChat,
                  with(user_says("x"),
                       with(kGreedy, {{"stop", {stop}}, {"include_stop_str_in_output", true}})));
  EXPECT_EQ(kept["choices"][0]["message"]["content"], text.substr(0, at + stop.size()));
}

TEST(completion_answer, has_the_documented_shape) {
  FakeService service;
  const json answer = service.ask(kText, {{"prompt", "Once"}, {"temperature", 0}});
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["id"].get<std::string>().rfind("cmpl-", 0), 0U);
  const json& choice = answer["choices"][0];
  EXPECT_EQ(names_of(choice),
            (std::set<std::string>{"index", "text", "logprobs", "finish_reason"}));
  const std::vector<TokenId> prompt = service.tokenizer().encode("Once");
  EXPECT_EQ(choice["text"], service.tokenizer().decode(service.oracle(prompt, 16), true));
  EXPECT_LE(answer["usage"]["completion_tokens"], 16);  // the default of max_tokens
}

TEST(completion_answer, ids_and_text_of_a_prompt_are_the_same_prompt) {
  FakeService service;
  const json by_text = service.ask(kText, with(kGreedy, {{"prompt", "Once upon a time"}}));
  const json by_ids = service.ask(
      kText, with(kGreedy, {{"prompt", service.tokenizer().encode("Once upon a time")}}));
  EXPECT_EQ(by_text["choices"], by_ids["choices"]);
}

TEST(completion_answer, many_prompts_and_choices_are_indexed_and_summed) {
  FakeService service;
  const json answer = service.ask(kText, with(kGreedy, {{"prompt", {"a", "b c"}}, {"n", 2}}));
  ASSERT_EQ(answer["choices"].size(), 4U);
  const auto text_of = [&](const std::string& prompt) {
    return service.tokenizer().decode(service.oracle(service.tokenizer().encode(prompt), 12), true);
  };
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_EQ(answer["choices"][i]["text"], text_of(i < 2 ? "a" : "b c"));
  }
  EXPECT_EQ(answer["usage"]["prompt_tokens"],
            service.tokenizer().encode("a").size() + service.tokenizer().encode("b c").size());
  const json ids = service.ask(kText, with(kGreedy, {{"prompt", {{1, 2}, {3}}}}));
  EXPECT_EQ(ids["choices"].size(), 2U);
}

// The character (not byte) at which `offset` lies.
std::string from_character(const std::string& text, std::size_t offset) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < offset && at < text.size(); ++i) at += utf8::decode(text, at).size;
  return text.substr(at);
}

TEST(completion_answer, echo_repeats_the_prompt_with_its_logprobs) {
  FakeService service;
  const std::string prompt = "Caf\xc3\xa9 times, again";
  const json answer =
      service.ask(kText, with(kGreedy, {{"prompt", prompt}, {"echo", true}, {"logprobs", 2}}));
  const json& choice = answer["choices"][0];
  const std::string text = choice["text"].get<std::string>();
  EXPECT_EQ(text.substr(0, prompt.size()), prompt);
  const json& logprobs = choice["logprobs"];
  const std::size_t count = logprobs["tokens"].size();
  for (const char* name : {"token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(logprobs[name].size(), count) << name;
  }
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_GT(count, service.tokenizer().encode(prompt).size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string token = logprobs["tokens"][i].get<std::string>();
    if (i > 0) {
      EXPECT_TRUE(logprobs["token_logprobs"][i].is_number()) << i;
      EXPECT_TRUE(logprobs["top_logprobs"][i].contains(token)) << i << " " << token;
    }
    if (token.rfind("bytes:", 0) == 0) continue;
    const std::string rest = from_character(text, logprobs["text_offset"][i].get<std::size_t>());
    EXPECT_EQ(rest.substr(0, token.size()), token) << i;
  }
}

// As evaluation harnesses score a text: the prompt alone, nothing generated.
TEST(completion_answer, no_token_is_generated_where_the_prompt_alone_is_scored) {
  FakeService service;
  const json scored{{"prompt", {"The dog ran.", "One day, Tim"}},
                    {"max_tokens", 0},
                    {"echo", true},
                    {"logprobs", 1},
                    {"n", 2}};
  const json answer = service.ask(kText, scored);
  const json longer = service.ask(kText, with(scored, {{"max_tokens", 1}, {"temperature", 0}}));
  ASSERT_EQ(answer["choices"].size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    const json& choice = answer["choices"][i];
    EXPECT_EQ(choice["text"], scored["prompt"][i / 2]);
    EXPECT_EQ(choice["finish_reason"], "length");
    const json& logprobs = choice["logprobs"];
    const json& with_one = longer["choices"][i]["logprobs"];
    EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
    for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
      ASSERT_EQ(logprobs[name].size() + 1, with_one[name].size()) << name;
      for (std::size_t t = 0; t < logprobs[name].size(); ++t) {
        EXPECT_EQ(logprobs[name][t], with_one[name][t]) << name << " of token " << t;
      }
    }
  }
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], longer["usage"]["prompt_tokens"]);
  EXPECT_TRUE(service.wait_idle());
}

TEST(completion_answer, a_streamed_prompt_alone_equals_the_whole_answer) {
  FakeService service;
  const json scored{{"prompt", "The dog ran."}, {"max_tokens", 0}, {"echo", true}};
  for (const json& more : {json::object(), json{{"logprobs", 2}}, json{{"n", 2}}}) {
    const json body = with(scored, more);
    const json whole = service.ask(kText, body);
    const json options{{"stream", true}, {"stream_options", {{"include_usage", true}}}};
    const auto chunks = chunks_of(service.post(kText, with(body, options)).body);
    std::vector<std::string> texts(whole["choices"].size());
    std::vector<json> logprobs(texts.size());
    std::vector<json> finishes(texts.size());
    json usage;
    for (const json& chunk : chunks) {
      for (const json& choice : chunk["choices"]) {
        const auto index = choice["index"].get<std::size_t>();
        texts.at(index) += choice["text"].get<std::string>();
        if (logprobs[index].is_null()) logprobs[index] = choice["logprobs"];
        if (!choice["finish_reason"].is_null()) finishes[index] = choice["finish_reason"];
      }
      if (chunk.contains("usage") && !chunk["usage"].is_null()) usage = chunk["usage"];
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(texts[i], whole["choices"][i]["text"]);
      EXPECT_EQ(logprobs[i], whole["choices"][i]["logprobs"]);
      EXPECT_EQ(finishes[i], "length");
    }
    EXPECT_EQ(usage["completion_tokens"], 0);
    EXPECT_EQ(usage["prompt_tokens"], whole["usage"]["prompt_tokens"]);
  }
}

TEST(completion_answer, a_prompt_alone_may_fill_the_context) {
  FakeService service;
  const json ids(std::vector<int>(2048, 100));
  const json body{{"prompt", ids}, {"echo", true}, {"logprobs", 0}, {"max_tokens", 0}};
  const json answer = service.ask(kText, body);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 2048);
  EXPECT_EQ(answer["choices"][0]["logprobs"]["tokens"].size(), 2048U);
  EXPECT_EQ(service.refusal(kText, with(body, {{"max_tokens", 1}}), 400)["param"], "prompt");
  EXPECT_EQ(service.refusal(kText, {{"prompt", "a"}, {"max_tokens", 0}}, 400)["param"],
            "max_tokens");
  EXPECT_EQ(service.refusal(kChat, with(user_says("a"), {{"max_tokens", 0}}), 400)["param"],
            "max_tokens");
}

TEST(completion_answer, echo_without_logprobs_and_of_ids) {
  FakeService service;
  const std::vector<TokenId> ids = service.tokenizer().encode("Hello there");
  const json plain = service.ask(kText, with(kGreedy, {{"prompt", ids}}));
  const json echoed = service.ask(kText, with(kGreedy, {{"prompt", ids}, {"echo", true}}));
  EXPECT_EQ(echoed["choices"][0]["text"],
            "Hello there" + plain["choices"][0]["text"].get<std::string>());
  EXPECT_TRUE(echoed["choices"][0]["logprobs"].is_null());
}

TEST(completion_answer, logprobs_of_zero_name_the_chosen_token_only) {
  FakeService service;
  const json answer = service.ask(kText, with(kGreedy, {{"prompt", "x"}, {"logprobs", 0}}));
  const json& logprobs = answer["choices"][0]["logprobs"];
  ASSERT_FALSE(logprobs["tokens"].empty());
  EXPECT_EQ(logprobs["text_offset"][0], 0);
  for (const json& top : logprobs["top_logprobs"]) EXPECT_EQ(top.size(), 1U);
}

TEST(completion_answer, truncation_keeps_the_end_of_the_prompt) {
  FakeService service;
  const json answer = service.ask(
      kText,
      with(kGreedy,
           {{"prompt", {5, 6, 7, 8}}, {"truncate_prompt_tokens", 2}, {"return_token_ids", true}}));
  EXPECT_EQ(answer["choices"][0]["prompt_token_ids"], (json{7, 8}));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 2);
}

TEST(completion_answer, default_length_shrinks_to_what_is_left_of_the_context) {
  FakeService service;
  const std::vector<TokenId> ids(2040, 5);
  const json answer = service.ask(kText, {{"prompt", ids}, {"ignore_eos", true}});
  EXPECT_EQ(answer["usage"]["completion_tokens"], 8);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
}

}  // namespace
}  // namespace inferneo::api_test
