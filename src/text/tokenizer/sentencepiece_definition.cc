// The tokenizer of a SentencePiece model: Unigram, or BPE by scores.
#include <algorithm>
#include <array>
#include <limits>

#include "base/str.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/decode_steps.h"
#include "text/tokenizer/sentencepiece_normalizer.h"
#include "text/tokenizer/token_files.h"
#include "text/tokenizer/unigram.h"

namespace inferneo::text {
namespace {

// Spec: kUnkPenalty and kUserDefinedPenalty of SentencePiece.
constexpr float kUnknownPenalty = 10.0F;
constexpr double kUserDefinedPenalty = 0.1;

std::vector<bool> pieces_of(const SentencePieceModel& in, std::initializer_list<TokenKind> kinds) {
  std::vector<bool> found(in.pieces.size());
  for (std::size_t id = 0; id < found.size(); ++id) {
    found[id] = std::find(kinds.begin(), kinds.end(), in.kinds[id]) != kinds.end();
  }
  return found;
}

Result<Vocabulary> make_vocabulary(const SentencePieceModel& in) {
  Vocabulary vocabulary;
  vocabulary.reserve(in.pieces.size(), 0);
  for (std::size_t id = 0; id < in.pieces.size(); ++id) {
    const auto outcome = vocabulary.add(in.pieces[id], static_cast<TokenId>(id));
    if (outcome == Vocabulary::AddOutcome::kAdded) continue;
    return corrupt_data(str("piece ",
                            id,
                            " of the SentencePiece model, '",
                            printable(in.pieces[id]),
                            "', is also piece ",
                            vocabulary.find(in.pieces[id])));
  }
  return vocabulary;
}

Result<TokenId> unknown_id(const SentencePieceModel& in) {
  const auto found = std::find(in.kinds.begin(), in.kinds.end(), TokenKind::kUnknown);
  if (found == in.kinds.end()) {
    return corrupt_data("the SentencePiece model has no piece for unknown characters");
  }
  return static_cast<TokenId>(found - in.kinds.begin());
}

// Users' pieces score so that they are always taken, longer ones before shorter ones.
TokenModelPtr make_unigram(const SentencePieceModel& in, Vocabulary vocabulary, TokenId unknown) {
  float lowest = std::numeric_limits<float>::max();
  float highest = std::numeric_limits<float>::min();  // as there, where all scores are negative
  for (std::size_t id = 0; id < in.pieces.size(); ++id) {
    if (in.kinds[id] != TokenKind::kNormal) continue;
    lowest = std::min(lowest, in.scores[id]);
    highest = std::max(highest, in.scores[id]);
  }
  std::vector<double> scores(in.scores.begin(), in.scores.end());
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (in.kinds[id] != TokenKind::kUserDefined) continue;
    const float bonus = static_cast<float>(in.pieces[id].size()) * highest;
    scores[id] = static_cast<double>(bonus) - kUserDefinedPenalty;
  }
  const Unigram::Options options = {
      .unknown = unknown,
      .byte_fallback = in.byte_fallback,
      .single_precision = true,
      .unknown_score = static_cast<double>(lowest - kUnknownPenalty),
  };
  return std::make_unique<Unigram>(std::move(vocabulary),
                                   std::move(scores),
                                   pieces_of(in, {TokenKind::kNormal, TokenKind::kUserDefined}),
                                   options);
}

TokenModelPtr make_bpe(const SentencePieceModel& in, Vocabulary vocabulary, TokenId unknown) {
  auto bpe = std::make_unique<Bpe>(Bpe::from_scores(
      std::move(vocabulary), in.scores, pieces_of(in, {TokenKind::kNormal}), unknown));
  bpe->keep_whole(pieces_of(in, {TokenKind::kUserDefined}));
  bpe->set_byte_fallback(in.byte_fallback);
  return bpe;
}

NormalizerPtr make_normalizer(const SentencePieceModel& in,
                              Charsmap map,
                              const TokenFileSettings& settings) {
  SentencePieceRules rules;
  rules.map = std::move(map);
  std::vector<std::pair<std::string_view, std::int32_t>> kept;
  for (std::size_t id = 0; id < in.pieces.size(); ++id) {
    if (in.kinds[id] != TokenKind::kUserDefined) continue;
    kept.emplace_back(in.pieces[id], static_cast<std::int32_t>(id));
  }
  rules.kept = ByteTrie(std::move(kept));
  rules.add_dummy_prefix = in.add_dummy_prefix;
  rules.prefix_each_section = settings.prefix_each_section;
  rules.remove_extra_spaces = in.remove_extra_spaces;
  rules.escape_spaces = in.escape_spaces;
  rules.space_as_suffix = in.space_as_suffix;
  return make_sentencepiece_normalizer(std::move(rules));
}

DecoderChain make_decoder(const SentencePieceModel& in) {
  DecoderChain chain;
  chain.add_sentencepiece(in.add_dummy_prefix || in.remove_extra_spaces);
  return chain;
}

// Control pieces are recognised in running text, and what the configuration adds.
std::vector<AddedToken> added_tokens(const SentencePieceModel& in,
                                     const TokenFileSettings& settings) {
  std::vector<AddedToken> added = settings.added;
  for (std::size_t id = 0; id < in.pieces.size(); ++id) {
    if (in.kinds[id] != TokenKind::kControl && in.kinds[id] != TokenKind::kUnknown) continue;
    const bool known = std::any_of(added.begin(), added.end(), [&](const AddedToken& token) {
      return token.content == in.pieces[id];
    });
    if (known) continue;
    AddedToken token;
    token.content = in.pieces[id];
    token.id = static_cast<TokenId>(id);
    token.special = true;
    added.push_back(std::move(token));
  }
  return added;
}

// These number their tokens otherwise than the file (fairseq's order).
constexpr std::array<std::string_view, 8> kRenumbered = {
    "Barthez", "Camembert", "MBart", "M2M100", "Nllb", "SeamlessM4T", "XGLM", "XLMRoberta"};

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](std::string_view beginning) {
    return name.starts_with(beginning);
  });
}

Status check_class(const std::string& name) {
  for (const std::string_view renumbered : kRenumbered) {
    if (!name.starts_with(renumbered)) continue;
    return unsupported(str("the tokenizer class '",
                           printable(name),
                           "' numbers its tokens otherwise than its SentencePiece model"))
        .with_hint("convert it to tokenizer.json")
        .with_where("tokenizer_class");
  }
  return ok_status();
}

// The id of a start or end token: by its name in the configuration, else the file's number.
Result<TokenId> around_id(const TokenizerDefinition& out,
                          const std::optional<std::string>& name,
                          std::int64_t id) {
  if (name) {
    for (const AddedToken& token : out.added) {
      if (token.content == *name) return token.id;
    }
    const TokenId found = out.model->vocabulary().find(*name);
    if (found >= 0) return found;
    return corrupt_data(str("the token '", printable(*name), "' is not in the vocabulary"));
  }
  if (id < 0 || !out.model->vocabulary().has(static_cast<TokenId>(id))) {
    return corrupt_data(str("the SentencePiece model has no token ", id));
  }
  return static_cast<TokenId>(id);
}

Status add_post_processor(const SentencePieceModel& in,
                          const TokenFileSettings& settings,
                          TokenizerDefinition& out) {
  const bool begins =
      starts_with_any(settings.tokenizer_class, {"Llama", "CodeLlama", "Gemma", "Mistral"});
  const bool ends = starts_with_any(settings.tokenizer_class, {"T5", "MT5", "UMT5", "Pegasus"});
  if (settings.add_bos.value_or(begins)) {
    ASSIGN_OR_RETURN(const TokenId id, around_id(out, settings.bos, in.bos));
    out.post_processor.prefix.push_back(id);
  }
  if (settings.add_eos.value_or(ends)) {
    ASSIGN_OR_RETURN(const TokenId id, around_id(out, settings.eos, in.eos));
    out.post_processor.suffix.push_back(id);
  }
  return ok_status();
}

}  // namespace

Result<TokenizerDefinition> assemble_sentencepiece(const SentencePieceModel& model,
                                                   const TokenFileSettings& settings) {
  using Kind = SentencePieceModel::Kind;
  RETURN_IF_ERROR(check_class(settings.tokenizer_class));
  if (model.kind != Kind::kUnigram && model.kind != Kind::kBpe) {
    return unsupported(str("the SentencePiece model has the type ",
                           model.kind == Kind::kWord ? "WORD" : "CHAR",
                           ", which is not supported; supported: BPE, UNIGRAM"))
        .with_where("trainer_spec.model_type");
  }
  TokenizerDefinition out;
  ASSIGN_OR_RETURN(const TokenId unknown, unknown_id(model));
  ASSIGN_OR_RETURN(Vocabulary vocabulary, make_vocabulary(model));
  ASSIGN_OR_RETURN(Charsmap map, Charsmap::parse(model.charsmap));
  out.model = model.kind == Kind::kUnigram ? make_unigram(model, std::move(vocabulary), unknown)
                                           : make_bpe(model, std::move(vocabulary), unknown);
  out.normalizer.add(make_normalizer(model, std::move(map), settings));
  out.decoder = make_decoder(model);
  out.added = added_tokens(model, settings);
  RETURN_IF_ERROR(add_post_processor(model, settings, out));
  return out;
}

Result<TokenizerDefinition> define_from_sentencepiece(std::string_view file,
                                                      const TokenFileSettings& settings) {
  ASSIGN_OR_RETURN(const SentencePieceModel model, SentencePieceModel::parse(file));
  return assemble_sentencepiece(model, settings);
}

}  // namespace inferneo::text
