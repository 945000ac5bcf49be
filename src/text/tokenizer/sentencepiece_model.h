// A SentencePiece model as its file says it (tokenizer.model, spiece.model): the pieces and the
// rules by which text is normalized. Only the fields that decide ids are read. Spec: SentencePiece,
// src/sentencepiece_model.proto. Thread: any (values). Ownership: views into the bytes that were
// read.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/model_text.h"

namespace inferneo::text {

struct SentencePieceModel {
  enum class Kind : std::uint8_t { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

  // Shape: [pieces], by id.
  std::vector<std::string_view> pieces;
  std::vector<float> scores;
  std::vector<TokenKind> kinds;

  Kind kind = Kind::kUnigram;
  std::int64_t bos = 1;  // -1: none, for all three
  std::int64_t eos = 2;
  std::int64_t unknown = 0;
  bool byte_fallback = false;
  bool space_as_suffix = false;

  std::string_view charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;

  // Failures: corrupt_data naming the byte and the field, resource_exhausted for too many pieces.
  static Result<SentencePieceModel> parse(std::string_view file);
};

}  // namespace inferneo::text
