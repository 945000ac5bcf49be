#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/mapped_file.h"
#include "base/utf8.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/tokenizer/sentencepiece_model.h"

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

// Runs the rows of tests/text/gguf/NAME.jsonl (tools/make_gguf_token_goldens.py) through the
// tokenizer that `make` gives for the row.
void expect_golden(const std::string& name,
                   const std::function<const Tokenizer&(const json& row)>& make,
                   int count_min = 300) {
  std::ifstream file(kSource + "/tests/text/gguf/" + name + ".jsonl");
  int count = 0;
  int wrong = 0;
  for (std::string line; std::getline(file, line) && wrong < 10; ++count) {
    const json row = json::parse(line);
    const EncodeOptions options = {.add_special_tokens = true,
                                   .parse_added_tokens = !row.contains("plain")};
    const auto found = make(row).encode(row["text"].get<std::string>(), options);
    if (found == row["ids"].get<std::vector<TokenId>>()) continue;
    ++wrong;
    ADD_FAILURE() << line << "\nfound " << json(found);
  }
  EXPECT_GE(count, count_min);
}

// Every pair of bytes is a token, so that ids show where text was cut. The characters that stand
// for bytes come first, in the order of the bytes.
std::unique_ptr<Converted> pair_vocabulary() {
  std::vector<std::string> letters(256);
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool shown = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    utf8::append(letters[byte], shown ? byte : next++);
  }
  std::vector<std::uint32_t> order(65536);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [](std::uint32_t i) { return i * 2654435761U; });
  auto out = std::make_unique<Converted>();
  out->tokens = letters;
  for (const std::uint32_t i : order) {
    out->tokens.push_back(letters[i >> 8] + letters[i & 255]);
    out->merges.push_back(letters[i >> 8] + " " + letters[i & 255]);
  }
  out->view.model = "gpt2";
  out->view.add_bos = false;
  out->point();
  return out;
}

TEST(VocabularyTokenizer, splits_text_where_the_reference_does) {
  const auto vocabulary = pair_vocabulary();
  std::unique_ptr<Tokenizer> tokenizer;
  std::string made_for;
  expect_golden("splits", [&](const json& row) -> const Tokenizer& {
    if (row["pre"] != made_for) {
      made_for = row["pre"];
      vocabulary->view.pre = made_for;
      tokenizer = Tokenizer::from_vocabulary(vocabulary->view).value();
    }
    return *tokenizer;
  });
}

TEST(VocabularyTokenizer, merges_by_score_as_llama_cpp_does) {
  const json document = read_json("/tests/text/spm/tokenizer.json");
  const auto named = Tokenizer::from_json(document.dump()).value();
  const auto converted = convert(document, *named);
  TokenVocabulary& vocabulary = converted->view;
  vocabulary.model = "llama";
  vocabulary.unknown = 0;
  vocabulary.bos = 1;
  const auto make = [&](bool tied) {
    vocabulary.scores.assign(vocabulary.tokens.size(), -1e6F);
    float rank = 0;
    for (const json& merge : document["model"]["merges"]) {
      const auto merged = merge[0].get<std::string>() + merge[1].get<std::string>();
      const auto id = static_cast<std::size_t>(named->find_token(merged).value());
      vocabulary.scores[id] = tied ? 0 : -rank;
      ++rank;
    }
    return Tokenizer::from_vocabulary(vocabulary).value();
  };
  const auto ranked = make(false);
  const auto tied = make(true);
  expect_golden("sentencepiece", [&](const json& row) -> const Tokenizer& {
    return row["scores"] == "tied" ? *tied : *ranked;
  });
}

TEST(VocabularyTokenizer, cuts_words_of_bert_as_llama_cpp_does) {
  const json vocab = read_json("/tests/text/bert/tokenizer.json")["model"]["vocab"];
  Converted converted;
  converted.tokens.resize(vocab.size());
  converted.view.kinds.resize(vocab.size());
  for (const auto& [name, id] : vocab.items()) {
    const auto index = id.get<std::size_t>();
    const bool control = name.size() > 2 && name.front() == '[' && name.back() == ']';
    const bool inside = name.starts_with("##");
    converted.tokens[index] = control ? name : inside ? name.substr(2) : "▁" + name;
    converted.view.kinds[index] = control ? TokenKind::kControl : TokenKind::kNormal;
  }
  converted.point();
  converted.view.model = "bert";
  converted.view.unknown = 1;
  converted.view.classifier = 2;
  converted.view.separator = 3;
  const auto tokenizer = Tokenizer::from_vocabulary(converted.view);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  expect_golden(
      "bert", [&](const json&) -> const Tokenizer& { return **tokenizer; }, 190);
  EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode("the an"), true), "the an");
}

TEST(VocabularyTokenizer, cuts_text_of_t5_as_llama_cpp_does) {
  const std::string file = read_file(kSource + "/tests/text/files/unigram.model", 1 << 20).value();
  const SentencePieceModel model = SentencePieceModel::parse(file).value();
  TokenVocabulary vocabulary;
  vocabulary.model = "t5";
  vocabulary.tokens = model.pieces;
  vocabulary.scores = model.scores;
  vocabulary.kinds = model.kinds;
  vocabulary.charsmap = model.charsmap;
  vocabulary.add_space_prefix = true;
  vocabulary.remove_extra_spaces = true;
  vocabulary.unknown = 0;
  vocabulary.eos = 2;
  vocabulary.add_eos = false;  // llama-tokenize does not ask for it
  const auto tokenizer = Tokenizer::from_vocabulary(vocabulary);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.status().to_string();
  expect_golden(
      "t5", [&](const json&) -> const Tokenizer& { return **tokenizer; }, 100);
  // Everywhere else llama.cpp leaves SentencePiece, which is what T5 was trained with.
  const auto wanted = Tokenizer::from_file(file, "spiece.model", "");
  ASSERT_TRUE(wanted.has_value()) << wanted.status().to_string();
  expect_equal(**wanted, **tokenizer, texts_of("/tests/text/files/unigram.jsonl"));
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
               [](TokenVocabulary& v) { v.model = "berts"; },
               kUnsupported,
               "the nearest supported name is bert"},
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

std::string render_hi(const ModelText& text) {
  const auto chat = load_chat_template(text);
  EXPECT_TRUE(chat.has_value()) << chat.status().to_string();
  if (!chat) return {};
  ChatInput input;
  input.messages = Value::List{Value::Dict{{"role", "user"}, {"content", "hi"}}};
  return (*chat)->render(input).value();
}

TEST(ModelText, its_template_sees_the_names_of_start_and_end) {
  ModelText text;
  text.vocabulary = Small().view;
  text.vocabulary->bos = 0;
  text.vocabulary->eos = 1;
  text.chat_template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}";
  EXPECT_EQ(render_hi(text), "<s>hi</s>");
}

TEST(ModelText, the_marks_of_chatml_bring_its_template) {
  ModelText text;
  text.vocabulary.emplace();
  text.vocabulary->tokens = {"<|im_start|>", "<|im_end|>"};
  EXPECT_EQ(render_hi(text), "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ModelText, a_broken_template_is_named_with_line_and_column) {
  ModelText text;
  text.chat_template = "line one\n{% if %}";
  const std::string message = load_chat_template(text).status().to_string();
  EXPECT_NE(message.find("tokenizer.chat_template"), std::string::npos) << message;
  EXPECT_NE(message.find("line 2"), std::string::npos) << message;
}

TEST(ModelText, what_a_file_does_not_hold_is_not_found) {
  const ModelText text;
  EXPECT_EQ(Tokenizer::load(text).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(load_chat_template(text).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace inferneo::text
