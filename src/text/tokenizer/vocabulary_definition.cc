// The tokenizer of a GGUF file. What surrounds the BPE model is written down as the parts of
// tokenizer.json that say the same and read by their readers.
// Spec: llama.cpp, src/llama-vocab.cpp.
#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/definition.h"
#include "text/tokenizer/known_pre.h"
#include "text/tokenizer/token_files.h"
#include "text/tokenizer/word_piece.h"

namespace inferneo::text {
namespace {

using nlohmann::json;

// Longer ones are not recognised in running text, as in AddedTokenMatcher's bound.
constexpr std::size_t kAddedSizeMax = 1024;

Status corrupt(std::string_view key, std::string message) {
  std::string where = str("tokenizer.ggml.", key);
  return corrupt_data(str(where, message)).with_where(where);
}

Status check_sizes(const TokenVocabulary& in) {
  if (in.tokens.empty() || in.tokens.size() > limits::kVocabSizeMax) {
    return corrupt(
        "tokens",
        str(" has ", in.tokens.size(), " entries, but must have 1 to ", limits::kVocabSizeMax));
  }
  const auto check = [&](std::string_view key, std::size_t count) {
    if (count == 0 || count >= in.tokens.size()) return ok_status();
    return corrupt(
        key, str(" has ", count, " entries, but tokenizer.ggml.tokens has ", in.tokens.size()));
  };
  RETURN_IF_ERROR(check("token_type", in.kinds.size()));
  RETURN_IF_ERROR(check("scores", in.scores.size()));
  std::size_t size = 0;
  for (const std::string_view token : in.tokens) size += token.size();
  if (size > limits::kTokenizerFileSizeMax) {
    return corrupt("tokens", str(" has ", size, " bytes, at most ", limits::kTokenizerFileSizeMax));
  }
  return ok_status();
}

TokenKind kind_of(const TokenVocabulary& in, std::size_t id) {
  return in.kinds.empty() ? TokenKind::kNormal : in.kinds[id];
}

Result<Vocabulary> make_vocabulary(const TokenVocabulary& in) {
  Vocabulary vocabulary;
  vocabulary.reserve(in.tokens.size(), 0);
  for (std::size_t id = 0; id < in.tokens.size(); ++id) {
    const auto token_id = static_cast<TokenId>(id);
    // Some files leave the names of unused ids empty.
    const std::string_view name = in.tokens[id];
    const auto outcome =
        vocabulary.add(name.empty() ? str("[EMPTY_", id, "]") : std::string(name), token_id);
    if (outcome == Vocabulary::AddOutcome::kAdded) continue;
    return corrupt("tokens",
                   str("[", id, "] '", printable(name), "' is also token ", vocabulary.find(name)));
  }
  return vocabulary;
}

// A special id of the file, when it names a token.
Result<TokenId> checked_id(const TokenVocabulary& in,
                           std::string_view key,
                           std::optional<std::int64_t> id) {
  if (id && *id >= 0 && static_cast<std::uint64_t>(*id) < in.tokens.size()) {
    return static_cast<TokenId>(*id);
  }
  const std::string value = id ? str(" is ", *id) : std::string(" is missing");
  return corrupt(key, str(value, ", but must be 0 to ", in.tokens.size() - 1));
}

Status add_post_processor(const TokenVocabulary& in, bool begins, PostProcessor& out) {
  // Without a statement the default goes only as far as there is a token for it.
  if (in.add_bos.value_or(begins && in.bos.has_value())) {
    ASSIGN_OR_RETURN(const TokenId bos, checked_id(in, "bos_token_id", in.bos));
    out.prefix.push_back(bos);
  }
  if (in.add_eos.value_or(false)) {
    ASSIGN_OR_RETURN(const TokenId eos, checked_id(in, "eos_token_id", in.eos));
    out.suffix.push_back(eos);
  }
  return ok_status();
}

// Special tokens and those that users added are recognised in running text.
std::vector<AddedToken> added_tokens(const TokenVocabulary& in) {
  std::vector<AddedToken> added;
  for (std::size_t id = 0; id < in.tokens.size(); ++id) {
    const TokenKind kind = kind_of(in, id);
    const bool special = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
    if (!special && kind != TokenKind::kUserDefined) continue;
    const std::string_view name = in.tokens[id];
    if (name.empty() || name.size() > kAddedSizeMax || !utf8::is_valid(name)) continue;
    AddedToken token;
    token.content = name;
    token.id = static_cast<TokenId>(id);
    token.special = special;
    added.push_back(std::move(token));
  }
  return added;
}

// Reads the parts of a tokenizer.json that the definition has besides its model.
Status read_parts(const json& document, TokenizerDefinition& out) {
  const std::string text = document.dump();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root)) {
    return internal_error(str("the parts of a tokenizer: ", simdjson::error_message(error)));
  }
  const JsonView view(root, "");
  ASSIGN_OR_RETURN(out.normalizer, NormalizerChain::parse(view));
  ASSIGN_OR_RETURN(out.pre_tokenizer, PreTokenizerChain::parse(view));
  ASSIGN_OR_RETURN(out.decoder, DecoderChain::parse(view));
  return ok_status();
}

json split_steps(const KnownPre& pre) {
  json steps = json::array();
  for (const std::string_view pattern : pre.patterns) {
    if (pattern.empty()) break;
    if (pattern == kEachDigit) {
      steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    } else {
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
    }
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  return steps;
}

// Which tokens plain text may become. Special ones are not among them: text must not spell them by
// chance.
std::vector<bool> tokens_of_text(const TokenVocabulary& in, bool with_user_defined) {
  std::vector<bool> found(in.tokens.size());
  for (std::size_t id = 0; id < in.tokens.size(); ++id) {
    const TokenKind kind = kind_of(in, id);
    found[id] = kind == TokenKind::kNormal || kind == TokenKind::kUnused ||
                (with_user_defined && kind == TokenKind::kUserDefined);
  }
  return found;
}

Result<TokenizerDefinition> define_byte_level(const TokenVocabulary& in) {
  const KnownPre* pre = find_known_pre(in.pre);
  if (pre == nullptr) {
    return unsupported(str("tokenizer.ggml.pre is '",
                           printable(in.pre),
                           "', which is not supported; supported: ",
                           known_pre_names()))
        .with_hint(nearest_known_pre(in.pre))
        .with_where("tokenizer.ggml.pre");
  }
  if (in.pre.empty()) {
    log::warning("text",
                 "the model file does not say how text is split (tokenizer.ggml.pre is missing); "
                 "the default may give other tokens than the model was trained on");
  }
  TokenizerDefinition out;
  ASSIGN_OR_RETURN(Vocabulary vocabulary, make_vocabulary(in));
  std::vector<bool> whole_words;
  if (pre->flags.whole_words) whole_words = tokens_of_text(in, false);
  auto model = Bpe::from_merges(std::move(vocabulary), in.merges, std::move(whole_words));
  if (!model) return corrupt("merges", std::string(model.error().message()));
  out.model = std::make_unique<Bpe>(*std::move(model));
  json document;
  if (in.compose.value_or(pre->flags.composes)) document["normalizer"] = {{"type", "NFC"}};
  document["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", split_steps(*pre)}};
  document["decoder"] = {{"type", "ByteLevel"}};
  RETURN_IF_ERROR(read_parts(document, out));
  out.added = added_tokens(in);
  RETURN_IF_ERROR(add_post_processor(in, pre->flags.begins, out.post_processor));
  return out;
}

json sentencepiece_parts(bool space_prefix) {
  json normalizers = json::array();
  json decoders = json::array();
  if (space_prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", "▁"}});
  normalizers.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}});
  decoders.push_back({{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}});
  decoders.push_back({{"type", "ByteFallback"}});
  decoders.push_back({{"type", "Fuse"}});
  if (space_prefix) {
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}}};
}

Result<TokenizerDefinition> define_sentencepiece(const TokenVocabulary& in) {
  std::vector<float> scores(in.scores.begin(), in.scores.end());
  scores.resize(in.tokens.size());
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (std::isnan(scores[id])) return corrupt("scores", str("[", id, "] is not a number"));
  }
  TokenId unknown = -1;
  if (in.unknown) {
    ASSIGN_OR_RETURN(unknown, checked_id(in, "unknown_token_id", in.unknown));
  }
  TokenizerDefinition out;
  ASSIGN_OR_RETURN(Vocabulary vocabulary, make_vocabulary(in));
  out.model = std::make_unique<Bpe>(
      Bpe::from_scores(std::move(vocabulary), scores, tokens_of_text(in, true), unknown));
  RETURN_IF_ERROR(read_parts(sentencepiece_parts(in.add_space_prefix.value_or(true)), out));
  out.added = added_tokens(in);
  RETURN_IF_ERROR(add_post_processor(in, true, out.post_processor));
  return out;
}

// Words begin with U+2581 and the rest of a word has no mark: the other way round than in BERT's
// own vocabulary. Spec: llama.cpp, llm_tokenizer_wpm.
Result<TokenizerDefinition> define_word_piece(const TokenVocabulary& in) {
  TokenizerDefinition out;
  ASSIGN_OR_RETURN(Vocabulary vocabulary, make_vocabulary(in));
  WordPiece::Options options;
  options.word_length_max = std::string::npos;
  ASSIGN_OR_RETURN(options.unknown, checked_id(in, "unknown_token_id", in.unknown));
  const auto spell = [](std::string_view name, std::vector<WordPiece::Spelling>& spellings) {
    constexpr std::string_view kMark = "▁";
    const bool starts_word = name.starts_with(kMark);
    spellings.push_back({starts_word ? name.substr(kMark.size()) : name, starts_word});
  };
  out.model = std::make_unique<WordPiece>(std::move(vocabulary), spell, options);
  const bool lowercase = in.lowercase.value_or(true);
  RETURN_IF_ERROR(
      read_parts({{"normalizer", {{"type", "BertNormalizer"}, {"lowercase", lowercase}}},
                  {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                  {"decoder",
                   {{"type", "Sequence"},
                    {"decoders",
                     {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                      {{"type", "Fuse"}},
                      {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}}},
                 out));
  out.added = added_tokens(in);
  if (in.add_bos.value_or(true)) {
    const auto first = in.classifier ? in.classifier : in.bos;
    ASSIGN_OR_RETURN(const TokenId id, checked_id(in, "cls_token_id", first));
    out.post_processor.prefix.push_back(id);
  }
  if (in.add_separator.value_or(true)) {
    const auto last = in.separator ? in.separator : in.eos;
    ASSIGN_OR_RETURN(const TokenId id, checked_id(in, "seperator_token_id", last));
    out.post_processor.suffix.push_back(id);
  }
  return out;
}

// Spec: llama.cpp, llm_tokenizer_ugm, which follows SentencePiece.
Result<TokenizerDefinition> define_unigram(const TokenVocabulary& in) {
  SentencePieceModel model;
  model.pieces = in.tokens;
  model.scores = in.scores;
  model.scores.resize(in.tokens.size());
  for (std::size_t id = 0; id < in.tokens.size(); ++id) {
    if (std::isnan(model.scores[id])) return corrupt("scores", str("[", id, "] is not a number"));
    model.kinds.push_back(kind_of(in, id));
  }
  model.bos = in.bos.value_or(-1);
  model.eos = in.eos.value_or(-1);
  model.charsmap = in.charsmap;
  model.add_dummy_prefix = in.add_space_prefix.value_or(true);
  model.remove_extra_spaces = in.remove_extra_spaces.value_or(false);
  model.byte_fallback =
      std::find(model.kinds.begin(), model.kinds.end(), TokenKind::kByte) != model.kinds.end();
  TokenFileSettings settings;
  settings.add_bos = in.add_bos.value_or(false);
  settings.add_eos = in.add_eos.value_or(true);
  Result<TokenizerDefinition> out = assemble_sentencepiece(model, settings);
  if (!out) return std::move(out).error().with_where("tokenizer.ggml");
  return out;
}

}  // namespace

Result<TokenizerDefinition> define_from_vocabulary(const TokenVocabulary& vocabulary) {
  RETURN_IF_ERROR(check_sizes(vocabulary));
  if (vocabulary.model == "gpt2") return define_byte_level(vocabulary);
  if (vocabulary.model == "llama") return define_sentencepiece(vocabulary);
  if (vocabulary.model == "bert") return define_word_piece(vocabulary);
  if (vocabulary.model == "t5") return define_unigram(vocabulary);
  constexpr std::array<std::string_view, 4> kSupported = {"bert", "gpt2", "llama", "t5"};
  const std::string_view nearest = nearest_name(vocabulary.model, kSupported);
  return unsupported(str("tokenizer.ggml.model is '",
                         printable(vocabulary.model),
                         "', which is not supported; supported: bert, gpt2, llama, t5"))
      .with_hint(nearest.empty() ? std::string() : str("the nearest supported name is ", nearest))
      .with_where("tokenizer.ggml.model");
}

}  // namespace inferneo::text
