// Embeddings, scores and reranking against the fake model, whose hidden states are known.
#include <cmath>
#include <cstring>
#include <fstream>

#include "fake_service.h"

namespace inferneo::api_test {
namespace {

constexpr const char* kEmbeddings = "/v1/embeddings";

std::vector<float> oracle(const std::vector<TokenId>& ids, bool normalized = true) {
  const runtime::FakeModel model(FakeServiceOptions{}.model);
  std::vector<float> values = model.hidden_after(ids, static_cast<std::int32_t>(ids.size()) - 1);
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  if (normalized) {
    for (float& value : values) value = static_cast<float>(value / std::sqrt(sum));
  }
  return values;
}

// Base64 of little-endian floats, by a decoder of the test's own.
std::vector<float> decode(const std::string& text) {
  std::string bytes;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    group = group << 6U | static_cast<std::uint32_t>(digits.find(c));
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(group >> bits & 255U);
    }
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-6);
}

TEST(embeddings, have_the_documented_shape_and_the_models_values) {
  FakeService service;
  const json answer = service.ask(kEmbeddings, {{"model", "starter"}, {"input", "The dog"}});
  const std::vector<TokenId> ids = service.tokenizer().encode("The dog");
  EXPECT_EQ(answer["object"], "list");
  EXPECT_EQ(answer["model"], "starter");
  ASSERT_EQ(answer["data"].size(), 1U);
  EXPECT_EQ(answer["data"][0]["object"], "embedding");
  EXPECT_EQ(answer["data"][0]["index"], 0);
  expect_near(answer["data"][0]["embedding"].get<std::vector<float>>(), oracle(ids));
  EXPECT_EQ(answer["usage"], (json{{"prompt_tokens", ids.size()}, {"total_tokens", ids.size()}}));
}

TEST(embeddings, every_kind_of_input_gives_the_same_vectors) {
  FakeService service;
  const std::vector<TokenId> ids = service.tokenizer().encode("The dog");
  const std::vector<TokenId> other = service.tokenizer().encode("A cat");
  for (const json& input : {json{"The dog", "A cat"}, json{ids, other}}) {
    const json answer = service.ask(kEmbeddings, {{"input", input}});
    ASSERT_EQ(answer["data"].size(), 2U);
    expect_near(answer["data"][0]["embedding"].get<std::vector<float>>(), oracle(ids));
    expect_near(answer["data"][1]["embedding"].get<std::vector<float>>(), oracle(other));
    EXPECT_EQ(answer["data"][1]["index"], 1);
  }
  const json by_ids = service.ask(kEmbeddings, {{"input", ids}});
  expect_near(by_ids["data"][0]["embedding"].get<std::vector<float>>(), oracle(ids));
}

TEST(embeddings, base64_holds_the_same_floats) {
  FakeService service;
  const json body{{"input", "The dog"}, {"normalize", false}};
  const json plain = service.ask(kEmbeddings, body);
  const json coded = service.ask(kEmbeddings, with(body, {{"encoding_format", "base64"}}));
  const std::vector<float> values = decode(coded["data"][0]["embedding"].get<std::string>());
  EXPECT_EQ(values, plain["data"][0]["embedding"].get<std::vector<float>>());
  EXPECT_EQ(values, oracle(service.tokenizer().encode("The dog"), false));
}

TEST(embeddings, dimensions_keep_the_first_and_normalise_again) {
  FakeService service;
  const json cut = service.ask(kEmbeddings, {{"input", "The dog"}, {"dimensions", 3}});
  const auto values = cut["data"][0]["embedding"].get<std::vector<float>>();
  ASSERT_EQ(values.size(), 3U);
  EXPECT_NEAR(std::hypot(values[0], values[1], values[2]), 1, 1e-6);
  EXPECT_EQ(service.refusal(kEmbeddings, {{"input", "x"}, {"dimensions", 9}}, 400)["param"],
            "dimensions");
}

TEST(embeddings, a_long_list_passes_through_a_short_queue) {
  FakeServiceOptions options;
  options.engine.waiting_request_count_max = 4;
  options.engine.running_sequence_count_max = 2;
  FakeService service(options);
  json input = json::array();
  for (int i = 0; i < 500; ++i) input.push_back(str("text number ", i));
  const json answer = service.ask(kEmbeddings, {{"input", input}});
  ASSERT_EQ(answer["data"].size(), 500U);
  for (int i = 0; i < 500; i += 99) {
    expect_near(answer["data"][i]["embedding"].get<std::vector<float>>(),
                oracle(service.tokenizer().encode(str("text number ", i))));
  }
  EXPECT_TRUE(service.wait_idle());
}

TEST(embeddings, refusals_name_their_field) {
  FakeService service;
  const std::pair<json, const char*> cases[] = {
      {json::object(), "input"},
      {{{"input", nullptr}}, "input"},
      {{{"input", json::array()}}, "input"},
      {{{"input", 5}}, "input"},
      {{{"input", json{1.5}}}, "input[0]"},
      {{{"input", json{"a", 1}}}, "input[1]"},
      {{{"input", json{1, "a"}}}, "input"},
      {{{"input", json{json::array()}}}, "input[0]"},
      {{{"input", ""}}, "input"},
      {{{"input", json{"a", ""}}}, "input[1]"},
      {{{"input", json{-1}}}, "input"},
      {{{"input", json{4096}}}, "input"},
      {{{"input", json{json{5}, json{4096}}}}, "input[1]"},
      {{{"input", std::vector<int>(3000, 5)}}, "input"},
      {{{"input", std::vector<std::string>(3000, "a")}}, "input"},
      {{{"input", "a"}, {"encoding_format", "hex"}}, "encoding_format"},
      {{{"input", "a"}, {"dimensions", 0}}, "dimensions"},
      {{{"input", "a"}, {"dimensions", "3"}}, "dimensions"},
      {{{"input", "a"}, {"pooling", "max"}}, "pooling"},
      {{{"input", "a"}, {"dimension", 3}}, "dimension"},
  };
  for (const auto& [body, param] : cases) {
    EXPECT_EQ(service.refusal(kEmbeddings, body, 400)["param"], param) << body;
  }
  EXPECT_EQ(service.refusal(kEmbeddings, {{"input", "a"}, {"model", "x"}}, 404)["code"],
            "model_not_found");
  const json truncated =
      service.ask(kEmbeddings, {{"input", std::vector<int>(3000, 5)}, {"truncate", true}});
  EXPECT_EQ(truncated["usage"]["prompt_tokens"], 2048);
  EXPECT_TRUE(service.wait_idle());
}

TEST(embeddings, a_client_that_leaves_frees_everything) {
  FakeService service;
  json input = json::array();
  for (int i = 0; i < 2000; ++i) input.push_back(str("text number ", i));
  const auto exchange = service.start_post(kEmbeddings, {{"input", input}});
  exchange->disconnect();
  EXPECT_TRUE(service.wait_idle());
}

TEST(score, is_the_cosine_of_embeddings) {
  FakeService service;
  const json answer =
      service.ask("/v1/score", {{"text_1", "The dog"}, {"text_2", json{"The dog", "A cat"}}});
  EXPECT_EQ(answer["object"], "list");
  ASSERT_EQ(answer["data"].size(), 2U);
  EXPECT_NEAR(answer["data"][0]["score"].get<double>(), 1, 1e-6);
  const auto a = oracle(service.tokenizer().encode("The dog"));
  const auto b = oracle(service.tokenizer().encode("A cat"));
  double dot = 0;
  for (std::size_t i = 0; i < a.size(); ++i) dot += static_cast<double>(a[i]) * b[i];
  EXPECT_NEAR(answer["data"][1]["score"].get<double>(), dot, 1e-6);
  EXPECT_EQ(service.refusal("/score", {{"text_1", "a"}}, 400)["param"], "text_2");
  EXPECT_EQ(service.refusal("/score", {{"text_1", json{"a", "b"}}, {"text_2", "c"}}, 400)["param"],
            "text_1");
  EXPECT_EQ(service.refusal("/score", {{"text_1", "a"}, {"text_2", json{1}}}, 400)["param"],
            "text_2[0]");
}

TEST(rerank, needs_a_cross_encoder) {
  FakeService service;
  for (const char* path : {"/v1/rerank", "/rerank", "/v2/rerank"}) {
    const json error = service.refusal(path, {{"query", "a"}, {"documents", {"b", "c"}}}, 400);
    EXPECT_EQ(error["param"], "model");
    EXPECT_NE(error["message"].get<std::string>().find("cross-encoder"), std::string::npos);
  }
  EXPECT_EQ(service.refusal("/rerank", {{"documents", {"b"}}}, 400)["param"], "query");
  EXPECT_EQ(service.refusal("/rerank", {{"query", "b"}}, 400)["param"], "documents");
  EXPECT_EQ(service.refusal("/rerank", {{"query", "b"}, {"documents", {5}}}, 400)["param"],
            "documents[0]");
  EXPECT_EQ(service.refusal(
                "/rerank", {{"query", "b"}, {"documents", {"a"}}, {"top_n", 0}}, 400)["param"],
            "top_n");
}

// The starter model's tokenizer with a form of pairs: "<s> a </s></s> b </s>" without segments, as
// RoBERTa has it, or "[CLS] a [SEP] b [SEP]" with the second text in a segment of its own.
std::shared_ptr<const text::Tokenizer> pair_tokenizer(bool segments) {
  const std::string path = std::string(INFERNEO_SOURCE_DIR) + "/models/starter/tokenizer.json";
  json document = json::parse(std::ifstream(path));
  const std::string begin = "<|im_start|>";
  const std::string end = "<|im_end|>";
  json special = json::object();
  for (const json& token : document["added_tokens"]) {
    const std::string name = token["content"];
    if (name != begin && name != end) continue;
    special[name] = {{"id", name}, {"ids", {token["id"]}}, {"tokens", {name}}};
  }
  const auto mark = [&](const std::string& name, int type) {
    return json{{"SpecialToken", {{"id", name}, {"type_id", type}}}};
  };
  const auto text = [&](const char* name, int type) {
    return json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const int second = segments ? 1 : 0;
  json pair{mark(begin, 0), text("A", 0), mark(end, 0)};
  if (!segments) pair.push_back(mark(end, 0));
  pair.push_back(text("B", second));
  pair.push_back(mark(end, second));
  document["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", {mark(begin, 0), text("A", 0), mark(end, 0)}},
                                {"pair", pair},
                                {"special_tokens", special}};
  return text::Tokenizer::from_json(document.dump()).value();
}

FakeServiceOptions cross_encoder(bool segments) {
  FakeServiceOptions options;
  options.model.bidirectional = true;
  options.model.class_count = 1;
  options.tokenizer = pair_tokenizer(segments);
  return options;
}

// What the model is to see of a pair, and the score that it then gives.
struct ExpectedPair {
  ExpectedPair(const FakeServiceOptions& options, bool segments, const std::string& document) {
    ids = options.tokenizer->encode("Who runs?");
    const std::size_t boundary = ids.size();
    std::vector<TokenId> second = options.tokenizer->encode(document);
    second.front() = ids.back();
    ids.insert(ids.end(), second.begin() + (segments ? 1 : 0), second.end());
    const runtime::FakeModel model(options.model);
    const auto begin = static_cast<std::int32_t>(segments ? boundary : ids.size());
    const auto row = model.hidden_after(ids, 0, begin);
    score = 1 / (1 + std::exp(-static_cast<double>(row[0])));
  }
  std::vector<TokenId> ids;
  double score = 0;
};

TEST(rerank, orders_documents_by_the_score_of_the_pair) {
  for (const bool segments : {false, true}) {
    SCOPED_TRACE(segments);
    const FakeServiceOptions options = cross_encoder(segments);
    FakeService service(options);
    const std::vector<std::string> documents{"A cat sleeps", "The dog runs", "Rain"};
    std::vector<double> scores;
    std::size_t token_count = 0;
    for (const std::string& document : documents) {
      const ExpectedPair pair(options, segments, document);
      token_count += pair.ids.size();
      scores.push_back(pair.score);
    }
    const json answer =
        service.ask("/v1/rerank", {{"query", "Who runs?"}, {"documents", documents}});
    ASSERT_EQ(answer["results"].size(), 3U);
    double before = 1;
    for (const json& result : answer["results"]) {
      const auto index = result["index"].get<std::size_t>();
      EXPECT_NEAR(result["relevance_score"].get<double>(), scores[index], 1e-6);
      EXPECT_LE(result["relevance_score"].get<double>(), before);
      EXPECT_EQ(result["document"]["text"], documents[index]);
      before = result["relevance_score"];
    }
    EXPECT_EQ(answer["usage"]["total_tokens"], token_count);
    const json best = service.ask("/rerank",
                                  {{"query", "Who runs?"},
                                   {"documents", documents},
                                   {"top_n", 1},
                                   {"return_documents", false}});
    ASSERT_EQ(best["results"].size(), 1U);
    EXPECT_EQ(best["results"][0]["index"], answer["results"][0]["index"]);
    EXPECT_FALSE(best["results"][0].contains("document"));
    const json pairs = service.ask("/v1/score", {{"text_1", "Who runs?"}, {"text_2", documents}});
    for (std::size_t i = 0; i < documents.size(); ++i) {
      EXPECT_NEAR(pairs["data"][i]["score"].get<double>(), scores[i], 1e-6);
    }
    // It scores pairs and does nothing else.
    EXPECT_EQ(service.refusal("/v1/embeddings", {{"input", "x"}}, 400)["param"], "model");
    EXPECT_EQ(service.refusal(kText, {{"prompt", "x"}}, 400)["param"], "model");
  }
}

TEST(rerank, a_tokenizer_without_a_form_of_pairs_says_so) {
  FakeServiceOptions options = cross_encoder(true);
  options.tokenizer = nullptr;
  FakeService service(options);
  const json error = service.refusal("/rerank", {{"query", "a"}, {"documents", {"b"}}}, 400);
  EXPECT_EQ(error["param"], "model");
  EXPECT_NE(error["message"].get<std::string>().find("post_processor"), std::string::npos);
}

}  // namespace
}  // namespace inferneo::api_test
