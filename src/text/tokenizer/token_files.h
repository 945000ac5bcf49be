// Tokenizers from files other than tokenizer.json: SentencePiece models and lists of ranks as
// tiktoken has them, with what tokenizer_config.json says beside them.
// Thread: any (pure functions).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/definition.h"
#include "text/tokenizer/sentencepiece_model.h"

namespace inferneo::text {

// What tokenizer_config.json (and config.json) say that such files do not.
struct TokenFileSettings {
  std::string tokenizer_class;
  std::string model_type;              // of config.json
  std::optional<std::string> pattern;  // pat_str: how text is split
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  // legacy: a space goes in front of each section between special tokens, not only the first.
  bool prefix_each_section = true;
  std::vector<AddedToken> added;  // added_tokens_decoder, with their ids

  // Texts of the two documents; empty: there is none.
  static Result<TokenFileSettings> parse(std::string_view tokenizer_config,
                                         std::string_view config);
};

// Reads a SentencePiece model. Nothing of `file` is kept.
Result<TokenizerDefinition> define_from_sentencepiece(std::string_view file,
                                                      const TokenFileSettings& settings);
// The parts around an already read model.
Result<TokenizerDefinition> assemble_sentencepiece(const SentencePieceModel& model,
                                                   const TokenFileSettings& settings);

// Reads lines "base64 rank". `name` is that of the file, which may say the pattern. Failures:
// corrupt_data naming the line, unsupported when the pattern cannot be known.
Result<TokenizerDefinition> define_from_ranks(std::string_view file,
                                              std::string_view name,
                                              const TokenFileSettings& settings);

// True when the bytes are such lines and not a SentencePiece model.
bool looks_like_ranks(std::string_view file);

}  // namespace inferneo::text
