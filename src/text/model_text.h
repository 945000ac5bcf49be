// What a model artefact holds about text: where its tokenizer and chat template are files of their
// own, or the vocabulary and template that it carries inside (GGUF), in neutral words.
// Thread: any (values). Ownership: ModelText owns the mappings that its strings point into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "request/token.h"

namespace inferneo::text {

// Spec: ggml, docs/gguf.md, tokenizer.ggml.token_type; the numbers are the file's.
enum class TokenKind : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// As the file says, unchecked: Tokenizer::load checks it. The names of the file's keys are those of
// the members behind "tokenizer.ggml.", unless said otherwise.
struct TokenVocabulary {
  // "gpt2": byte-level BPE; "llama": SentencePiece BPE; "bert": WordPiece; "t5": Unigram.
  std::string_view model;
  std::string_view pre;                    // names the pattern that splits text; may be empty
  std::vector<std::string_view> tokens;    // by id
  std::vector<TokenKind> kinds;            // token_type; empty: all normal
  std::vector<float> scores;               // SentencePiece; empty: all 0
  std::vector<std::string_view> merges;    // "left right", in the order of their rank
  std::optional<std::int64_t> bos;         // bos_token_id
  std::optional<std::int64_t> eos;         // eos_token_id
  std::optional<std::int64_t> unknown;     // unknown_token_id
  std::optional<std::int64_t> separator;   // seperator_token_id (the file's spelling)
  std::optional<std::int64_t> classifier;  // cls_token_id
  // Empty where the file says nothing: the default depends on `model` and `pre`.
  std::optional<bool> add_bos;  // add_bos_token
  std::optional<bool> add_eos;  // add_eos_token
  std::optional<bool> add_space_prefix;
  std::optional<bool> compose;              // normalizer.nfc
  std::optional<bool> add_separator;        // add_sep_token
  std::optional<bool> remove_extra_spaces;  // remove_extra_whitespaces
  std::optional<bool> lowercase;            // normalizer.lowercase
  std::string charsmap;                     // precompiled_charsmap
};

struct ModelText {
  // Where tokenizer.json and its neighbours lie. Empty for an artefact that holds its own.
  std::string directory;
  // Of such an artefact; absent when it has none.
  std::optional<TokenVocabulary> vocabulary;
  std::optional<std::string_view> chat_template;
  // Borrowed by the views above.
  std::vector<MappedFile> files;
};

}  // namespace inferneo::text
