#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/utf8.h"
#include "text/detokenizer.h"

namespace inferneo::text {
namespace {

const std::string kSource = INFERNEO_SOURCE_DIR;

std::unique_ptr<Tokenizer> load(const std::string& dir) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::load(kSource + dir);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  return tokenizer ? std::move(tokenizer).value() : nullptr;
}

std::string stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip_special) {
  std::string out;
  Detokenizer detokenizer(tokenizer, skip_special);
  for (const TokenId id : ids) {
    const std::size_t before = out.size();
    detokenizer.push(id, out);
    EXPECT_TRUE(utf8::is_valid(std::string_view(out).substr(before)));
  }
  detokenizer.finish(out);
  return out;
}

TEST(StarterTokenizer, ids_and_texts_equal_the_reference) {
  const auto tokenizer = load("/models/starter");
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocab_size(), 4096);
  std::ifstream cases(kSource + "/tests/starter/tokenizer_cases.jsonl");
  int count = 0;
  for (std::string line; std::getline(cases, line); ++count) {
    const nlohmann::json row = nlohmann::json::parse(line);
    const auto ids = row["ids"].get<std::vector<TokenId>>();
    ASSERT_EQ(tokenizer->encode(row["text"].get<std::string>()), ids) << line;
    ASSERT_EQ(tokenizer->decode(ids, true), row["skip_special"].get<std::string>()) << line;
  }
  EXPECT_GT(count, 100);
}

// The folders of tests/text, one a kind of tokenizer, made by tools/make_tokenizer_goldens.py.
class GoldenTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(GoldenTokenizer, ids_and_texts_equal_the_reference) {
  const std::string dir = std::string("/tests/text/") + GetParam();
  const auto tokenizer = load(dir);
  ASSERT_NE(tokenizer, nullptr);
  std::ifstream cases(kSource + dir + "/cases.jsonl");
  int count = 0;
  int wrong = 0;
  for (std::string line; std::getline(cases, line) && wrong < 10; ++count) {
    const nlohmann::json row = nlohmann::json::parse(line);
    const auto text = row["text"].get<std::string>();
    const auto ids = row["ids"].get<std::vector<TokenId>>();
    const std::vector<TokenId> got = tokenizer->encode(text);
    const std::string decoded = row.value("decoded", text);
    const std::string skipped = row.value("skipped", decoded);
    const bool ok = got == ids && stream(*tokenizer, ids, false) == decoded &&
                    tokenizer->decode(ids, true) == skipped;
    if (ok) continue;
    ++wrong;
    ADD_FAILURE() << line << "\ngot ids " << nlohmann::json(got) << "\ndecoded "
                  << nlohmann::json(stream(*tokenizer, ids, false)) << "\nskipped "
                  << nlohmann::json(tokenizer->decode(ids, true));
  }
  EXPECT_GE(count, 2000);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds,
    GoldenTokenizer,
    testing::Values("gpt2", "llama3", "qwen2", "o200k", "spm", "metaspace", "split", "characters"),
    [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace inferneo::text
