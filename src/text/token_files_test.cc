// Tokenizers from SentencePiece models and lists of ranks.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/mapped_file.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace inferneo::text {
namespace {

const std::string kFolder = std::string(INFERNEO_SOURCE_DIR) + "/tests/text/files/";

std::string read(const std::string& name) { return read_file(kFolder + name, 1 << 20).value(); }

std::unique_ptr<Tokenizer> load(std::string_view file,
                                std::string_view name,
                                std::string_view config = "") {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::from_file(file, name, config);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  return tokenizer ? std::move(tokenizer).value() : nullptr;
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string out;
  Detokenizer detokenizer(tokenizer, false);
  for (const TokenId id : ids) detokenizer.push(id, out);
  detokenizer.finish(out);
  return out;
}

// The rows of tests/text/files, made by tools/make_token_file_goldens.py and
// make_tiktoken_goldens.mjs. The references read no special tokens in text.
void expect_rows(const Tokenizer& tokenizer, const std::string& name) {
  std::ifstream cases(kFolder + name + ".jsonl");
  constexpr EncodeOptions kPlain = {.add_special_tokens = false, .parse_added_tokens = false};
  int count = 0;
  int wrong = 0;
  for (std::string line; std::getline(cases, line) && wrong < 10; ++count) {
    const nlohmann::json row = nlohmann::json::parse(line);
    const auto ids = row["ids"].get<std::vector<TokenId>>();
    const auto got = tokenizer.encode(row["text"].get<std::string>(), kPlain);
    const std::string text = streamed(tokenizer, ids);
    if (got == ids && (!row.contains("decoded") || text == row["decoded"])) continue;
    ++wrong;
    ADD_FAILURE() << line << "\ngot ids " << nlohmann::json(got) << "\ndecoded "
                  << nlohmann::json(text);
  }
  EXPECT_GE(count, 2000);
}

class SentencePieceFile : public testing::TestWithParam<const char*> {};

TEST_P(SentencePieceFile, ids_and_texts_equal_the_reference) {
  const std::string name = GetParam();
  const auto tokenizer = load(read(name + ".model"), "tokenizer.model");
  ASSERT_NE(tokenizer, nullptr);
  expect_rows(*tokenizer, name);
}

INSTANTIATE_TEST_SUITE_P(
    Sorts,
    SentencePieceFile,
    testing::Values("unigram", "unigram_bytes", "suffix", "bpe", "bpe_users", "bpe_unknown"),
    [](const auto& sort) { return std::string(sort.param); });

TEST(RankFile, ids_equal_the_reference) {
  const auto tokenizer = load(read("o200k.tiktoken"), "o200k.tiktoken");
  ASSERT_NE(tokenizer, nullptr);
  expect_rows(*tokenizer, "tiktoken");
}

TEST(SentencePieceFile, configuration_adds_tokens_and_start_and_end) {
  const std::string file = read("bpe.model");
  const auto bare = load(file, "tokenizer.model");
  const std::vector<TokenId> ids = bare->encode("the");
  const auto around = load(file,
                           "tokenizer.model",
                           R"({"add_bos_token": true, "add_eos_token": true, "bos_token": "<s>",
                               "eos_token": {"content": "<|end|>"}, "added_tokens_decoder":
                               {"1000": {"content": "<|end|>", "special": true}}})");
  ASSERT_NE(around, nullptr);
  std::vector<TokenId> expected = {1};
  expected.insert(expected.end(), ids.begin(), ids.end());
  expected.push_back(1000);
  EXPECT_EQ(around->encode("the"), expected);
  EXPECT_EQ(around->encode("the<|end|>", {.add_special_tokens = false}).back(), 1000);
  EXPECT_EQ(around->encode("<s>the", {.add_special_tokens = false}),
            std::vector<TokenId>(expected.begin(), expected.end() - 1));
  const auto llama = load(file, "tokenizer.model", R"({"tokenizer_class": "LlamaTokenizer"})");
  EXPECT_EQ(llama->encode("the").front(), 1);
}

TEST(SentencePieceFile, only_the_first_section_gets_a_space_without_legacy) {
  const std::string file = read("bpe.model");
  const auto legacy = load(file, "tokenizer.model");
  const auto modern = load(file, "tokenizer.model", R"({"legacy": false})");
  EXPECT_EQ(modern->encode("the"), legacy->encode("the"));
  EXPECT_EQ(legacy->encode("<s> the"), legacy->encode("<s> the"));
  std::vector<TokenId> with_space = legacy->encode("the");
  with_space.insert(with_space.begin(), 1);
  EXPECT_EQ(legacy->encode("<s>the"), with_space);
  EXPECT_NE(modern->encode("<s>the"), with_space);
}

std::string refusal(std::string_view file, std::string_view name, std::string_view config = "") {
  const auto tokenizer = Tokenizer::from_file(file, name, config);
  return tokenizer ? "loaded" : tokenizer.status().to_string();
}

TEST(SentencePieceFile, damage_and_what_is_not_supported_are_refused) {
  const std::string file = read("bpe.model");
  EXPECT_NE(refusal("", "tokenizer.model").find("has no pieces"), std::string::npos);
  EXPECT_NE(refusal("\x0a\xff", "tokenizer.model").find("damaged at byte 2"), std::string::npos);
  EXPECT_NE(refusal("\x0f", "tokenizer.model").find("wire type 7"), std::string::npos);
  EXPECT_NE(refusal(file, "tokenizer.model", R"({"tokenizer_class": "XLMRobertaTokenizer"})")
                .find("numbers its tokens otherwise"),
            std::string::npos);
  EXPECT_NE(refusal(file, "tokenizer.model", "{").find("tokenizer_config.json"), std::string::npos);
  // A number of the model type: 3 is WORD, 4 CHAR.
  EXPECT_NE(refusal(file + "\x12\x02\x18\x03", "tokenizer.model").find("WORD"), std::string::npos);
  // One piece twice.
  EXPECT_NE(refusal(file + "\x0a\x05\x0a\x03the" + "\x0a\x05\x0a\x03the", "tokenizer.model")
                .find("is also piece"),
            std::string::npos);
  for (std::size_t size = 1; size < file.size(); size += 97) {
    static_cast<void>(refusal(file.substr(0, size), "tokenizer.model"));
  }
}

TEST(RankFile, damage_is_refused_with_the_line) {
  const std::string file = read("o200k.tiktoken");
  EXPECT_NE(refusal(file + "!!! 5\n", "o200k.tiktoken").find("is not base64"), std::string::npos);
  EXPECT_NE(refusal(file + "QUJD x\n", "o200k.tiktoken").find("has no rank"), std::string::npos);
  EXPECT_NE(refusal(file + "QUJD 0\n", "o200k.tiktoken").find("repeats rank 0"), std::string::npos);
  EXPECT_NE(refusal(file + "QQ== 99999\n", "o200k.tiktoken").find("repeats a token"),
            std::string::npos);
  EXPECT_NE(refusal("QQ== 0\n", "o200k.tiktoken").find("lacks the byte 0"), std::string::npos);
  EXPECT_NE(refusal(file, "some.tiktoken").find("does not say how text is split"),
            std::string::npos);
  EXPECT_EQ(refusal(file, "some.tiktoken", R"({"pat_str": "\\p{L}+|\\s+|[^\\s\\p{L}]+"})"),
            "loaded");
}

}  // namespace
}  // namespace inferneo::text
