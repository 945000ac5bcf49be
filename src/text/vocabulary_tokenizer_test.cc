#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "text/tokenizer.h"

namespace inferneo::text {
namespace {

using nlohmann::json;

const std::string kSource = INFERNEO_SOURCE_DIR;

json read_json(const std::string& path) {
  std::ifstream file(kSource + path);
  return json::parse(file);
}

std::vector<std::string> texts_of(const std::string& cases) {
  std::vector<std::string> texts;
  std::ifstream file(kSource + cases);
  for (std::string line; std::getline(file, line);) {
    const json row = json::parse(line);
    if (row.contains("text")) texts.push_back(row["text"]);
  }
  return texts;
}

// What a conversion to GGUF keeps of a tokenizer.json. Owns the strings of `view`.
struct Converted {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  TokenVocabulary view;

  void point() {
    view.tokens.assign(tokens.begin(), tokens.end());
    view.merges.assign(merges.begin(), merges.end());
  }
};

TokenKind kind_of(const std::string& name, const json& document) {
  for (const json& added : document["added_tokens"]) {
    if (added["content"] != name) continue;
    if (name == "<unk>") return TokenKind::kUnknown;
    return added["special"] ? TokenKind::kControl : TokenKind::kUserDefined;
  }
  const bool is_byte = name.size() == 6 && name.starts_with("<0x") && name.ends_with(">");
  return is_byte ? TokenKind::kByte : TokenKind::kNormal;
}

std::unique_ptr<Converted> convert(const json& document, const Tokenizer& tokenizer) {
  auto out = std::make_unique<Converted>();
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const bool held = tokenizer.has_token(id);
    out->tokens.push_back(held ? std::string(tokenizer.token_name(id))
                               : "[PAD" + std::to_string(id) + "]");
    out->view.kinds.push_back(held ? kind_of(out->tokens.back(), document) : TokenKind::kUnused);
  }
  for (const json& merge : document["model"]["merges"]) {
    out->merges.push_back(merge.is_string()
                              ? merge.get<std::string>()
                              : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  out->point();
  return out;
}

// GGUF files do not say how an added token treats its surroundings.
void drop_added_flags(json& document) {
  for (json& added : document["added_tokens"]) {
    for (const char* flag : {"lstrip", "rstrip", "single_word", "normalized"}) added[flag] = false;
  }
}

void expect_equal(const Tokenizer& wanted,
                  const Tokenizer& found,
                  const std::vector<std::string>& texts) {
  ASSERT_EQ(wanted.vocab_size(), found.vocab_size());
  for (const EncodeOptions options :
       {EncodeOptions{}, EncodeOptions{false, true}, EncodeOptions{true, false}}) {
    int wrong = 0;
    for (const std::string& text : texts) {
      const std::vector<TokenId> ids = wanted.encode(text, options);
      if (found.encode(text, options) == ids &&
          found.decode(ids, true) == wanted.decode(ids, true) &&
          found.decode(ids, false) == wanted.decode(ids, false)) {
        continue;
      }
      ADD_FAILURE() << json(text) << "\nwanted " << json(ids) << "\nfound "
                    << json(found.encode(text, options)) << "\ndecoded "
                    << json(found.decode(ids, true));
      if (++wrong == 5) break;
    }
  }
}

struct Kind {
  const char* name;   // folder of tests/text
  const char* model;  // tokenizer.ggml.model
  const char* pre;
};

class ConvertedTokenizer : public testing::TestWithParam<Kind> {};

TEST_P(ConvertedTokenizer, gives_the_ids_of_its_tokenizer_json) {
  const Kind& kind = GetParam();
  const std::string dir = std::string("/tests/text/") + kind.name;
  json document = read_json(dir + "/tokenizer.json");
  drop_added_flags(document);
  if (document["pre_tokenizer"].contains("add_prefix_space")) {
    document["pre_tokenizer"]["add_prefix_space"] = false;  // nor this
  }
  const auto wanted = Tokenizer::from_json(document.dump());
  ASSERT_TRUE(wanted.has_value()) << wanted.status().to_string();
  const auto converted = convert(document, **wanted);
  TokenVocabulary& vocabulary = converted->view;
  vocabulary.model = kind.model;
  vocabulary.pre = kind.pre;
  if (const std::vector<TokenId> around = (*wanted)->encode(""); !around.empty()) {
    vocabulary.bos = around.front();
    if (around.size() > 1) vocabulary.eos = around.back();
    if (around.size() > 1) vocabulary.add_eos = true;
  }
  const auto found = Tokenizer::from_vocabulary(vocabulary);
  ASSERT_TRUE(found.has_value()) << found.status().to_string();
  expect_equal(**wanted, **found, texts_of(dir + "/cases.jsonl"));
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         ConvertedTokenizer,
                         testing::Values(Kind{"gpt2", "gpt2", "gpt-2"},
                                         Kind{"llama3", "gpt2", "llama-bpe"},
                                         Kind{"qwen2", "gpt2", "qwen2"},
                                         Kind{"o200k", "gpt2", "gpt-4o"}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(ConvertedTokenizer, of_the_starter_model_gives_its_ids) {
  const auto wanted = Tokenizer::load(kSource + "/models/starter");
  ASSERT_TRUE(wanted.has_value());
  const auto converted = convert(read_json("/models/starter/tokenizer.json"), **wanted);
  converted->view.model = "gpt2";
  converted->view.pre = "smollm";
  const auto found = Tokenizer::from_vocabulary(converted->view);
  ASSERT_TRUE(found.has_value()) << found.status().to_string();
  expect_equal(**wanted, **found, texts_of("/tests/starter/tokenizer_cases.jsonl"));
  expect_equal(**wanted, **found, texts_of("/tests/text/gpt2/cases.jsonl"));
}

// The scores by which SentencePiece merges, for a vocabulary whose merges are known: the sooner,
// the higher. Every way to cut a token in two merges then, as in the conversion of transformers.
TEST(ConvertedTokenizer, of_sentencepiece_scores_gives_the_ids_of_its_merges) {
  json document = read_json("/tests/text/spm/tokenizer.json");
  drop_added_flags(document);
  json& model = document["model"];
  const json vocab = model["vocab"];
  std::vector<std::pair<std::string, std::size_t>> merged;  // token and rank
  for (const json& merge : model["merges"]) {
    merged.emplace_back(merge[0].get<std::string>() + merge[1].get<std::string>(), merged.size());
  }
  model["merges"] = json::array();
  for (const auto& [token, rank] : merged) {
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      const std::string left = token.substr(0, cut);
      const std::string right = token.substr(cut);
      if (!vocab.contains(left) || !vocab.contains(right)) continue;
      model["merges"].push_back({left, right});
    }
  }
  const auto wanted = Tokenizer::from_json(document.dump());
  ASSERT_TRUE(wanted.has_value()) << wanted.status().to_string();

  const auto converted = convert(document, **wanted);
  TokenVocabulary& vocabulary = converted->view;
  vocabulary.model = "llama";
  vocabulary.unknown = 0;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.add_eos = true;
  vocabulary.scores.assign(vocabulary.tokens.size(), -1e6F);
  for (const auto& [token, rank] : merged) {
    vocabulary.scores[vocab[token].get<std::size_t>()] = -static_cast<float>(rank);
  }
  const auto found = Tokenizer::from_vocabulary(vocabulary);
  ASSERT_TRUE(found.has_value()) << found.status().to_string();
  expect_equal(**wanted, **found, texts_of("/tests/text/spm/cases.jsonl"));
}

// A vocabulary of a few tokens that loads; tests change one thing.
struct Small {
  Small() {
    constexpr TokenKind kNormal = TokenKind::kNormal;
    view.model = "gpt2";
    view.pre = "gpt-2";
    view.tokens = {"<s>", "</s>", "a", "b", "ab", "<0x0A>"};
    view.kinds = {
        TokenKind::kControl, TokenKind::kControl, kNormal, kNormal, kNormal, TokenKind::kByte};
    view.merges = {"a b"};
  }
  TokenVocabulary view;
};

std::vector<TokenId> encode(const TokenVocabulary& vocabulary, std::string_view text) {
  const auto tokenizer = Tokenizer::from_vocabulary(vocabulary);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  return tokenizer ? (*tokenizer)->encode(text) : std::vector<TokenId>();
}

TEST(VocabularyTokenizer, adds_start_and_end_as_the_file_says) {
  Small small;
  EXPECT_EQ(encode(small.view, "ab"), std::vector<TokenId>({4}));
  small.view.bos = 0;
  small.view.eos = 1;
  EXPECT_EQ(encode(small.view, "ab"), std::vector<TokenId>({4}));
  small.view.pre = "llama-bpe";
  EXPECT_EQ(encode(small.view, "ab"), std::vector<TokenId>({0, 4}));
  small.view.add_bos = false;
  small.view.add_eos = true;
  EXPECT_EQ(encode(small.view, "ab"), std::vector<TokenId>({4, 1}));
}

TEST(VocabularyTokenizer, text_cannot_spell_special_tokens_unless_they_are_parsed) {
  Small small;
  small.view.model = "llama";
  small.view.tokens = {"<s>", "</s>", "<", "s", ">", "<s"};
  small.view.kinds[5] = TokenKind::kNormal;
  small.view.add_bos = false;
  small.view.add_space_prefix = false;
  const auto tokenizer = Tokenizer::from_vocabulary(small.view);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  EXPECT_EQ((*tokenizer)->encode("<s>"), std::vector<TokenId>({0}));
  EXPECT_EQ((*tokenizer)->encode("<s>", {.parse_added_tokens = false}),
            std::vector<TokenId>({5, 4}));
}

TEST(VocabularyTokenizer, equal_scores_merge_from_the_left) {
  Small small;
  small.view.model = "llama";
  small.view.tokens = {"<s>", "</s>", "a", "b", "ab", "ba"};
  small.view.kinds[5] = TokenKind::kNormal;
  small.view.add_bos = false;
  small.view.add_space_prefix = false;
  EXPECT_EQ(encode(small.view, "aba"), std::vector<TokenId>({4, 2}));
  EXPECT_EQ(encode(small.view, "bab"), std::vector<TokenId>({5, 3}));
  small.view.scores = {0, 0, 0, 0, 1, 2};
  EXPECT_EQ(encode(small.view, "aba"), std::vector<TokenId>({2, 5}));
}

TEST(VocabularyTokenizer, characters_without_a_token_become_bytes_or_the_unknown_token) {
  Small small;
  small.view.model = "llama";
  small.view.add_bos = false;
  small.view.add_space_prefix = false;
  EXPECT_EQ(encode(small.view, "a\nb"), std::vector<TokenId>({2, 5, 3}));
  EXPECT_EQ(encode(small.view, "bé"), std::vector<TokenId>({3}));
  small.view.unknown = 1;
  EXPECT_EQ(encode(small.view, "aéb"), std::vector<TokenId>({2, 1, 3}));
}

TEST(VocabularyTokenizer, a_token_without_a_name_keeps_its_id) {
  Small small;
  small.view.tokens[1] = "";
  const auto tokenizer = Tokenizer::from_vocabulary(small.view);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  EXPECT_EQ((*tokenizer)->token_name(1), "[EMPTY_1]");
  EXPECT_EQ((*tokenizer)->vocab_size(), 6);
}

struct Damage {
  const char* name;
  void (*change)(TokenVocabulary&);
  StatusCode code;
  const char* message;  // a part of it
};

class DamagedVocabulary : public testing::TestWithParam<Damage> {};

TEST_P(DamagedVocabulary, is_refused_with_the_key) {
  const Damage& damage = GetParam();
  Small small;
  damage.change(small.view);
  const auto tokenizer = Tokenizer::from_vocabulary(small.view);
  ASSERT_FALSE(tokenizer.has_value());
  EXPECT_EQ(tokenizer.error().code(), damage.code) << tokenizer.error().to_string();
  EXPECT_NE(tokenizer.error().to_string().find(damage.message), std::string::npos)
      << tokenizer.error().to_string();
}

constexpr StatusCode kCorrupt = StatusCode::kCorruptData;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Cases,
    DamagedVocabulary,
    testing::Values(
        Damage{"no_tokens",
               [](TokenVocabulary& v) { v.tokens.clear(); },
               kCorrupt,
               "tokenizer.ggml.tokens has 0 entries"},
        Damage{"unknown_model",
               [](TokenVocabulary& v) { v.model = "bert"; },
               kUnsupported,
               "tokenizer.ggml.model is 'bert', which is not supported; supported: gpt2, llama"},
        Damage{"unknown_pre",
               [](TokenVocabulary& v) { v.pre = "nope"; },
               kUnsupported,
               "tokenizer.ggml.pre is 'nope', which is not supported; supported: default, "},
        Damage{"few_kinds",
               [](TokenVocabulary& v) { v.kinds.pop_back(); },
               kCorrupt,
               "tokenizer.ggml.token_type has 5 entries, but tokenizer.ggml.tokens has 6"},
        Damage{"few_scores",
               [](TokenVocabulary& v) { v.scores = {1.0F}; },
               kCorrupt,
               "tokenizer.ggml.scores has 1 entries"},
        Damage{"score_not_a_number",
               [](TokenVocabulary& v) {
                 v.model = "llama";
                 v.scores.assign(6, std::numeric_limits<float>::quiet_NaN());
               },
               kCorrupt,
               "tokenizer.ggml.scores[0] is not a number"},
        Damage{"two_tokens_of_one_name",
               [](TokenVocabulary& v) { v.tokens[5] = "ab"; },
               kCorrupt,
               "tokenizer.ggml.tokens[5] 'ab' is also token 4"},
        Damage{"merge_of_one_piece",
               [](TokenVocabulary& v) {
                 v.merges = {"a b", "ab"};
               },
               kCorrupt,
               "tokenizer.ggml.merges[1] is not two pieces"},
        Damage{"merge_of_unknown_pieces",
               [](TokenVocabulary& v) { v.merges = {"b a"}; },
               kCorrupt,
               "tokenizer.ggml.merges[0] needs 'ba', which the vocabulary lacks"},
        Damage{"start_without_a_token",
               [](TokenVocabulary& v) { v.add_bos = true; },
               kCorrupt,
               "tokenizer.ggml.bos_token_id is missing"},
        Damage{"end_out_of_range",
               [](TokenVocabulary& v) {
                 v.add_eos = true;
                 v.eos = 6;
               },
               kCorrupt,
               "tokenizer.ggml.eos_token_id is 6, but must be 0 to 5"}),
    [](const auto& damage) { return std::string(damage.param.name); });

// Every name that is listed loads and splits without loss.
TEST(VocabularyTokenizer, every_known_pre_tokenizer_keeps_the_text) {
  const auto starter = Tokenizer::load(kSource + "/models/starter");
  ASSERT_TRUE(starter.has_value());
  const auto converted = convert(read_json("/models/starter/tokenizer.json"), **starter);
  converted->view.model = "gpt2";
  converted->view.bos = 0;
  converted->view.pre = "nope";
  const std::string message = Tokenizer::from_vocabulary(converted->view).error().message();
  std::string names = message.substr(message.find("supported: ") + 11) + ", ";
  const std::vector<std::string> texts = {
      "Hello, world! It's 12345.67 o'clock\n\n  in   Paris\t(été) 日本語 привет",
      " ",
      "\n",
      "don't",
      "!?...",
      "a\r\nb",
      "½ Ⅷ ٣",
      "１２３ ﬁ"};
  int count = 0;
  for (std::size_t end = names.find(", "); end != names.npos; end = names.find(", "), ++count) {
    const std::string name = names.substr(0, end);
    names.erase(0, end + 2);
    converted->view.pre = name;
    const auto tokenizer = Tokenizer::from_vocabulary(converted->view);
    ASSERT_TRUE(tokenizer.has_value()) << name << ": " << tokenizer.status().to_string();
    for (const std::string& text : texts) {
      const auto ids = (*tokenizer)->encode(text, {.add_special_tokens = false});
      EXPECT_EQ((*tokenizer)->decode(ids, false), text) << name;
    }
  }
  EXPECT_GT(count, 30);
}

}  // namespace
}  // namespace inferneo::text
