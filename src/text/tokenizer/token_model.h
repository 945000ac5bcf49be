// The model of a tokenizer: one piece of pre-tokenized text to token ids. Each kind is a file of
// its own; what they share is the vocabulary and the cache of words. Thread: any; immutable after
// prepare(), each call works in a scratch of its own. Ownership: owns the vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/json_view.h"
#include "text/tokenizer/vocabulary.h"
#include "text/tokenizer/word_cache.h"

namespace inferneo::text {

// Buffers of one encode call and the words it has seen. Thread: one owner. A scratch serves one
// model only, since it remembers that model's ids.
struct EncodeScratch {
  WordCache cache;
  std::vector<TokenId> ids;  // of the word at hand
  std::vector<std::uint32_t> ranks;
  std::vector<std::uint32_t> next;
  std::vector<std::uint32_t> previous;
  std::vector<std::uint64_t> heap;
  std::vector<double> scores;

  // Gives the memory of a very long piece back.
  void shrink();
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Reads `model` of tokenizer.json. Failures: unsupported naming the kind, and those of the kinds.
  static Result<std::unique_ptr<TokenModel>> parse(const JsonView& model);

  // Fixes how pieces are spelled: as bytes (`byte_level`) or as characters. Called once.
  virtual void prepare(bool byte_level) = 0;

  // Appends the ids of `piece`. Precondition: valid UTF-8 unless byte-level.
  void encode(std::string_view piece, EncodeScratch& scratch, std::vector<TokenId>& out) const {
    if (piece.size() <= WordCache::kWordSizeMax) {
      encode_short(piece, scratch, out);
    } else {
      encode_long(piece, scratch, out);
    }
  }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  TokenModel() = default;
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

  // Leaves the tokens of a word in scratch.ids.
  virtual void compute(std::string_view word, EncodeScratch& scratch) const = 0;
  // The size of the first part of a long piece that can be encoded by itself.
  [[nodiscard]] virtual std::size_t first_part(std::string_view piece) const;

  Vocabulary vocabulary_;

 private:
  void encode_short(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const;
  void encode_long(std::string_view piece, EncodeScratch& scratch, std::vector<TokenId>& out) const;
};

using TokenModelPtr = std::unique_ptr<TokenModel>;

inline void TokenModel::encode_short(std::string_view word,
                                     EncodeScratch& scratch,
                                     std::vector<TokenId>& out) const {
  const WordCache::Key key(word);
  std::span<const TokenId> ids = scratch.cache.find(key);
  if (ids.empty()) {
    compute(word, scratch);
    scratch.cache.insert(key, scratch.ids);
    ids = scratch.ids;
  }
  if (ids.size() == 1) {
    out.push_back(ids[0]);
  } else {
    out.insert(out.end(), ids.begin(), ids.end());
  }
}

// One reader a kind, named in token_model.cc.
Result<TokenModelPtr> parse_bpe(const JsonView& model);
Result<TokenModelPtr> parse_unigram(const JsonView& model);
Result<TokenModelPtr> parse_word_level(const JsonView& model);
Result<TokenModelPtr> parse_word_piece(const JsonView& model);

// Reads a vocabulary written as an object of names and ids.
Status parse_vocabulary(const JsonView& vocab, Vocabulary& out);

}  // namespace inferneo::text
