// The Unigram model: the way to cut a piece into tokens whose scores have the largest sum
// (Viterbi). Characters that no token covers are unknown: neighbours become one unknown token, or
// their bytes. Spec: Hugging Face tokenizers, models/unigram; SentencePiece, unigram_model.cc
// (EncodeOptimized). Thread: any; immutable after load.
#pragma once

#include <array>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/token_model.h"

namespace inferneo::text {

class Unigram final : public TokenModel {
 public:
  struct Options {
    TokenId unknown = -1;  // -1: unknown characters are left out
    bool byte_fallback = false;
    // Sums of scores are rounded to float, as SentencePiece does; else they are double.
    bool single_precision = false;
    // What an unknown character scores.
    double unknown_score = 0;
  };

  // Reads `model` of tokenizer.json.
  static Result<Unigram> parse(const JsonView& model);
  // Shape: scores and in_text [vocabulary.size()]; tokens that are not in_text are never found in
  // text. Precondition: no score is NaN.
  Unigram(Vocabulary vocabulary,
          std::vector<double> scores,
          const std::vector<bool>& in_text,
          const Options& options);

  void prepare(bool byte_level) override;

 protected:
  void compute(std::string_view word, EncodeScratch& scratch) const override;

 private:
  struct Step;

  void find_best_ends(std::string_view text, EncodeScratch& scratch) const;
  void put(std::string_view text, TokenId id, std::vector<TokenId>& ids) const;

  std::vector<double> scores_;
  ByteTrie trie_;
  Options options_;
  std::array<TokenId, 256> fallback_ids_{};
  bool falls_back_ = false;  // all 256 bytes have a token
};

}  // namespace inferneo::text
