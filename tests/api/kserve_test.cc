// The Open Inference Protocol against the fake model.
#include "fake_service.h"

namespace inferneo::api_test {
namespace {

constexpr const char* kGenerate = "/v2/models/org/starter/generate";
constexpr const char* kStream = "/v2/models/org/starter/generate_stream";

FakeServiceOptions with_slash() {
  FakeServiceOptions options;
  options.name = "org/starter";
  return options;
}

TEST(kserve, says_what_it_is) {
  FakeService service(with_slash());
  EXPECT_EQ(json::parse(service.get("/v2/health/live").body), (json{{"live", true}}));
  EXPECT_EQ(json::parse(service.get("/v2/health/ready").body), (json{{"ready", true}}));
  EXPECT_EQ(json::parse(service.get("/v2").body)["name"], "inferneo");
  const json model = json::parse(service.get("/v2/models/org/starter").body);
  EXPECT_EQ(model["name"], "org/starter");
  EXPECT_EQ(model["inputs"][0]["datatype"], "BYTES");
  EXPECT_EQ(service.get("/v2/models/org/starter/ready").status, 200);
  EXPECT_EQ(service.get("/v2/models/none/ready").status, 404);
  EXPECT_TRUE(json::parse(service.get("/v2/models/none").body)["error"].is_string());
  service.manager().announce_shutdown();
  EXPECT_EQ(service.get("/v2/health/ready").status, 400);
}

TEST(kserve, names_the_version_that_serves) {
  FakeService service(with_slash());
  const auto versions = service.manager().versions();
  ASSERT_EQ(versions.size(), 1U);
  const json model = json::parse(service.get("/v2/models/org/starter").body);
  EXPECT_EQ(model["versions"], (json{versions[0].version}));
}

TEST(kserve, a_wrong_parameter_is_named_with_its_place) {
  FakeService service(with_slash());
  const auto exchange =
      service.start_post(kGenerate, {{"text_input", "x"}, {"parameters", {{"max_tokns", 4}}}});
  ASSERT_TRUE(exchange->wait());
  EXPECT_EQ(exchange->response().status, 400);
  const std::string message = json::parse(exchange->response().body)["error"];
  EXPECT_EQ(message.rfind("'parameters.max_tokns'", 0), 0U) << message;
  EXPECT_NE(message.find("did you mean 'max_tokens'"), std::string::npos) << message;
}

TEST(kserve, generate_continues_the_text) {
  FakeService service(with_slash());
  const json text =
      service.ask(kText, {{"prompt", "Hello"}, {"max_tokens", 12}, {"temperature", 0}});
  const json parameters{{"max_tokens", 12}, {"temperature", 0}};
  const json answer =
      service.ask(kGenerate, {{"text_input", "Hello"}, {"id", "7"}, {"parameters", parameters}});
  EXPECT_EQ(answer["text_output"], text["choices"][0]["text"]);
  EXPECT_EQ(answer["model_name"], "org/starter");
  EXPECT_EQ(answer["id"], "7");
  const json flat = service.ask(kGenerate, with(parameters, {{"text_input", "Hello"}}));
  EXPECT_EQ(flat["text_output"], text["choices"][0]["text"]);
  const json echoed = service.ask(
      kGenerate, with(parameters, {{"text_input", "Hello"}, {"exclude_input_in_output", false}}));
  EXPECT_EQ(echoed["text_output"], "Hello" + text["choices"][0]["text"].get<std::string>());
  const json packed =
      service.ask(kGenerate, {{"text_input", "Hello"}, {"sampling_parameters", parameters.dump()}});
  EXPECT_EQ(packed["text_output"], text["choices"][0]["text"]);
}

TEST(kserve, the_stream_joins_to_the_whole_text) {
  FakeService service(with_slash());
  for (const int count : {1, 12, 60}) {
    const json body{{"text_input", "Hello"}, {"max_tokens", count}, {"temperature", 0}};
    const json whole = service.ask(kGenerate, body);
    const auto exchange = service.start_post(kStream, body);
    ASSERT_TRUE(exchange->wait());
    std::string text;
    json last;
    for (const std::string& event : events_of(exchange->response().body)) {
      last = json::parse(event, nullptr, false);
      text += last["text_output"].get<std::string>();
    }
    EXPECT_EQ(text, whole["text_output"]);
    EXPECT_EQ(last["finish_reason"], whole["finish_reason"]);
  }
}

TEST(kserve, refusals_are_one_sentence) {
  FakeService service(with_slash());
  const std::tuple<const char*, json, const char*> cases[] = {
      {kGenerate, json::object(), "text_input"},
      {kGenerate, {{"text_input", 5}}, "text_input"},
      {kGenerate, {{"text_input", ""}}, "empty"},
      {kGenerate, {{"text_input", "x"}, {"max_tokens", 0}}, "max_tokens"},
      {kGenerate, {{"text_input", "x"}, {"parameters", {{"temperature", 9}}}}, "temperature"},
      {kGenerate, {{"text_input", "x"}, {"parameters", 5}}, "parameters"},
      {kGenerate, {{"text_input", "x"}, {"stream", true}}, "stream"},
      {kGenerate, {{"text_input", "x"}, {"temprature", 1}}, "temperature"},
      {kGenerate, {{"text_input", "x"}, {"stop_words", {""}}}, "stop_words"},
      {"/v2/models/org/starter/infer", {{"inputs", json::array()}}, "named tensors"},
  };
  for (const auto& [path, body, part] : cases) {
    const auto response = service.post(path, body);
    EXPECT_EQ(response.status, 400) << response.body;
    EXPECT_NE(json::parse(response.body)["error"].get<std::string>().find(part), std::string::npos)
        << response.body;
  }
  EXPECT_EQ(service.post("/v2/models/none/generate", {{"text_input", "x"}}).status, 404);
  EXPECT_EQ(service.post("/v2/models/none/infer", json::object()).status, 404);
}

}  // namespace
}  // namespace inferneo::api_test
