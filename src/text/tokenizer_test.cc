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
    if (row.contains("pair")) {
      const EncodedPair pair = tokenizer->encode_pair(row["pair"][0].get<std::string>(),
                                                      row["pair"][1].get<std::string>());
      EXPECT_EQ(pair.ids, row["ids"].get<std::vector<TokenId>>()) << line;
      EXPECT_EQ(pair.types, row["types"].get<std::vector<std::uint8_t>>()) << line;
      continue;
    }
    const auto text = row.value("text", "");
    const auto ids = row["ids"].get<std::vector<TokenId>>();
    const std::vector<TokenId> got = row.contains("text") ? tokenizer->encode(text) : ids;
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

INSTANTIATE_TEST_SUITE_P(Kinds,
                         GoldenTokenizer,
                         testing::Values("gpt2",
                                         "llama3",
                                         "qwen2",
                                         "o200k",
                                         "spm",
                                         "metaspace",
                                         "split",
                                         "characters",
                                         "bert",
                                         "bert_cased",
                                         "t5",
                                         "xlm_roberta",
                                         "unigram_bytes",
                                         "words",
                                         "suffixed"),
                         [](const auto& kind) { return std::string(kind.param); });

// A small document that loads; tests break it in one place.
nlohmann::json small_document() {
  return nlohmann::json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<end>", "special": true, "normalized": false}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated"},
    "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}},
      {"SpecialToken": {"id": "<end>"}}], "special_tokens": {"<end>": {"ids": [4]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, " ": 3}, "merges": ["a b"]}})");
}

struct Damage {
  const char* pointer;
  const char* value;  // JSON; empty removes the member
  StatusCode code;
  const char* message;  // a part of it
};

class DamagedDocument : public testing::TestWithParam<Damage> {};

TEST_P(DamagedDocument, is_refused_with_the_place) {
  const Damage& damage = GetParam();
  nlohmann::json document = small_document();
  const nlohmann::json::json_pointer pointer(damage.pointer);
  if (*damage.value == '\0') {
    document[pointer.parent_pointer()].erase(pointer.back());
  } else {
    document[pointer] = nlohmann::json::parse(damage.value);
  }
  const auto tokenizer = Tokenizer::from_json(document.dump());
  ASSERT_FALSE(tokenizer.has_value());
  EXPECT_EQ(tokenizer.error().code(), damage.code) << tokenizer.error().to_string();
  EXPECT_NE(tokenizer.error().to_string().find(damage.message), std::string::npos)
      << tokenizer.error().to_string();
}

constexpr StatusCode kBad = StatusCode::kCorruptData;
constexpr StatusCode kNo = StatusCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Places,
    DamagedDocument,
    testing::Values(
        Damage{"/model", "", kBad, "model is missing"},
        Damage{"/model", "[]", kBad, "model is a list"},
        Damage{"/model/type", "\"Unigramm\"", kNo, "the nearest is Unigram"},
        Damage{"/model/vocab", "", kBad, "model.vocab is missing"},
        Damage{"/model/vocab", "3", kBad, "model.vocab is a number"},
        Damage{"/model/vocab/a", "-1", kBad, "model.vocab.a is -1"},
        Damage{"/model/vocab/a", "1", kBad, "has id 1"},
        Damage{"/model/vocab/a", "1.5", kBad, "expected an integer"},
        Damage{"/model/vocab/a", "\"0\"", kBad, "model.vocab.a is a string"},
        Damage{"/model/vocab/a", "2000000", kBad, "model.vocab.a is 2000000"},
        Damage{"/model/vocab/a", "18446744073709551615", kBad, "model.vocab.a"},
        Damage{"/model/vocab/ab", "", kBad, "model.merges[0] needs 'ab'"},
        Damage{"/model/merges", "", kBad, "model.merges is missing"},
        Damage{"/model/merges", "[\"a b\", \"ab\"]", kBad, "model.merges[1]"},
        Damage{"/model/merges", "[\"a b c\"]", kBad, "model.merges[0]"},
        Damage{"/model/merges", "[[\"a\", 1]]", kBad, "model.merges[0][1] is a number"},
        Damage{"/model/merges", "[[\"a\"]]", kBad, "model.merges[0]"},
        Damage{"/model/merges", "[\"a z\"]", kBad, "needs 'z'"},
        Damage{"/model/dropout", "0.1", kNo, "model.dropout"},
        Damage{"/model/byte_fallback", "1", kBad, "model.byte_fallback is a number"},
        Damage{"/model/unk_token", "7", kBad, "model.unk_token"},
        Damage{"/added_tokens", "{}", kBad, "added_tokens is an object"},
        Damage{"/added_tokens/0", "1", kBad, "added_tokens[0] is a number"},
        Damage{"/added_tokens/0/content", "", kBad, "added_tokens[0].content is missing"},
        Damage{"/added_tokens/0/id", "-4", kBad, "added_tokens[0].id is -4"},
        Damage{"/added_tokens/1", R"({"id": 5, "content": "<end>"})", kBad, "added_tokens[1]"},
        Damage{"/normalizer/type", "\"Precompile\"", kNo, "the nearest is Precompiled"},
        Damage{"/normalizer",
               R"({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})",
               kBad,
               "normalizer.pattern.Regex"},
        Damage{"/normalizer",
               R"({"type": "Sequence", "normalizers": [{"type": "NFX"}]})",
               kNo,
               "normalizer.normalizers[0]"},
        Damage{"/pre_tokenizer/type", "\"Bert\"", kNo, "pre-tokenizer 'Bert'"},
        Damage{"/pre_tokenizer/type", "null", kBad, "pre_tokenizer.type is null"},
        Damage{"/pre_tokenizer/behavior", "\"Odd\"", kNo, "behavior 'Odd'"},
        Damage{"/pre_tokenizer/pattern", "{}", kBad, "pre_tokenizer.pattern"},
        Damage{"/pre_tokenizer/pattern/Regex", "\"[a&&b]\"", kNo, "&&"},
        Damage{"/pre_tokenizer/pattern/Regex", "\"a{1,2}+\"", kNo, "{..}+"},
        Damage{"/post_processor/type", "\"Odd\"", kNo, "post-processor 'Odd'"},
        Damage{"/post_processor/special_tokens", "{}", kBad, "post_processor.special_tokens.<end>"},
        Damage{"/post_processor/special_tokens/<end>/ids", "[77]", kBad, "adds token 77"},
        Damage{"/post_processor/single/0/Sequence/id", "\"B\"", kNo, "sequence 'B'"},
        Damage{"/decoder/decoders/0/type", "\"CTC\"", kNo, "decoder 'CTC'"},
        Damage{"/decoder/decoders/0",
               R"({"type": "Strip", "content": "ab"})",
               kBad,
               "decoder.decoders[0]"}));

// docs/tokenizers.md names the parts that the errors of unknown ones list.
TEST(Tokenizer, the_documented_parts_are_those_supported) {
  std::ifstream file(kSource + "/docs/tokenizers.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  for (const char* place : {"/model/type",
                            "/normalizer/type",
                            "/pre_tokenizer/type",
                            "/post_processor/type",
                            "/decoder/type"}) {
    nlohmann::json document = small_document();
    document[nlohmann::json::json_pointer(place)] = "?";
    const auto tokenizer = Tokenizer::from_json(document.dump());
    ASSERT_FALSE(tokenizer.has_value());
    std::string hint(tokenizer.error().hint());
    hint = hint.substr(hint.find(": ") + 2) + ", ";
    int count = 0;
    for (std::size_t at = 0; at < hint.size(); ++count) {
      const std::size_t end = hint.find(", ", at);
      EXPECT_NE(page.find(hint.substr(at, end - at)), std::string::npos)
          << place << ": " << hint.substr(at, end - at);
      at = end + 2;
    }
    EXPECT_GE(count, 4);
  }
}

TEST(Tokenizer, text_that_is_no_json_is_refused) {
  for (const char* document : {"", "{", "[]", "null", "{\"model\": \"\\ud800\"}", "\xff"}) {
    EXPECT_FALSE(Tokenizer::from_json(document).has_value()) << document;
  }
  const std::string deep(100'000, '[');
  EXPECT_FALSE(Tokenizer::from_json(deep).has_value());
  EXPECT_EQ(Tokenizer::load("/nonexistent").status().code(), StatusCode::kNotFound);
}

TEST(Tokenizer, holes_in_the_vocabulary_are_allowed) {
  nlohmann::json document = small_document();
  document["model"]["vocab"]["ab"] = 1000;
  const auto tokenizer = Tokenizer::from_json(document.dump()).value();
  EXPECT_EQ(tokenizer->vocab_size(), 1001);
  EXPECT_EQ(tokenizer->encode("ab b"), (std::vector<TokenId>{1000, 3, 1, 4}));
  EXPECT_FALSE(tokenizer->has_token(500));
  EXPECT_FALSE(tokenizer->has_token(-1));
  EXPECT_EQ(tokenizer->token_name(500), "");
  EXPECT_EQ(tokenizer->decode({1000, 500, -7, 2'000'000, 1}, false), "abb");
  EXPECT_EQ(tokenizer->find_token("<end>"), 4);
  EXPECT_EQ(tokenizer->find_token("none"), std::nullopt);
}

TEST(Tokenizer, options_turn_added_tokens_and_the_template_off) {
  const auto tokenizer = load("/models/starter");
  const std::string text = "<|im_start|>user";
  EXPECT_EQ(tokenizer->encode(text).size(), 2u);
  EXPECT_TRUE(tokenizer->is_special(tokenizer->encode(text)[0]));
  const std::vector<TokenId> plain =
      tokenizer->encode(text, {.add_special_tokens = true, .parse_added_tokens = false});
  for (const TokenId id : plain) EXPECT_FALSE(tokenizer->is_special(id));
  EXPECT_EQ(tokenizer->decode(plain, true), text);
  const auto templated = load("/tests/text/spm");
  const std::vector<TokenId> bare =
      templated->encode("an", {.add_special_tokens = false, .parse_added_tokens = true});
  EXPECT_EQ(templated->encode("an").size(), bare.size() + 2);
}

TEST(Tokenizer, token_bytes_stand_for_running_text) {
  const auto byte_level = load("/models/starter");
  EXPECT_EQ(byte_level->token_bytes(byte_level->find_token("Ġa").value()), " a");
  EXPECT_FALSE(byte_level->strips_leading_space());
  const auto spm = load("/tests/text/spm");
  EXPECT_EQ(spm->token_bytes(spm->find_token("▁").value()), " ");
  EXPECT_EQ(spm->token_bytes(spm->find_token("<0xE2>").value()), "\xE2");
  EXPECT_TRUE(spm->strips_leading_space());
}

TEST(Tokenizer, invalid_utf8_is_encoded_as_replacement_characters) {
  for (const char* kind : {"/models/starter", "/tests/text/spm", "/tests/text/o200k"}) {
    const auto tokenizer = load(kind);
    for (const std::string text :
         {"\xff", "a\xE2\x82", "\xF0\x9F\x98 b", "\xED\xA0\x80", "\xC0\xAF", "x\x80\x80y"}) {
      EXPECT_EQ(tokenizer->encode(text), tokenizer->encode(utf8::sanitize(text)));
    }
  }
}

TEST(Detokenizer, any_sequence_of_ids_streams_as_it_decodes) {
  std::mt19937 random(3);
  for (const char* kind : {"/tests/text/llama3",
                           "/tests/text/spm",
                           "/tests/text/metaspace",
                           "/tests/text/characters",
                           "/tests/text/bert",
                           "/tests/text/t5",
                           "/tests/text/unigram_bytes",
                           "/tests/text/suffixed",
                           "/models/starter"}) {
    const auto tokenizer = load(kind);
    std::uniform_int_distribution<TokenId> any(-2, tokenizer->vocab_size() + 2);
    std::uniform_int_distribution<TokenId> low(0, 300);
    for (int round = 0; round < 300; ++round) {
      std::vector<TokenId> ids;
      for (int i = 0; i < 12; ++i) ids.push_back(round % 2 == 0 ? any(random) : low(random));
      for (const bool skip : {false, true}) {
        const std::string text = tokenizer->decode(ids, skip);
        EXPECT_TRUE(utf8::is_valid(text));
        EXPECT_EQ(stream(*tokenizer, ids, skip), text);
      }
    }
  }
}

// Twice the text takes about twice the time; a quadratic step would take hours here.
TEST(Tokenizer, a_megabyte_without_a_break_is_linear) {
  for (const char* kind : {"/tests/text/gpt2",
                           "/tests/text/llama3",
                           "/tests/text/qwen2",
                           "/tests/text/o200k",
                           "/tests/text/spm",
                           "/tests/text/metaspace",
                           "/tests/text/characters",
                           "/tests/text/bert",
                           "/tests/text/t5",
                           "/tests/text/unigram_bytes",
                           "/tests/text/suffixed"}) {
    const auto tokenizer = load(kind);
    for (const std::string unit :
         {"a", "ab", " ", "\n", "\xCC\xA3\xCC\x81", "日", "1", "A", "'", "<", "▁"}) {
      std::string text;
      while (text.size() < 256 * 1024) text += unit;
      text += "x";
      EXPECT_FALSE(tokenizer->encode(text).empty());
    }
  }
}

TEST(Tokenizer, a_pattern_that_backtracks_exponentially_is_stopped) {
  nlohmann::json document = small_document();
  document["pre_tokenizer"]["pattern"]["Regex"] = "(a|aa)+$";
  const auto tokenizer = Tokenizer::from_json(document.dump()).value();
  EXPECT_FALSE(tokenizer->encode(std::string(5000, 'a') + "b").empty());
}

TEST(Tokenizer, threads_share_one_tokenizer) {
  const auto tokenizer = load("/models/starter");
  const std::string text = "The quick brown fox, 1234 times; naïve 日本語.\n";
  const std::vector<TokenId> expected = tokenizer->encode(text);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) EXPECT_EQ(tokenizer->encode(text), expected);
    });
  }
}

}  // namespace
}  // namespace inferneo::text
